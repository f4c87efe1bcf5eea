"""How the size of an image goes through the layers of a table, also with mistakes in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from core.exam.mistakes import MOST_MISTAKES, NONE, Reasons, cost
from core.exam.sheet import Reason
from core.networks.layer_table import Layer, Settings

Shape = tuple[int, ...]
Role = Literal["convolution", "pooling", "linear", "flatten", "same", "other"]
Slip = Literal["pool_not_applied", "pool_twice", "padding_forgotten", "stride_forgotten"]


@dataclass(frozen=True)
class Way:
    """A way to arrive at something, with the mistakes on it."""

    shape: Shape
    reasons: Reasons = NONE

    @property
    def cost(self) -> int:
        return cost(self.reasons)


def role(layer: Layer) -> Role:
    """Return what a layer does to the size of its input, if its own numbers agree with that."""
    given, gave, settings = layer.input_shape, layer.output_shape, layer.settings
    if given is None or gave is None:
        return "other"
    found: Role = "same" if given == gave else "other"
    if settings is not None:
        found = "linear" if not settings.kernel else "convolution" if settings.inputs else "pooling"
    elif layer.type == "Flatten":
        found = "flatten"
    return found if _through(layer, found, given, frozenset()) == gave else "other"


def _through(layer: Layer, does: Role, given: Shape, slips: frozenset[Slip]) -> Shape | None:
    """Return what a layer makes of a size, with mistakes; None if nothing is left."""
    settings = layer.settings
    if does == "same":
        return given
    if does == "flatten":
        return (math.prod(given),)
    if settings is None or does == "other":
        return layer.output_shape
    if does == "linear":
        return (*given[:-1], settings.outputs)
    count = len(settings.kernel)
    if len(given) != count + 1 or (does == "pooling" and "pool_not_applied" in slips):
        return given if len(given) == count + 1 else None
    sides: Shape | None = given[1:]
    for _time in range(2 if "pool_twice" in slips else 1):
        sides = None if sides is None else _slid(settings, sides, slips)
    if sides is None:
        return None
    return (settings.outputs if does == "convolution" else given[0], *sides)


def _slid(settings: Settings, sides: Shape, slips: frozenset[Slip]) -> Shape | None:
    found = []
    for place, side in enumerate(sides):
        padding = 0 if "padding_forgotten" in slips else settings.padding[place]
        stride = 1 if "stride_forgotten" in slips else settings.stride[place]
        room = side + padding - settings.dilation[place] * (settings.kernel[place] - 1) - 1
        if room < 0:
            return None
        found.append((-(-room // stride) if settings.ceil else room // stride) + 1)
    return tuple(found)


class Chain:
    """The layers up to one of them, each of which is given what the one before gave."""

    def __init__(self, layers: tuple[Layer, ...], last: int) -> None:
        self._roles = {position: role(layers[position]) for position in range(last + 1)}
        self._layers = layers
        self._last = last
        first = last
        while first and layers[first].input_shape == layers[first - 1].output_shape:
            first -= 1
        self._first = first

    def ways(self, carried: Mapping[int, Way]) -> list[Way]:
        """Return the ways to the last layer's output, of at most two mistakes: the right one comes first.

        `carried` are sizes that are given in the table for earlier layers, and are wrong.
        """
        found: dict[tuple[Shape, Reasons], Way] = {}
        begins = [(self._first, Way(self._layers[self._first].input_shape or ()))]
        given = [position for position in carried if self._first <= position < self._last]
        if given:
            begins.append((max(given) + 1, carried[max(given)]))
        for begin, start in begins:
            for slips in self._slips(begin):
                way = self._go(begin, start, slips)
                if way is not None:
                    found.setdefault((way.shape, way.reasons), way)
        ways = sorted(found.values(), key=lambda way: (way.cost, bool(way.reasons)))
        right = self._layers[self._last].output_shape
        return [way for way in ways if way.cost <= MOST_MISTAKES and (way.shape != right or not way.reasons)]

    def _slips(self, begin: int) -> Iterator[Mapping[int, frozenset[Slip]]]:
        """Yield the mistakes that can be made on the way: none, each, and each two."""
        single: list[tuple[int, Slip]] = []
        for position in range(begin, self._last + 1):
            single += [(position, slip) for slip in self._possible(position)]
        yield {}
        for position, slip in single:
            yield {position: frozenset((slip,))}
        for (here, one), (there, other) in combinations(single, 2):
            yield (
                {here: frozenset((one, other))}
                if here == there
                else {
                    here: frozenset((one,)),
                    there: frozenset((other,)),
                }
            )

    def _possible(self, position: int) -> Iterator[Slip]:
        settings, does = self._layers[position].settings, self._roles[position]
        if settings is None or does not in ("convolution", "pooling"):
            return
        if does == "pooling":
            yield "pool_not_applied"
            yield "pool_twice"
        if any(settings.padding):
            yield "padding_forgotten"
        if set(settings.stride) != {1}:
            yield "stride_forgotten"

    def _go(self, begin: int, start: Way, slips: Mapping[int, frozenset[Slip]]) -> Way | None:
        shape: Shape | None = start.shape
        for position in range(begin, self._last + 1):
            if shape is None:
                return None
            shape = _through(self._layers[position], self._roles[position], shape, slips.get(position, frozenset()))
        layers = self._layers
        made = frozenset(Reason(slip, layer=layers[place].name) for place, each in slips.items() for slip in each)
        return None if shape is None else Way(shape, start.reasons | made)
