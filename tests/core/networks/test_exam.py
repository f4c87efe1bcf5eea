"""The exam's two networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.built import built


def test_the_exam_s_layers_have_its_names_and_order() -> None:
    perceptron = ["flatten", "fc1", "relu1", "fc2", "relu2", "fc3", "relu3", "fc4"]
    convolutional = ["conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc1", "relu3", "fc2"]
    assert [name for name, _ in built("RN_1").named_children()] == perceptron
    assert [name for name, _ in built("RN_2").named_children()] == convolutional


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_an_exam_network_computes_what_its_layers_in_a_row_compute(model: str) -> None:
    network = built(model)
    images = torch.randn(3, 1, 28, 28)
    assert torch.equal(network(images), nn.Sequential(*network.children())(images))
