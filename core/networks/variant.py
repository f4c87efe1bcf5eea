"""The exam's networks with remedies against overfitting."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import nn

from core.config import Architecture


class Variant(nn.Sequential):
    """One of the exam's networks with remedies against overfitting: its layers in sequence, under the exam's names.

    `width` multiplies the channels and units of the hidden layers; batch normalisation comes before each ReLU (`bn1`,
    …) and dropout after those of the fully connected layers (`dropout1`, …).
    """

    def __init__(self, network_class: type[nn.Module], architecture: Architecture) -> None:
        with torch.device("meta"):  # only inspected: draws no parameters
            exam_layers = dict(network_class().named_children())
        *_hidden, last = exam_layers
        layers: dict[str, nn.Module] = {}
        norm: type[nn.Module] = nn.BatchNorm1d
        before, size = 1, 1  # channels or units of the previous layer: in the exam's network, and here
        for name, layer in exam_layers.items():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                inputs, outputs, norm, resized = _measured(layer)
                new = outputs if name == last else max(1, round(outputs * architecture.width))
                layers[name] = resized(inputs // before * size, new)
                before, size = outputs, new
            elif isinstance(layer, nn.ReLU):
                if architecture.batch_norm:
                    layers[_next_name("bn", layers)] = norm(size)
                layers[name] = nn.ReLU()
                if architecture.dropout and norm is nn.BatchNorm1d:
                    layers[_next_name("dropout", layers)] = nn.Dropout(architecture.dropout)
            else:
                layers[name] = layer
        super().__init__(OrderedDict(layers))


def _measured(layer: Any) -> tuple[int, int, type[nn.Module], Callable[[int, int], nn.Module]]:
    """Return inputs, outputs, the matching batch normalisation, and a factory for such a layer of another size."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features, nn.BatchNorm1d, nn.Linear
    convolution = partial(
        nn.Conv2d,
        kernel_size=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        padding_mode=layer.padding_mode,
    )
    return layer.in_channels, layer.out_channels, nn.BatchNorm2d, convolution


def _next_name(kind: str, layers: Iterable[str]) -> str:
    return f"{kind}{1 + sum(name.startswith(kind) for name in layers)}"
