"""The exam's networks with dropout, batch normalisation or a different width."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
import torchinfo

from core.catalogue import NETWORKS
from core.networks.build import built_in_class
from core.networks.tabulate import layer_table
from tests.built import built


@pytest.mark.parametrize("model", NETWORKS)
def test_without_options_the_exam_s_own_class_is_built(model: str) -> None:
    assert type(built(model)) is built_in_class(model)
    assert type(built(model, dropout=0.0, batch_norm=False, width=1.0)) is built_in_class(model)


@pytest.mark.parametrize("model", NETWORKS)
def test_what_adds_no_parameters_draws_none(model: str) -> None:
    torch.manual_seed(3)
    exam = built(model)
    torch.manual_seed(3)
    variant = built(model, dropout=0.5)
    assert list(variant.state_dict()) == list(exam.state_dict())
    assert all(map(torch.equal, variant.state_dict().values(), exam.state_dict().values()))
    images = torch.randn(5, 1, 28, 28)
    assert torch.equal(variant.eval()(images), exam.eval()(images))


def test_the_layers_stand_in_forward_order() -> None:
    perceptron = [f"{kind}{i}" for i in (1, 2, 3) for kind in ("fc", "bn", "relu", "dropout")]
    convolutions = [f"{kind}{i}" for i in (1, 2) for kind in ("conv", "bn", "relu", "pool")]
    expected = {
        "RN_1": ["flatten", *perceptron, "fc4"],
        "RN_2": [*convolutions, "flatten", "fc1", "bn3", "relu3", "dropout1", "fc2"],
    }
    for model, names in expected.items():
        network = built(model, dropout=0.5, batch_norm=True)
        assert [name for name, _ in network.named_children()] == names
        assert [layer.name for layer in layer_table(network, model).layers] == names


def perceptron_size(width: float, batch_norm: bool) -> int:
    sizes = [784, *(max(1, round(size * width)) for size in (512, 256, 128)), 10]
    weights = sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))
    return weights + batch_norm * 2 * sum(sizes[1:-1])


def convolutional_size(width: float, batch_norm: bool) -> int:
    first, second, units = (max(1, round(size * width)) for size in (32, 64, 128))
    weights = (9 * first + first) + (9 * first * second + second) + (49 * second * units + units) + (units * 10 + 10)
    return weights + batch_norm * 2 * (first + second + units)


@pytest.mark.parametrize("width", [0.001, 0.3, 0.5, 1, 2.5])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("model", "size"), [("RN_1", perceptron_size), ("RN_2", convolutional_size)])
def test_parameters_by_formula_and_by_an_independent_library(
    model: str, size: Callable[[float, bool], int], batch_norm: bool, width: float
) -> None:
    network = built(model, dropout=0.25, batch_norm=batch_norm, width=width)
    table = layer_table(network, model)
    summary = torchinfo.summary(network, input_size=(2, 1, 28, 28), verbose=0)
    assert table.total == size(width, batch_norm) == summary.total_params
    theirs = {layer.var_name: layer for layer in summary.summary_list if layer.is_leaf_layer}
    for layer in table.layers:
        assert layer.output_shape == tuple(theirs[layer.name].output_size[1:])
        assert layer.parameters == theirs[layer.name].num_params
