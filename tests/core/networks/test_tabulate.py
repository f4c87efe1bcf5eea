"""The layer tables: the exam's numbers, the sums behind them, and the results of an independent library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
import torch
import torchinfo
from torch import nn

from core.networks.exam import RN_1, RN_2
from core.networks.layer_table import LayerTable
from core.networks.tabulate import layer_table
from tests.core.networks.checked_tables import check, rows, table_of


class Regularised(nn.Module):
    """A network with batch normalisation and dropout, in blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.25))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 26 * 26, 16), nn.BatchNorm1d(16), nn.Dropout(0.5))
        self.out = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.out(self.head(self.block(x)))
        return logits


class Nested(nn.Module):
    """A network of nested containers, called in another order than they are defined in."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(4 * 7 * 7, 10)))
        self.stages = nn.ModuleList([nn.Sequential(nn.Conv2d(1, 4, 5, padding="same"), nn.GELU()), nn.AvgPool2d(4)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        logits: torch.Tensor = self.last(x)
        return logits


class Strided(nn.Sequential):
    """A network with strides, dilation, groups, ceil mode, unequal sides and no biases."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 6, (5, 3), stride=2, padding=(2, 0), bias=False),
            nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
            nn.Conv2d(6, 12, 3, padding=2, dilation=2, groups=3),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(12 * 4 * 4, 10, bias=False),
        )


# The exam's tables


def test_the_perceptron_s_table() -> None:
    table = check(RN_1())
    assert rows(table, "name", "type", "output_shape", "parameters", "parameter_sum") == [
        ("flatten", "Flatten", (784,), 0, ""),
        ("fc1", "Linear", (512,), 401_920, "784×512 + 512"),
        ("relu1", "ReLU", (512,), 0, ""),
        ("fc2", "Linear", (256,), 131_328, "512×256 + 256"),
        ("relu2", "ReLU", (256,), 0, ""),
        ("fc3", "Linear", (128,), 32_896, "256×128 + 128"),
        ("relu3", "ReLU", (128,), 0, ""),
        ("fc4", "Linear", (10,), 1_290, "128×10 + 10"),
    ]
    assert table.total == table.trainable == 567_434
    assert table.layers[0].output_derivation == "1·28·28 = 784"
    assert [str(layer.specification) for layer in table.layers[:3]] == ["", "784→512", ""]


def test_the_convolutional_network_s_table() -> None:
    table = check(RN_2())
    assert rows(table, "name", "output_shape", "parameters", "parameter_sum", "output_derivation") == [
        ("conv1", (32, 28, 28), 320, "1×32×3×3 + 32", "(28 + 2·1 − 3)/1 + 1 = 28"),
        ("relu1", (32, 28, 28), 0, "", ""),
        ("pool1", (32, 14, 14), 0, "", "(28 − 2)/2 + 1 = 14"),
        ("conv2", (64, 14, 14), 18_496, "32×64×3×3 + 64", "(14 + 2·1 − 3)/1 + 1 = 14"),
        ("relu2", (64, 14, 14), 0, "", ""),
        ("pool2", (64, 7, 7), 0, "", "(14 − 2)/2 + 1 = 7"),
        ("flatten", (3136,), 0, "", "64·7·7 = 3136"),
        ("fc1", (128,), 401_536, "3136×128 + 128", ""),
        ("relu3", (128,), 0, "", ""),
        ("fc2", (10,), 1_290, "128×10 + 10", ""),
    ]
    assert table.total == table.trainable == 421_642
    assert [(str(layer.kind), str(layer.specification)) for layer in table.layers[:4]] == [
        ("convolution", "1→32, 3×3, p 1"),
        ("ReLU", ""),
        ("max pooling", "2×2, stride 2"),
        ("convolution", "32→64, 3×3, p 1"),
    ]
    assert str(table.layers[6].kind) == "flatten"
    assert str(table.layers[7].kind) == "linear"


@pytest.mark.parametrize("make", [RN_1, RN_2, Regularised, Nested, Strided])
def test_torchinfo_agrees_on_shapes_and_counts(make: Callable[[], nn.Module]) -> None:
    network = make()
    ours = check(network)
    theirs = torchinfo.summary(network, input_size=(2, 1, 28, 28), depth=10, verbose=0, device="cpu")
    leaves = [info for info in theirs.summary_list if info.is_leaf_layer]
    assert rows(ours, "type", "output_shape", "parameters") == [
        (info.class_name, tuple(info.output_size[1:]), info.num_params) for info in leaves
    ]
    assert ours.total == theirs.total_params


# Whole networks


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


def test_tied_weights_are_counted_once() -> None:
    encoder, decoder = nn.Linear(28, 28), nn.Linear(28, 28)
    decoder.weight = encoder.weight
    table = table_of(encoder, decoder)
    assert rows(table, "parameter_sum", "parameters", "shared") == [("28×28 + 28", 812, False), ("28", 28, True)]


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


class NormedConvolution(nn.Conv2d):
    """A convolution that carries the normalisation of its output."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(super().forward(x)))


class LowRank(nn.Linear):
    """A linear layer with a correction of low rank, in parametrized layers."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.down = nn.utils.parametrizations.weight_norm(nn.Linear(inputs, 2, bias=False))
        self.up = nn.Linear(2, outputs, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        corrected: torch.Tensor = super().forward(x) + self.up(self.down(x))
        return corrected


def test_a_layer_that_carries_others_keeps_its_row() -> None:
    table = table_of(NormedConvolution(1, 8), nn.Flatten(), LowRank(5408, 10))
    assert rows(table, "name", "type", "output_shape", "parameter_sum", "output_derivation") == [
        ("0", "NormedConvolution", (8, 26, 26), "1×8×3×3", "(28 − 3)/1 + 1 = 26"),
        ("0.norm", "BatchNorm2d", (8, 26, 26), "2×8", ""),
        ("1", "Flatten", (5408,), "", "8·26·26 = 5408"),
        ("2", "LowRank", (10,), "5408×10 + 10", ""),
        ("2.down", "ParametrizedLinear", (2,), "2×1 + 2×5408", ""),
        ("2.up", "Linear", (10,), "2×10", ""),
    ]
    assert [str(layer.kind) for layer in table.layers] == [
        *("convolution", "batch norm", "flatten", "linear", "linear", "linear"),
    ]


def test_parameters_outside_layers_are_rows_of_their_own() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.shifts = nn.ParameterList([torch.zeros(10)])
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
            self.inner.register_parameter("gain", nn.Parameter(torch.ones(1, 10)))
            self.functional = nn.Linear(10, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits = self.inner(x) * self.inner.gain * self.scale + self.shifts[0]
            return nn.functional.linear(logits, self.functional.weight)

    table = check(Scaled())
    assert rows(table, "name", "type", "output_shape", "parameter_sum", "called") == [
        ("scale", "Parameter", None, "1", True),
        ("inner.gain", "Parameter", None, "1×10", True),
        ("inner.0", "Flatten", (784,), "", True),
        ("inner.1", "Linear", (10,), "784×10 + 10", True),
        ("shifts.0", "Parameter", None, "10", True),
        ("functional", "Linear", None, "10×10 + 10", False),
    ]
    assert [str(remark) for remark in table.layers[-1].remarks()] == ["never called"]
    assert table.layers[-1].calls == 0


def test_a_network_that_is_one_layer_goes_by_its_class() -> None:
    class Direct(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(784, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1) @ self.weight

    assert rows(check(Direct()), "name", "output_shape", "parameter_sum") == [("Direct", (10,), "784×10")]


def test_frozen_parameters_are_counted_apart() -> None:
    table = table_of(nn.Flatten(), nn.Linear(784, 16).requires_grad_(False), nn.Linear(16, 10))
    assert (table.total, table.trainable) == (784 * 16 + 16 + 170, 170)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_layers_made_of_modules_are_one_row() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(28, 4, batch_first=True)
            self.lstm = nn.LSTM(28, 8, num_layers=2, bidirectional=True)
            self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(16, 12))
            self.old_normed = nn.utils.weight_norm(nn.Linear(12, 10))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.squeeze(1)
            attended, _ = self.attention(query=rows, key=rows, value=rows)
            states, _ = self.lstm(attended.transpose(0, 1))
            logits: torch.Tensor = self.old_normed(self.normed(states[-1]))
            return logits

    network = Attending()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    table = check(network)
    assert rows(table, "name", "output_shape") == [
        ("attention", (28, 28)),
        ("lstm", (28, 16)),
        ("normed", (12,)),
        ("old_normed", (10,)),
    ]
    assert str(table.layers[1].specification) == "28→8, 2 layers, bidirectional"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_transformer_block_loses_no_parameter() -> None:
    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.TransformerEncoderLayer(28, 4, 32, batch_first=True)
            self.out = nn.Linear(28, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.out(self.block(x.squeeze(1)).mean(1))
            return logits

    table = check(Transformer())
    assert all(layer.called for layer in table.layers)
    assert [layer.name for layer in table.layers if layer.parameters] == [
        "block.self_attn",
        "block.norm1",
        "block.linear1",
        "block.linear2",
        "block.norm2",
        "out",
    ]


def test_images_cut_into_pieces_keep_a_shape_per_image() -> None:
    class Pieces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.each_row = nn.Linear(28, 4)
            self.out = nn.Linear(28 * 4, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.out(self.each_row(x.reshape(-1, 28)).reshape(len(x), -1))
            return logits

    assert rows(check(Pieces()), "output_shape") == [((28, 4),), ((10,),)]


# Side effects


class Noisy(Regularised):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().forward(x + torch.rand_like(x))


class Uncopyable(Noisy):
    def __init__(self) -> None:
        super().__init__()
        self.kept = self.out.weight * 2


@pytest.mark.parametrize("make", [Noisy, Uncopyable])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_the_generator_are_left_as_they_were(make: type[Noisy], training: bool) -> None:
    network = make().train(training)
    network.head.eval()
    modes = [module.training for module in network.modules()]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    generator = torch.get_rng_state()
    layer_table(network, "own")
    assert torch.equal(torch.get_rng_state(), generator)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    if make is Noisy:
        assert network.calls == 0


def test_a_table_goes_to_another_process_and_to_json() -> None:
    table = layer_table(RN_2(), "RN_2")
    assert msgspec.json.decode(msgspec.json.encode(table), type=LayerTable) == table
    plain = msgspec.json.decode(msgspec.json.encode(table.to_dict()))
    assert plain["model"] == "RN_2"
    assert plain["total"] == 421_642
    assert plain["layers"][0] == {
        "name": "conv1",
        "type": "Conv2d",
        "kind": "convolution",
        "specification": "1→32, 3×3, p 1",
        "output_shape": [32, 28, 28],
        "parameters": 320,
        "parameter_sum": "1×32×3×3 + 32",
        "output_derivation": "(28 + 2·1 − 3)/1 + 1 = 28",
        "shared": False,
        "called": True,
        "calls": 1,
    }


def test_the_table_s_data_need_no_torch() -> None:
    code = "import sys, core.networks.layer_table; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
