"""Multiply–accumulates per image."""

from __future__ import annotations

import torch
from torch import nn

from core.networks import exam
from core.networks.macs import macs_per_image


def test_macs_are_those_of_the_formula() -> None:
    assert macs_per_image(exam.RN_1()) == 784 * 512 + 512 * 256 + 256 * 128 + 128 * 10 == 566_528
    convolutions = 28 * 28 * 32 * 1 * 9 + 14 * 14 * 64 * 32 * 9
    assert macs_per_image(exam.RN_2()) == convolutions + 3136 * 128 + 128 * 10


def test_counting_changes_neither_the_network_nor_the_generator() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.Dropout(0.5), nn.Linear(20, 10))
    before, state = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    assert macs_per_image(network) == 784 * 20 + 20 * 10
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_products_within_fused_layers_are_counted() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.LSTM(28, 64, batch_first=True)
            self.out = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.rows(x.squeeze(1))[0][:, -1])  # type: ignore[no-any-return]

    assert macs_per_image(Reader()) == 28 * 4 * 64 * (28 + 64) + 640
