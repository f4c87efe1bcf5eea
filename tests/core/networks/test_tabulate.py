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


def test_tied_weights_are_counted_once() -> None:
    encoder, decoder = nn.Linear(28, 28), nn.Linear(28, 28)
    decoder.weight = encoder.weight
    table = table_of(encoder, decoder)
    assert rows(table, "parameter_sum", "parameters", "shared") == [("28×28 + 28", 812, False), ("28", 28, True)]


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


def test_parametrized_parameters_beside_layers_are_rows_of_their_own() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(784, 8))
            self.out = nn.Linear(8, 10)
            nn.utils.parametrizations.weight_norm(self, "weight")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.out(x.flatten(1) @ self.weight)
            return logits

    assert rows(check(Beside()), "type", "parameter_sum") == [
        ("Parameter", "784×1"),
        ("Parameter", "784×8"),
        ("Linear", "8×10 + 10"),
    ]


@pytest.mark.filterwarnings("ignore")
def test_what_is_compiled_is_one_layer() -> None:
    compiled = torch.jit.script(nn.Sequential(nn.Linear(784, 20), nn.ReLU()))
    assert rows(table_of(nn.Flatten(), compiled, nn.Linear(20, 10)), "name", "output_shape", "parameters")[1:] == [
        ("1", (20,), 15_700),
        ("2", (10,), 210),
    ]


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
        "input_shape": [1, 28, 28],
        "settings": {
            "inputs": 1,
            "outputs": 32,
            "kernel": [3, 3],
            "stride": [1, 1],
            "padding": [2, 2],
            "dilation": [1, 1],
            "ceil": False,
            "groups": 1,
            "bias": True,
        },
    }


def test_the_table_s_data_need_no_torch() -> None:
    code = "import sys, core.networks.layer_table; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
