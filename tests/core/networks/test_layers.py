"""The row of each kind of layer: its words, its parameters' sum, and where the size of its output comes from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.networks.layer_table import Layer
from tests.core.networks.checked_tables import check, rows, table_of


def only(layer: nn.Module) -> Layer:
    return table_of(layer).layers[0]


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize(
    ("layer", "specification", "parameter_sum", "derivation"),
    [
        (
            nn.Conv2d(1, 4, 3, padding=1, stride=2, dilation=2),
            "1→4, 3×3, s 2, p 1, d 2",
            "1×4×3×3 + 4",
            "⌊(28 + 2·1 − 2·(3 − 1) − 1)/2⌋ + 1 = 13",
        ),
        (
            nn.Conv2d(1, 4, (3, 5), padding=(1, 0), bias=False),
            "1→4, 3×5, p 1×0",
            "1×4×3×5",
            "(28 + 2·1 − 3)/1 + 1 = 28; (28 − 5)/1 + 1 = 24",
        ),
        (
            nn.Conv2d(1, 4, (2, 3), padding="same"),
            "1→4, 2×3, p same",
            "1×4×2×3 + 4",
            "(28 + 1 − 2)/1 + 1 = 28; (28 + 2·1 − 3)/1 + 1 = 28",
        ),
        (nn.Conv2d(1, 4, 5, padding="valid"), "1→4, 5×5", "1×4×5×5 + 4", "(28 − 5)/1 + 1 = 24"),
        (nn.MaxPool2d(3), "3×3, stride 3", "", "⌊(28 − 3)/3⌋ + 1 = 9"),
        (nn.MaxPool2d(3, ceil_mode=True), "3×3, stride 3, ⌈⌉", "", "⌈(28 − 3)/3⌉ + 1 = 10"),
        (nn.AvgPool2d(2, 3, 1, ceil_mode=True), "2×2, stride 3, p 1, ⌈⌉", "", "⌈(28 + 2·1 − 2)/3⌉ + 1 − 1 = 10"),
        (nn.AvgPool2d((2, 4)), "2×4, stride 2×4", "", "(28 − 2)/2 + 1 = 14; (28 − 4)/4 + 1 = 7"),
        (nn.LPPool2d(2, (2, 4)), "2×4, stride 2×4, L2", "", "(28 − 2)/2 + 1 = 14; (28 − 4)/4 + 1 = 7"),
        (nn.AdaptiveAvgPool2d(7), "→7×7", "", "28 → 7"),
        (nn.AdaptiveMaxPool2d((None, 4)), "→–×4", "", "28 → 28; 28 → 4"),
        (nn.FractionalMaxPool2d(2, output_size=13), "→13×13", "", "28 → 13"),
        (nn.FractionalMaxPool2d(2, output_ratio=0.5), "×0.5", "", "28 → 14"),
        (nn.Upsample(scale_factor=2), "×2, nearest", "", "28·2 = 56"),
        (nn.Upsample(scale_factor=(1.4, 2.0), mode="bilinear"), "×1.4×2, bilinear", "", "⌊28·1.4⌋ = 39; 28·2 = 56"),
        (nn.Upsample(size=(7, 14)), "→7×14, nearest", "", "28 → 7; 28 → 14"),
        (nn.PixelUnshuffle(2), "×1/2", "", "1·2·2 = 4; 28/2 = 14"),
        (nn.Unfold(7, stride=7), "7×7, stride 7", "", "1·7·7 = 49; ((28 − 7)/7 + 1)·((28 − 7)/7 + 1) = 16"),
        (nn.Unflatten(2, (4, 7)), "→4×7", "", ""),
        (nn.ZeroPad2d(2), "p 2", "", "28 + 2·2 = 32"),
        (nn.ReflectionPad2d((1, 2, 0, 0)), "p 1/2/0/0", "", "28 = 28; 28 + 1 + 2 = 31"),
        (nn.ConstantPad2d((-1, 0, -1, 0), 0.5), "p -1/0/-1/0", "", "28 − 1 = 27"),
        (nn.BatchNorm2d(1), "1 channels", "2×1", ""),
        (nn.BatchNorm2d(1, affine=False), "1 channels", "", ""),
        (nn.Linear(28, 5, bias=False), "28→5", "28×5", ""),
        (nn.Dropout(0.5), "p = 0.5", "", ""),
        (nn.Flatten(2), "", "", "28·28 = 784"),
        (nn.Flatten(0), "", "", ""),
        (nn.PReLU(), "", "1", ""),
        (nn.LayerNorm([28, 28]), "", "2×28×28", ""),
        (nn.ConvTranspose2d(1, 4, 3, stride=2), "1→4, 3×3, s 2", "1×4×3×3 + 4", "(28 − 1)·2 + 3 = 57"),
        (
            nn.ConvTranspose2d(1, 4, 3, stride=2, padding=1, output_padding=1, dilation=2),
            "1→4, 3×3, s 2, p 1, op 1, d 2",
            "1×4×3×3 + 4",
            "(28 − 1)·2 − 2·1 + 2·(3 − 1) + 1 + 1 = 58",
        ),
    ],
)
def test_one_layer(layer: nn.Module, specification: str, parameter_sum: str, derivation: str) -> None:
    row = only(layer)
    assert (str(row.specification), row.parameter_sum, row.output_derivation) == (
        specification,
        parameter_sum,
        derivation,
    )


def test_layers_that_follow_others() -> None:
    table = table_of(
        nn.Conv2d(1, 8, 3, stride=2, padding=1),
        nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
        nn.PixelUnshuffle(2),
        nn.PixelShuffle(2),
        nn.GroupNorm(2, 4),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
    )
    assert [(str(row.specification), row.output_derivation) for row in table.layers[1:6]] == [
        ("8→4, 3×3, s 2, p 1, op 1", "(14 − 1)·2 − 2·1 + 3 + 1 = 28"),
        ("×1/2", "4·2·2 = 16; 28/2 = 14"),
        ("×2", "16/(2·2) = 4; 14·2 = 28"),
        ("4 channels, 2 groups", ""),
        ("→4×4", "28 → 4"),
    ]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize(
    ("layer", "specification", "size", "derivation"),
    [
        (nn.LSTM(28, 8, batch_first=True), "28→8", (28, 8), ""),
        (nn.GRU(28, 8, 2, batch_first=True), "28→8, 2 layers", (28, 8), ""),
        (nn.RNN(28, 8, bidirectional=True), "28→8, bidirectional", (28, 16), "2·8 = 16"),
        (nn.LSTM(28, 8, 3, bidirectional=True, proj_size=5), "28→5, 3 layers, bidirectional", (28, 10), "2·5 = 10"),
        (nn.GRUCell(28, 8), "28→8", (28, 8), ""),
    ],
)
def test_recurrent_layers(layer: nn.Module, specification: str, size: tuple[int, ...], derivation: str) -> None:
    cell = isinstance(layer, nn.RNNCellBase)
    row = table_of(nn.Flatten(0, 2) if cell else nn.Flatten(1, 2), layer).layers[1]
    assert str(row.kind) == "recurrent layer"
    assert (str(row.specification), row.output_shape, row.output_derivation) == (specification, size, derivation)


def test_attention_bilinear_and_embedding() -> None:
    class Pairs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = nn.Embedding(28, 28)
            self.attention = nn.MultiheadAttention(28, 4, batch_first=True)
            self.pair = nn.Bilinear(28, 28, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            lines = x.squeeze(1) + self.place(torch.arange(28))
            lines, _ = self.attention(lines, lines, lines)
            logits: torch.Tensor = self.pair(lines[:, 0], lines[:, 1])
            return logits

    assert [(str(row.kind), str(row.specification), row.output_derivation) for row in check(Pairs()).layers] == [
        ("embedding", "28→28", ""),
        ("multi-head attention", "28, 4 heads", "4·7 = 28"),
        ("bilinear", "28·28→10", ""),
    ]


def test_groups_divide_the_inputs_that_a_kernel_sees() -> None:
    row = table_of(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, groups=4)).layers[1]
    assert str(row.specification) == "8→16, 3×3, g 4"
    assert row.parameter_sum == "2×16×3×3 + 16"


def test_kinds_in_annexe_1_s_words_else_the_class_name() -> None:
    class Mine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    layers = [nn.BatchNorm2d(1), nn.Dropout(), nn.AvgPool2d(2), nn.LPPool2d(2, 2), nn.ZeroPad2d(1), nn.Upsample(4)]
    kinds = [str(layer.kind) for layer in table_of(*layers, nn.Sigmoid(), nn.Softmax(1), Mine()).layers]
    assert kinds[:6] == ["batch norm", "dropout", "average pooling", "LP pooling", "padding", "upsampling"]
    assert kinds[6:] == ["Sigmoid", "Softmax", "Mine"]


def test_a_layer_of_another_dimension_and_a_subclass_keep_their_formulas() -> None:
    class Wide(nn.Conv1d): ...

    table = table_of(nn.Flatten(2), Wide(1, 3, 5, stride=4), nn.MaxPool1d(2))
    assert rows(table, "type", "output_derivation", "output_shape")[1:] == [
        ("Wide", "⌊(784 − 5)/4⌋ + 1 = 195", (3, 195)),
        ("MaxPool1d", "⌊(195 − 2)/2⌋ + 1 = 97", (3, 97)),
    ]


def test_a_layer_that_computes_its_size_otherwise_claims_no_derivation() -> None:
    class Circular(nn.MaxPool2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            pooled: torch.Tensor = super().forward(nn.functional.pad(x, (4, 4, 4, 4)))
            return pooled

    assert only(Circular(2)).output_derivation == ""


def test_a_layer_called_by_keyword_has_its_derivation() -> None:
    class Keyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.conv(input=x)
            return maps

    assert rows(check(Keyword()), "output_derivation") == [("(28 − 3)/1 + 1 = 26",)]
