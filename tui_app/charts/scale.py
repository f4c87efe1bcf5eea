"""The y axis of a chart: its bounds, which rarely move, its ticks, and the choice of a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal, get_args

from core.runs.history import Column
from tui_app.charts.rounding import LARGEST, SMALLEST, label, round_down, round_up, short, tick_step

_CUT = 20
"""Multiple of the columns' 95th percentile beyond which a loss is an outlier: it does not set the scale, and is drawn
at its edge.
"""
_LOWEST = 20
"""One value in so many may lie below a logarithmic scale, at its edge."""
_PARTS_OF_DECADES = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 5), (1, 2, 5))
"""Ticks within a decade, from the densest to the sparsest."""
_FEW_DECADES = 2.0
_MOST_DECADES = 300
_NEAR_ROWS = 2
_NEAR = 0.15
"""Greatest fraction of the height that still counts as the bottom of a chart."""
_MOST = 2 / 3
_LEAST_CELLS = 4
"""Fewest cells of a line that say something about it."""
_MOST_COMPARED = 8

Metric = Literal["loss", "accuracy"]
METRICS: tuple[Metric, ...] = get_args(Metric)
Heights = Sequence[float | None]
"""The height of a line in each cell; None where it has none."""


@dataclass(frozen=True)
class Scale:
    """The y axis. `bottom` and `top` are values, or their base-10 logarithms if `log`."""

    bottom: float
    top: float
    log: bool = False
    decades_apart: int = 1
    """Number of decades from one tick to the next."""

    def fraction(self, value: float) -> float:
        """Return the position of a value: 0 at the bottom, 1 at the top. A value beyond either is put at the edge."""
        if self.log:
            value = math.log10(min(max(value, SMALLEST), LARGEST))
        value = min(max(value, self.bottom), self.top)
        return (value - self.bottom) / (self.top - self.bottom)

    def ticks(self, most: float) -> list[tuple[float, str]]:
        """Return the positions (0 to 1) and labels of the ticks: roughly `most` at most, at round numbers."""
        if self.log and self.top - self.bottom >= _FEW_DECADES:
            lowest, highest = max(self.bottom, -_MOST_DECADES), min(self.top, _MOST_DECADES)
            exponents = range(math.ceil(lowest - 1e-9), math.floor(highest + 1e-9) + 1)
            values = [10.0**e for e in exponents if e % self.decades_apart == 0]
            return [(self.fraction(value), short(value)) for value in values]
        if self.log:
            return self._ticks_within_decades(most)
        step = tick_step((self.top - self.bottom) / max(1, most))
        return [(self.fraction(value), label(value, step)) for value in _multiples(self.bottom, self.top, step)]

    def _ticks_within_decades(self, most: float) -> list[tuple[float, str]]:
        least = 0.6 / max(1.0, most)
        exponents = range(math.floor(self.bottom), math.floor(self.top) + 1)
        for digits in _PARTS_OF_DECADES:
            values = [d * 10.0**e for e in exponents for d in digits]
            shown = [value for value in values if self.bottom - 1e-9 <= math.log10(value) <= self.top + 1e-9]
            places = [self.fraction(value) for value in shown]
            if len(shown) >= 3 and all(after - before >= least for before, after in pairwise(places)):
                return [(place, short(value)) for place, value in zip(places, shown, strict=True)]
        low, high = 10.0**self.bottom, 10.0**self.top
        step = tick_step((high - low) / max(1, most))
        return [(self.fraction(value), label(value, step)) for value in _multiples(low, high, step) if value > 0]


def _multiples(low: float, high: float, step: float) -> list[float]:
    return [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _highest(values: Sequence[float]) -> float:
    """Return the maximum, or twice the 95th percentile if a few outliers would flatten everything else."""
    typical = sorted(values)[int(0.95 * (len(values) - 1))]
    greatest = max(values)
    return greatest if typical <= 0 or greatest <= _CUT * typical else 2 * typical


def linear_scale(columns: Sequence[Column]) -> Scale:
    """Return a scale of losses with round bounds around all but a few outliers."""
    if not columns:
        return Scale(0, 2.5)
    top = _highest([c.high for c in columns])
    bottom = -_highest([-c.low for c in columns])
    top = round_up(top) if top > 0 else 0.0
    bottom = -round_up(-bottom) if bottom < 0 else 0.0
    return Scale(bottom, top if top > bottom else 1.0)


def log_scale(columns: Sequence[Column], dots: int, dots_per_row: int) -> Scale:
    """Return a logarithmic scale, for a canvas that is `dots` high, `dots_per_row` of them in a row.

    Below two decades its bounds are round; from there on decades are whole rows apart, which leaves room at the bottom.
    """
    lows = sorted(c.low for c in columns if c.low > SMALLEST)
    if not lows:
        return Scale(-2, 1, log=True)
    low = min(lows[len(lows) // _LOWEST], LARGEST)
    high = min(max(low, *(c.high for c in columns)), LARGEST)
    bottom, top = round_down(low), round_up(high)
    if high < 1.1 * low:  # a level line
        bottom, top = low / 1.2, high * 1.2
    elif high < 2 * low:
        step = tick_step((high - low) / 4)
        bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    round_scale = Scale(math.log10(max(bottom, SMALLEST)), math.log10(min(top, LARGEST)), log=True)
    span, height = round_scale.top - math.log10(low), (dots - 1) / dots_per_row
    if span < _FEW_DECADES or height < 2:
        return round_scale
    apart = math.ceil(2 * span / height)
    rows = math.floor(height * apart / span)
    return Scale(round_scale.top - height * apart / rows, round_scale.top, log=True, decades_apart=apart)


def percent_scale(columns: Sequence[Column]) -> Scale:
    """Return a scale of accuracies in %, between round bounds."""
    if not columns:
        return Scale(0, 100)
    low, high = min(c.low for c in columns), max(c.high for c in columns)
    step = tick_step(max(high - low, 0.5) / 4)
    top = min(100.0, max(2, math.ceil(high / step)) * step)
    return Scale(max(0.0, min(math.floor(low / step) * step, top - 2 * step)), top)


def hides_a_line(lines: Sequence[Heights], linear: Scale, logarithmic: Scale, rows: int) -> bool:
    """Return whether a linear scale hides one of the lines, where a logarithmic one would show it.

    A line is hidden if it lies at the bottom through most of its length, or on another through most of what they share.
    """
    if linear.bottom < 0 or any(value is not None and value < 0 for line in lines for value in line):
        return False
    lines = [[value or None for value in line] for line in lines]  # a logarithmic scale has no zeros
    known = [[value for value in line if value is not None] for line in lines]
    if sum(map(bool, known)) < 2:
        return False
    near = min(_NEAR, _NEAR_ROWS / max(1, rows))
    for values in known:
        if len(values) >= _LEAST_CELLS and sum(linear.fraction(v) < near for v in values) >= _MOST * len(values):
            return True
    return any(_apart(a, b, linear) * rows < 1 <= _apart(a, b, logarithmic) * rows for a, b in _pairs(lines))


def _pairs(lines: Sequence[Heights]) -> list[tuple[list[float], list[float]]]:
    """Return the values that any two lines have in the same cells."""
    found = []
    for first, second in combinations(lines[:_MOST_COMPARED], 2):
        both = [(a, b) for a, b in zip(first, second, strict=False) if a is not None and b is not None]
        if len(both) >= _LEAST_CELLS:
            found.append(([a for a, _ in both], [b for _, b in both]))
    return found


def _apart(first: Sequence[float], second: Sequence[float], scale: Scale) -> float:
    """Return the median distance of two lines, as a fraction of the height."""
    distances = sorted(abs(scale.fraction(a) - scale.fraction(b)) for a, b in zip(first, second, strict=True))
    return distances[len(distances) // 2]


@dataclass(frozen=True)
class Wanted:
    """What a scale has to show."""

    of: object
    """Runs, and how they are read: for others the scale is chosen anew."""
    part: object
    """Part of the x axis that is shown: for another the bounds are."""
    metric: Metric
    log: bool | None
    """The user's choice of a logarithmic scale; None: the one that hides nothing."""
    columns: Sequence[Column]
    epochs: int
    """Number of completed epochs: only with a new one does the scale become logarithmic by itself."""
    rows: int
    dots_per_row: int


class ScaleKeeper:
    """A scale that stays for as long as it fits, since a new one changes every cell."""

    def __init__(self) -> None:
        self.scale = Scale(0, 2.5)
        self._of: object = None
        self._part: object = None
        self._is_new = True
        self._epochs = -1
        self._hidden = False
        """True once the linear scale was found to hide a line. It stays so: a scale must not flip back and forth."""

    def settle(self, wanted: Wanted, whole: Callable[[], tuple[Sequence[Column], Sequence[Heights]]]) -> Scale:
        """Return the scale to draw with.

        `whole` returns the values and the lines of the whole x axis; it is called where the scale may become
        logarithmic by itself.
        """
        of = wanted.of, wanted.metric, wanted.rows, wanted.dots_per_row
        if of != self._of:
            self._of, self._is_new, self._epochs, self._hidden = of, True, -1, False
        if wanted.part != self._part:
            self._part, self._is_new = wanted.part, True
        if wanted.metric == "accuracy":
            return self._keep(wanted, percent_scale(wanted.columns))
        dots = wanted.rows * wanted.dots_per_row
        if wanted.log is None and not self._hidden and wanted.epochs > self._epochs and wanted.columns:
            self._epochs = wanted.epochs
            columns, lines = whole()
            scales = linear_scale(columns), log_scale(columns, dots, wanted.dots_per_row)
            self._hidden = hides_a_line(lines, *scales, wanted.rows)
        is_log = self._hidden if wanted.log is None else wanted.log
        if is_log:
            return self._keep(wanted, log_scale(wanted.columns, dots, wanted.dots_per_row))
        return self._keep(wanted, linear_scale(wanted.columns))

    def _keep(self, wanted: Wanted, new: Scale) -> Scale:
        old = self.scale
        fits = old.log == new.log and old.bottom <= new.bottom + 1e-9 and new.top <= old.top + 1e-9
        if self._is_new or not fits or not wanted.columns or new.top - new.bottom < 0.3 * (old.top - old.bottom):
            self.scale = new
        self._is_new = False
        return self.scale
