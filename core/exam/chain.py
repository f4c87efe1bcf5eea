"""How the size of an image goes through the layers of a table, also with mistakes in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Literal

from core.exam.mistakes import MOST_MISTAKES, Attempt
from core.exam.sheet import Reason
from core.networks.layer_table import Layer, Settings

Shape = tuple[int, ...]
Role = Literal["convolution", "pooling", "linear", "flatten", "same", "other"]
Slip = Literal["pool_not_applied", "pool_twice", "padding_forgotten", "stride_forgotten"]


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


class Chains:
    """The layers of a table, and the ways of a size through those that are each given what the one before gave."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self.layers = layers
        self.roles = tuple(map(role, layers))
        self._without_carried: dict[int, list[Attempt]] = {}

    def follows(self, position: int) -> bool:
        """Tell if a layer is given what the one before it gave."""
        return position > 0 and self.layers[position].input_shape == self.layers[position - 1].output_shape

    def sources(self, position: int) -> Iterator[int]:
        """Yield the layers from which a layer's input comes: the one before, and behind those that keep the size."""
        while self.follows(position):
            position -= 1
            yield position
            if self.roles[position] != "same":
                return

    def ways(self, last: int, carried: Mapping[int, Attempt]) -> list[Attempt]:
        """Return the ways to a layer's output, of at most two mistakes: the right one comes first.

        `carried` are sizes that are given in the table for earlier layers, and are wrong.
        """
        first = last
        while self.follows(first):
            first -= 1
        if last not in self._without_carried:
            self._without_carried[last] = self._found(first, Attempt(self.layers[first].input_shape or ()), last)
        ways = self._without_carried[last]
        given = max((position for position in carried if first <= position < last), default=None)
        if given is None:
            return ways
        return list(dict.fromkeys((*ways, *self._found(given + 1, carried[given], last))))

    def ways_into(self, position: int, carried: Mapping[int, Attempt]) -> list[Attempt]:
        """Return the ways to a layer's input, likewise."""
        if self.follows(position):
            return self.ways(position - 1, carried)
        return [Attempt(self.layers[position].input_shape or ())]

    def _found(self, begin: int, start: Attempt, last: int) -> list[Attempt]:
        tried = (self._go(begin, start, slips, last) for slips in self._slips(begin, last))
        right = self.layers[last].output_shape
        ways = [way for way in tried if way is not None and way.cost <= MOST_MISTAKES]
        ways = [way for way in ways if way.numbers != right or not way.reasons]
        return sorted(dict.fromkeys(ways), key=lambda way: (way.cost, bool(way.reasons)))

    def _slips(self, begin: int, last: int) -> Iterator[Mapping[int, frozenset[Slip]]]:
        """Yield the mistakes that can be made on the way: none, each, and each two."""
        single: list[tuple[int, Slip]] = []
        for position in range(begin, last + 1):
            single += [(position, slip) for slip in self._possible(position)]
        yield {}
        yield from ({position: frozenset((slip,))} for position, slip in single)
        for (here, one), (there, other) in combinations(single, 2):
            if here == there:
                yield {here: frozenset((one, other))}
            else:
                yield {here: frozenset((one,)), there: frozenset((other,))}

    def _possible(self, position: int) -> Iterator[Slip]:
        settings, does = self.layers[position].settings, self.roles[position]
        if settings is None or does not in ("convolution", "pooling"):
            return
        if does == "pooling":
            yield "pool_not_applied"
            yield "pool_twice"
        if any(settings.padding):
            yield "padding_forgotten"
        if set(settings.stride) != {1}:
            yield "stride_forgotten"

    def _go(self, begin: int, start: Attempt, slips: Mapping[int, frozenset[Slip]], last: int) -> Attempt | None:
        shape: Shape | None = start.numbers
        for position in range(begin, last + 1):
            if shape is None:
                return None
            shape = _through(self.layers[position], self.roles[position], shape, slips.get(position, frozenset()))
        layers = self.layers
        made = frozenset(Reason(slip, layer=layers[place].name) for place, each in slips.items() for slip in each)
        return None if shape is None else Attempt(shape, start.reasons | made)
