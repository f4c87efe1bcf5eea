"""Small networks made at random, each from a seed and a number alone, as exercises for the layer table.

All have the same number of rows. The same seed and number give the same network with every version of Python.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import NamedTuple, TypeVar

from core.catalogue import NUM_CLASSES, SIDE
from core.messages import N_, InvalidSetting

MAX_EXERCISES = 200
"""Exercises of one seed, at most."""
MAX_SEED = 2**32 - 1
NUM_ROWS = 12
"""Rows of each exercise's table."""

_LABEL = re.compile(r"exerci[cs]e\s*(?:n°)?\s*(\d{1,10})\s*[-–]\s*(\d{1,3})\b", re.IGNORECASE)
_PARAMETERS = range(2_000, 2_000_001)
_LARGEST_FLATTENED = 4096
_SMALLEST_SIDE = 2
_LAYOUTS = ((1, 1, 2, 3), (2, 1, 2, 1), (2, 2, 1, 2), (2, 2, 2, 0), (3, 1, 1, 1), (3, 2, 1, 0))
"""Numbers of convolutions, of poolings, of hidden linear layers and of further layers, with as many rows together."""
_CHANNELS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48)
_UNITS = (32, 40, 48, 60, 64, 80, 96, 100, 120, 128, 160, 200)
_KERNELS = ((3, 3), (3, 3), (3, 3), (5, 5), (5, 5), (7, 7), (3, 5), (5, 3), (1, 5), (5, 1))
_POOLS = ((2, 2), (2, 2), (2, 2), (3, 2), (3, 3), (2, 1))
"""Sides of the windows, and their strides."""
_DROPOUTS = (0.2, 0.25, 0.3, 0.5)
_BIAS_LEFT_OUT = 0.15
_Choice = TypeVar("_Choice")
_Size = tuple[int, int]


class Exercise(NamedTuple):
    """A network to describe, `seed` and `number` being all that it is made from."""

    seed: int
    number: int
    source: str
    """Program that defines it: a Python file."""

    @property
    def label(self) -> str:
        """Its name on a sheet, by which its key is found again: `exercise 3-01`."""
        return label_of(self.seed, self.number)

    @property
    def stem(self) -> str:
        """The name of its files, without what follows the dot."""
        return f"exercise-{self.number:02}"

    @property
    def class_name(self) -> str:
        return _class_name(self.number)


def exercises(seed: int, how_many: int) -> list[Exercise]:
    """Make as many exercises, whose tables all differ. Raises `InvalidSetting`."""
    if not 1 <= how_many <= MAX_EXERCISES:
        raise InvalidSetting("make", N_("the number of exercises must be from 1 to {most}"), most=MAX_EXERCISES)
    if not 0 <= seed <= MAX_SEED:
        raise InvalidSetting("seed", N_("the seed must be from 0 to {most}"), most=MAX_SEED)
    return list(islice(_different(seed), how_many))


def named(text: str) -> tuple[int, int] | None:
    """Return the seed and the number in a text such as `exercise 3-01`; None if it names none."""
    found = _LABEL.search(text)
    if found is None:
        return None
    seed, number = int(found[1]), int(found[2])
    return (seed, number) if seed <= MAX_SEED and 1 <= number <= MAX_EXERCISES else None


def label_of(seed: int, number: int) -> str:
    """Return what the sheet of an exercise calls it, whether it has been made or not."""
    return f"exercise {seed}-{number:02}"


def _class_name(number: int) -> str:
    return f"Exercise{number:02}"


def _different(seed: int) -> Iterator[Exercise]:
    """Yield the exercises of a seed one after the other; one like an earlier one is drawn again."""
    earlier: set[object] = set()
    for number in count(1):
        draw = _Draw(f"{seed}/{number}")
        while (found := _network(draw)) is None or found.essence in earlier:
            pass
        earlier.add(found.essence)
        yield Exercise(seed, number, _program(_class_name(number), found.lines))


class _Draw:
    """Random choices, made from nothing but `random()`, which is the same in every version of Python."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def one_of(self, choices: Sequence[_Choice]) -> _Choice:
        return choices[int(self._random.random() * len(choices))]

    def some_of(self, how_many: int, choices: Sequence[_Choice]) -> set[_Choice]:
        left = list(choices)
        return {left.pop(int(self._random.random() * len(left))) for _each in range(how_many)}

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability


class _Drawn(NamedTuple):
    lines: tuple[tuple[str, str], ...]
    """Names of its layers, and what makes them."""
    essence: object
    """What tells it from others, however much is left out of it in training."""


class _Builder:
    """A network under construction, with the size and the number of parameters that it has come to."""

    def __init__(self, draw: _Draw) -> None:
        self.lines: list[tuple[str, str]] = []
        self.size: _Size = (SIDE, SIDE)
        self.features = 1
        """Channels, and after the flattening units."""
        self.parameters = 0
        self._draw = draw
        self._numbers: dict[str, int] = {}

    def add(self, name: str, code: str) -> None:
        self._numbers[name] = self._numbers.get(name, 0) + 1
        self.lines.append((f"{name}{self._numbers[name]}", f"nn.{code}"))

    def convolution(self, *, first: bool, normalised: bool) -> None:
        kernel = self._draw.one_of(_KERNELS)
        padding = self._padding(kernel)
        stride = 2 if not first and self._draw.happens(0.15) else 1
        channels = self._draw.one_of(_CHANNELS)
        has_bias = not self._draw.happens(0.5 if normalised else _BIAS_LEFT_OUT)
        settings = [f"kernel_size={_as_code(kernel)}"]
        settings += [f"stride={stride}"] if stride > 1 else []
        settings += [f"padding={_as_code(padding)}"] if any(padding) else []
        settings += [] if has_bias else ["bias=False"]
        self.add("conv", f"Conv2d({self.features}, {channels}, {', '.join(settings)})")
        self.parameters += channels * (self.features * kernel[0] * kernel[1] + has_bias)
        self.features = channels
        self._slide(kernel, padding, stride)

    def pooling(self) -> None:
        side, stride = self._draw.one_of(_POOLS)
        kind = "MaxPool2d" if self._draw.happens(0.6) else "AvgPool2d"
        self.add("pool", f"{kind}(kernel_size={side}, stride={stride})")
        self._slide((side, side), (0, 0), stride)

    def batch_norm(self) -> None:
        self.add("bn", f"BatchNorm2d({self.features})")
        self.parameters += 2 * self.features

    def flatten(self) -> None:
        self.lines.append(("flatten", "nn.Flatten()"))
        self.features *= self.size[0] * self.size[1]

    def linear(self, units: int) -> None:
        has_bias = units == NUM_CLASSES or not self._draw.happens(_BIAS_LEFT_OUT)
        self.add("fc", f"Linear({self.features}, {units}{'' if has_bias else ', bias=False'})")
        self.parameters += units * (self.features + has_bias)
        self.features = units

    def _padding(self, kernel: _Size) -> _Size:
        whole = (kernel[0] // 2, kernel[1] // 2)
        return self._draw.one_of(((0, 0), whole, whole, (1, 1)) if min(kernel) > 1 else ((0, 0), whole))

    def _slide(self, kernel: _Size, padding: _Size, stride: int) -> None:
        rows, columns = (
            (side + 2 * each - window) // stride + 1
            for side, each, window in zip(self.size, padding, kernel, strict=True)
        )
        self.size = (rows, columns)


def _network(draw: _Draw) -> _Drawn | None:
    """Draw a network; None if one of its sizes, or the number of its parameters, is out of bounds."""
    convolutions, poolings, hidden, further = draw.one_of(_LAYOUTS)
    pooled = draw.some_of(poolings, range(convolutions))
    places = [("bn", place) for place in range(convolutions)] + [("dropout", place) for place in range(hidden)]
    extras = draw.some_of(further, places)
    built = _Builder(draw)
    for place in range(convolutions):
        built.convolution(first=place == 0, normalised=("bn", place) in extras)
        if ("bn", place) in extras:
            built.batch_norm()
        built.add("relu", "ReLU()")
        if place in pooled:
            built.pooling()
        if min(built.size) < _SMALLEST_SIDE:
            return None
    built.flatten()
    if built.features > _LARGEST_FLATTENED:
        return None
    for place in range(hidden):
        built.linear(draw.one_of(_UNITS))
        built.add("relu", "ReLU()")
        if ("dropout", place) in extras:
            built.add("dropout", f"Dropout({draw.one_of(_DROPOUTS)})")
    built.linear(NUM_CLASSES)
    lines = tuple(built.lines)
    essence = tuple(code for _name, code in lines if not code.startswith(("nn.Dropout", "nn.BatchNorm")))
    return _Drawn(lines, essence) if built.parameters in _PARAMETERS else None


def _as_code(size: _Size) -> str:
    return str(size[0]) if size[0] == size[1] else str(size)


def _program(class_name: str, lines: Sequence[tuple[str, str]]) -> str:
    """Return the file of a network, written as the exam writes its own."""
    made = "\n".join(f"        self.{name} = {code}" for name, code in lines)
    called = "\n".join(f"        x = self.{name}(x)" for name, _code in lines)
    return f"""import torch.nn as nn


class {class_name}(nn.Module):
    def __init__(self):
        super().__init__()
{made}

    def forward(self, x):
{called}
        return x
"""
