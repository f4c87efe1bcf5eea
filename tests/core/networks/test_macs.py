"""Multiply–accumulates per image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

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


class Functional(nn.Module):
    """A network written as a function of the images and of an array of 784×10 parameters."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(784, 10))
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, self.weight)


class Reader(nn.Module):
    """A network that gives the rows of an image to a layer, and the first ten numbers that come out as logits."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states = self.layer(x.squeeze(1))
        first: torch.Tensor = states[0] if isinstance(states, tuple) else states
        return first.flatten(1)[:, :10]


class Attending(nn.MultiheadAttention):
    def __init__(self, *, need_weights: bool) -> None:
        super().__init__(28, 4, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        attended: torch.Tensor = super().forward(x, x, x, need_weights=self.need_weights)[0]
        return attended


ATTENTION = 4 * 28 * 28 * 28 + 2 * 28 * 28 * 28
"""Four projections of 28 rows, and the rows' products with each other and with the weights."""


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.LSTM(28, 64, batch_first=True), 28 * 4 * 64 * (28 + 64)),
        (nn.LSTM(28, 8, 2, bidirectional=True, batch_first=True), 28 * 4 * 8 * 2 * ((28 + 8) + (16 + 8))),
        (nn.LSTM(28, 16, proj_size=4, batch_first=True), 28 * (4 * 16 * (28 + 4) + 16 * 4)),
        (nn.GRU(28, 8, batch_first=True, bidirectional=True), 28 * 3 * 8 * 2 * (28 + 8)),
        (nn.RNN(28, 16, batch_first=True), 28 * 16 * (28 + 16)),
        (nn.Sequential(nn.Flatten(0, 1), nn.GRUCell(28, 8), nn.Unflatten(0, (-1, 28))), 28 * 3 * 8 * (28 + 8)),
        (Attending(need_weights=True), ATTENTION),
        (Attending(need_weights=False), ATTENTION),
        (nn.TransformerEncoderLayer(28, 4, 32, batch_first=True), ATTENTION + 28 * 2 * 28 * 32),
    ],
)
def test_products_within_recurrent_and_attention_layers_are_counted(layer: nn.Module, expected: int) -> None:
    assert macs_per_image(Reader(layer)) == expected


def test_products_within_other_layers_are_counted() -> None:
    class Pair(nn.Bilinear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return super().forward(x[:, 0], x[:, 1])

    assert macs_per_image(Reader(Pair(28, 28, 10))) == 10 * (28 * 28 + 28)
    upwards = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, groups=2),
        nn.Conv2d(4, 8, 5, groups=4),
    )
    assert macs_per_image(upwards) == 14 * 14 * 8 * 9 + 14 * 14 * 8 * 2 * 9 + 24 * 24 * 8 * 1 * 25


def _attention(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    heads = x.reshape(len(x), 28, 4, 7).transpose(1, 2)
    attended = functional.scaled_dot_product_attention(heads, heads, heads)
    return functional.linear(attended.transpose(1, 2).reshape(len(x), -1), weight.T)


def _masked_attention(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    rows = x[:, 0]
    mask = torch.zeros(28, 28, dtype=torch.bool).fill_diagonal_(True)
    attended = functional.scaled_dot_product_attention(rows, rows, rows, attn_mask=mask)
    return attended.flatten(1) @ weight


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (_attention, 7840 + 2 * 4 * 28 * 28 * 7),
        (_masked_attention, 7840 + 2 * 28 * 28 * 28),
        (lambda x, w: torch.einsum("bi,io->bo", x.flatten(1), w), 7840),
        (lambda x, w: torch.einsum("bchw,hwo->bo", x, w.reshape(28, 28, 10)), 7840),
        (lambda x, w: torch.tensordot(x[:, 0], w.reshape(28, 28, 10), 2), 7840),
        (lambda x, w: torch.stack([image @ w for image in x.flatten(1)]), 7840),
        (lambda x, w: torch.vmap(lambda image: image.flatten() @ w)(x), 7840),
        (lambda x, w: torch.baddbmm(torch.zeros(10), x[:, 0], w[:28].expand(len(x), 28, 10))[:, 0], 28 * 280),
        (lambda x, w: functional.conv2d(x, w.T.reshape(10, 1, 28, 28)).flatten(1), 7840),
        (lambda x, w: (functional.unfold(x, 7, stride=7).mT @ w[:49]).mean(1), 16 * 490),
        (lambda x, w: (x.flatten(1).cfloat() @ w.cfloat()).abs(), 4 * 7840),
        # written out by hand
        (lambda x, w: (x.flatten(1)[:, :, None] * w).sum(1), 7840),
        (lambda x, w: (x.flatten(1)[:, :, None] * w / 28).transpose(1, 2).contiguous().sum(-1), 7840),
        (lambda x, w: (x.flatten(1)[:, None] * w.T).mean(-1), 7840),
        (lambda x, w: (x * w[:4, 0].reshape(4, 1, 1)).relu().mean((2, 3)) @ w[:4], 40),
        (lambda x, w: (x.flatten(1)[:, None] * w.T).detach().sum(-1), 7840),
        (lambda x, w: -((x.flatten(1)[:, None] - w.T) ** 2).sum(-1), 7840),
        # elementwise: as usual, none
        (lambda x, w: (x.flatten(1) * w[:, 0].sigmoid() + w[:, 1]) @ w, 7840),
        (lambda x, w: torch.addcmul(x.flatten(1), x.flatten(1), w[:, 0]) @ w, 7840),
        (lambda x, w: functional.normalize(x.flatten(1)) @ w, 7840),
        # once for all images
        (lambda x, w: x.flatten(1) @ (w @ w[:10]), 7840),
    ],
)
def test_products_without_layers_are_counted(function: Any, expected: int) -> None:
    assert macs_per_image(Functional(function)) == expected


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w: sum((x.flatten(1)[:, i : i + 1] * w[i] for i in range(9)), torch.zeros(10)),
        lambda x, w: torch.addcmul(torch.zeros(len(x), 10), x[:, 0, 0, :1], w[0]),
        lambda x, w: (x.flatten(1)[:, None] * w.T).relu().sum(-1),
        lambda x, w: -(x.flatten(1)[:, None] - w.T).norm(dim=-1),
        lambda x, w: -torch.cdist(x.flatten(1), w.T),
        lambda x, w: torch.fft.fft2(x).abs().flatten(1) @ w,
        lambda x, w: torch.sparse.mm(x.flatten(1).to_sparse(), w),
        lambda x, w: torch.linalg.matrix_exp(x[:, 0])[:, 0, :10] * w[0],
        lambda x, w: x.flatten(1) @ x.flatten(1).T @ x.flatten(1) @ w,
    ],
    ids=[
        "summed by hand",
        "added and multiplied",
        "summed later",
        "distances",
        "cdist",
        "Fourier",
        "sparse",
        "exponential",
        "across the batch",
    ],
)
def test_what_has_no_formula_is_not_known(function: Any) -> None:
    assert macs_per_image(Functional(function)) is None
