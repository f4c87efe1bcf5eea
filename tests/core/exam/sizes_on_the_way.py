"""Sizes on the way through a network, with and without mistakes, worked out apart from the marker."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from core.exam.sheet import Kind
from core.networks.layer_table import Layer, Settings

Astray = frozenset[tuple[Kind, int]]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Sizes:
    """Sizes around a layer."""

    before: Shape
    after: Shape
    flattened: Shape
    """Channels, height and width that were made one row, if that row is what the layer is given or gives; else ()."""


def sizes(layers: Sequence[Layer], astray: Astray) -> Sizes | None:
    """Return the sizes around the last of some layers; None if no image is left."""
    return _sizes(tuple(range(len(layers))), _Layers(layers), astray)


class _Layers(tuple[Layer, ...]):
    """Layers that are told apart by what they are, to remember sizes by."""

    def __hash__(self) -> int:
        return hash(tuple((layer.name, layer.type, layer.settings) for layer in self))


@cache
def _sizes(places: tuple[int, ...], layers: _Layers, astray: Astray) -> Sizes | None:
    before = after = layers[0].input_shape or ()
    flattened: Shape = ()
    for place in places:
        layer, before = layers[place], after
        if layer.type == "Flatten":
            flattened, after = before, (math.prod(before),)
        elif layer.settings is not None and layer.settings.kernel:
            after = _slid(layer.settings, before, {kind for kind, where in astray if where == place})
        elif layer.settings is not None:
            after = (layer.settings.outputs,)
        if min(after) < 1:
            return None
        if place < places[-1] and layer.settings is not None:
            flattened = ()
    return Sizes(before, after, flattened)


def _slid(settings: Settings, before: Shape, mistakes: set[Kind]) -> Shape:
    if "pool_not_applied" in mistakes:
        return before
    after = before
    for _time in range(2 if "pool_twice" in mistakes else 1):
        after = (settings.outputs or before[0], *(_side(settings, at, n, mistakes) for at, n in enumerate(after[1:])))
    return after


def _side(settings: Settings, at: int, n: int, mistakes: set[Kind]) -> int:
    padding = 0 if "padding_forgotten" in mistakes else settings.padding[at]
    stride = 1 if "stride_forgotten" in mistakes else settings.stride[at]
    left = n + padding - settings.dilation[at] * (settings.kernel[at] - 1) - 1
    return (-(-left // stride) if settings.ceil else left // stride) + 1 if left >= 0 else 0


def on_the_way(layers: Sequence[Layer]) -> Iterator[tuple[Kind, int]]:
    """Yield the mistakes that change a size somewhere in some layers, with the places of these."""
    for place, layer in enumerate(layers):
        settings = layer.settings
        if settings is None or not settings.kernel:
            continue
        if not settings.outputs:
            yield "pool_not_applied", place
            yield "pool_twice", place
        if any(settings.padding):
            yield "padding_forgotten", place
        if set(settings.stride) != {1}:
            yield "stride_forgotten", place


def made_by_itself(layer: Layer) -> bool:
    """Tell whether a layer makes the size of its output, instead of passing on that of its input."""
    return layer.settings is not None or layer.output_shape != layer.input_shape
