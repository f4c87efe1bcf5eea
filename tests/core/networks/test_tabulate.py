"""The layer tables: the exam's numbers, the sums behind them, and the results of an independent library."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest
import torch
import torchinfo
from torch import nn

from core.networks.exam import RN_1, RN_2
from core.networks.layer_table import Layer, LayerTable
from core.networks.tabulate import layer_table

PYTHON = str.maketrans({"×": "*", "·": "*", "−": "-", "⌊": "floor(", "⌉": ")", "⌋": ")", "⌈": "ceil("})


def value(formula: str) -> float:
    result: float = eval(formula.translate(PYTHON), {"__builtins__": {}, "floor": math.floor, "ceil": math.ceil})
    return result


def table_of(*layers: nn.Module) -> LayerTable:
    return check(nn.Sequential(*layers))


def check(network: nn.Module) -> LayerTable:
    """Return the table of `network`; check every sum and derivation, and that nothing is missing or counted twice."""
    table = layer_table(network, "own")
    for layer in table.layers:
        assert (value(layer.parameter_sum) if layer.parameter_sum else 0) == layer.parameters
        for equation in filter(None, layer.output_derivation.split("; ")):
            left, _, right = equation.partition(" = ")
            assert value(left) == int(right)
            assert layer.output_shape is not None
            assert int(right) in layer.output_shape
    count = sum(parameter.numel() for parameter in network.parameters())
    assert table.total == count == sum(layer.parameters for layer in table.layers)
    return table


def rows(table: LayerTable, *fields: str) -> list[tuple[object, ...]]:
    return [tuple(getattr(layer, field) for field in fields) for layer in table.layers]


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


# Single layers


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
        (nn.AdaptiveAvgPool2d(7), "", "", ""),
        (nn.BatchNorm2d(1), "1 channels", "2×1", ""),
        (nn.BatchNorm2d(1, affine=False), "1 channels", "", ""),
        (nn.Linear(28, 5, bias=False), "28→5", "28×5", ""),
        (nn.Dropout(0.5), "p = 0.5", "", ""),
        (nn.Flatten(2), "", "", "28·28 = 784"),
        (nn.Flatten(0), "", "", ""),
        (nn.PReLU(), "", "1", ""),
        (nn.LayerNorm([28, 28]), "", "2×28×28", ""),
        (nn.ConvTranspose2d(1, 4, 3, stride=2), "", "1×4×3×3 + 4", ""),
    ],
)
def test_one_layer(layer: nn.Module, specification: str, parameter_sum: str, derivation: str) -> None:
    row = only(layer)
    assert (str(row.specification), row.parameter_sum, row.output_derivation) == (
        specification,
        parameter_sum,
        derivation,
    )


def test_groups_divide_the_inputs_that_a_kernel_sees() -> None:
    row = table_of(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, groups=4)).layers[1]
    assert str(row.specification) == "8→16, 3×3, g 4"
    assert row.parameter_sum == "2×16×3×3 + 16"


def test_kinds_in_annexe_1_s_words_else_the_class_name() -> None:
    class Mine(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    layers = [nn.BatchNorm2d(1), nn.Dropout(), nn.AvgPool2d(2), nn.Sigmoid(), nn.Softmax(1), Mine()]
    kinds = [str(layer.kind) for layer in table_of(*layers).layers]
    assert kinds[:3] == ["batch norm", "dropout", "average pooling"]
    assert kinds[3:] == ["Sigmoid", "Softmax", "Mine"]


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


# Whole networks


def test_a_layer_called_twice_has_two_rows_and_one_count() -> None:
    linear, relu = nn.Linear(28, 28), nn.ReLU()
    table = table_of(linear, relu, linear, relu, relu)
    assert rows(table, "name", "parameters", "shared") == [
        ("0", 812, False),
        ("1", 0, False),
        ("0", 0, True),
        ("1", 0, False),
    ]
    assert str(table.layers[2].remark()) == "parameters counted above"
    assert table.layers[0].remark() is None


def test_a_layer_in_two_places_goes_by_the_first() -> None:
    linear = nn.Linear(28, 28)
    table = table_of(nn.Sequential(linear), nn.ReLU(), nn.Sequential(linear))
    assert rows(table, "name", "parameters") == [("0.0", 812), ("1", 0), ("0.0", 0)]


def test_tied_weights_are_counted_once() -> None:
    encoder, decoder = nn.Linear(28, 28), nn.Linear(28, 28)
    decoder.weight = encoder.weight
    table = table_of(encoder, decoder)
    assert rows(table, "parameter_sum", "parameters", "shared") == [("28×28 + 28", 812, False), ("28", 28, True)]


def test_a_cell_in_a_loop_is_one_row() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(28, 16)
            self.out = nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = None
            for row in x.squeeze(1).unbind(1):
                state = self.cell(row, state)
            assert state is not None
            logits: torch.Tensor = self.out(state[0])
            return logits

    table = check(Rows())
    assert rows(table, "name", "output_shape", "parameter_sum") == [
        ("cell", (16,), "64×28 + 64×16 + 2×64"),
        ("out", (10,), "16×10 + 10"),
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
    assert str(table.layers[-1].remark()) == "never called"


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
    assert str(table.layers[1].specification) == "28→8"
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
    }


def test_the_table_s_data_need_no_torch() -> None:
    code = "import sys, core.networks.layer_table; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
