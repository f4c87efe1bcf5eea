"""A row of the table for all calls of a layer that give the same size, which is that for one image."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.core.networks.checked_tables import check, rows, table_of


def test_a_layer_has_a_row_for_each_size_of_its_output_at_its_first_call() -> None:
    linear, relu = nn.Linear(28, 28), nn.ReLU()
    table = table_of(linear, relu, linear, relu, nn.Flatten(), relu, nn.Unflatten(1, (28, 28)), linear)
    assert rows(table, "name", "output_shape", "parameters", "shared", "calls")[:4] == [
        ("0", (1, 28, 28), 812, False, 2),
        ("1", (1, 28, 28), 0, False, 2),
        ("4", (784,), 0, False, 1),
        ("1", (784,), 0, False, 1),
    ]
    assert rows(table, "name", "output_shape", "parameters", "shared", "calls")[5:] == [("0", (28, 28), 0, True, 1)]
    assert [str(remark) for remark in table.layers[0].remarks()] == ["called 2 times"]
    assert [str(remark) for remark in table.layers[-1].remarks()] == ["parameters counted above"]
    assert table.layers[2].remarks() == []


def test_a_layer_in_two_places_goes_by_the_first() -> None:
    linear = nn.Linear(28, 28)
    table = table_of(nn.Sequential(linear), nn.ReLU(), nn.Sequential(linear))
    assert rows(table, "name", "parameters", "calls") == [("0.0", 812, 2), ("1", 0, 1)]


def test_cells_called_in_turn_are_a_row_each() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.LSTMCell(28, 32), nn.LSTMCell(32, 16)
            self.out = nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = second = None
            for row in x.squeeze(1).unbind(1):
                first = self.first(row, first)
                second = self.second(first[0], second)
            assert second is not None
            logits: torch.Tensor = self.out(second[0])
            return logits

    table = check(Rows())
    assert rows(table, "name", "output_shape", "parameter_sum", "calls") == [
        ("first", (32,), "128×28 + 128×32 + 2×128", 28),
        ("second", (16,), "64×32 + 64×16 + 2×64", 28),
        ("out", (10,), "16×10 + 10", 1),
    ]
    assert [str(remark) for remark in table.layers[1].remarks()] == ["called 28 times"]


def test_calls_are_counted_for_one_image_where_a_network_takes_image_by_image() -> None:
    class OneByOne(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = nn.Linear(392, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.part(image[:392]) + self.part(image[392:]) for image in x.flatten(1)])

    assert rows(check(OneByOne()), "output_shape", "calls") == [((10,), 2)]


def test_a_network_that_decides_anew_how_often_it_calls_a_layer_has_its_table() -> None:
    class Fickle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.passes, self.seldom, self.step, self.out = 0, nn.Linear(784, 784), nn.Linear(784, 784), nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x, self.passes = x.flatten(1), self.passes + 1
            for _ in range(7 - 2 * self.passes):
                x = self.step(x)
            if self.passes == 1:
                x = self.seldom(x)
            logits: torch.Tensor = self.out(x[:, :10])
            return logits

    assert rows(check(Fickle()), "name", "output_shape", "calls") == [
        ("step", (784,), 5),
        ("seldom", None, 1),
        ("out", (10,), 1),
    ]


@pytest.mark.parametrize("tokens", [*range(1, 9), 16, 17])
def test_only_what_grows_with_the_batch_is_the_batch(tokens: int) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Embedding(tokens, 8)
            self.softmax = nn.Softmax(-1)
            self.first, self.across = nn.Identity(), nn.Identity()
            self.out = nn.Linear(8, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            places = self.place(torch.arange(tokens))
            heads = (places + x.mean((2, 3))[:, None]).reshape(-1, tokens, 4, 2).transpose(1, 2).reshape(-1, tokens, 2)
            weights = self.softmax(heads @ heads.mT)
            heads = self.first((weights @ heads).transpose(0, 1))[:1].reshape(len(x), 8)
            self.across(heads @ heads.mT)
            logits: torch.Tensor = self.out(heads)
            return logits

    assert rows(check(Tokens()), "output_shape") == [
        ((tokens, 8),),
        ((4, tokens, tokens),),
        ((tokens, 4, 2),),
        (None,),
        ((10,),),
    ]


def test_a_calculation_with_the_number_of_images_is_not_shown() -> None:
    class StepsFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.flatten, self.out = nn.Flatten(), nn.Linear(28, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps = self.flatten(x.squeeze(1).transpose(0, 1))
            logits: torch.Tensor = self.out(steps.reshape(28, -1, 28)[-1])
            return logits

    assert rows(check(StepsFirst()), "output_shape", "output_derivation") == [((28, 28), ""), ((10,), "")]
