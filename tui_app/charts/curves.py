"""Curves of a chart, reduced to the columns of a canvas: a redraw costs the same however long the runs are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from core.runs.history import Clock, Column, Curve, LossHistory
from tui_app.charts.axes import Unit, jump_beyond, reach_in_epochs

Edges = tuple[float, ...]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Series:
    """A line in the chart: a run, or several that differ only in their seed."""

    key: str
    name: str
    color: str
    """Colour of the running loss: a plain colour, or a theme variable such as `$accent`."""
    histories: tuple[LossHistory, ...]
    """Losses of the runs; for several runs, their mean is drawn with a min–max band."""
    steps_per_epoch: int
    live: bool = False
    macs_per_epoch: float | None = None
    """Forward multiply–accumulates per epoch; None if unknown."""
    validates: bool = False
    """True if there are validation results, or will be."""
    moments: tuple[tuple[int, str], ...] = ()
    """Steps at which something happened, and what: a change of settings, the epoch whose weights were kept."""

    @property
    def is_group(self) -> bool:
        return len(self.histories) > 1

    @property
    def end(self) -> int:
        """Return the step after the last known one."""
        return max(history.end for history in self.histories)

    @property
    def versions(self) -> tuple[tuple[int, int], ...]:
        """Return a value that changes whenever a history changes or is replaced by another."""
        return tuple((id(history), history.version) for history in self.histories)


@dataclass(frozen=True)
class Placed:
    """A series on an x axis that counts `unit`."""

    series: Series
    unit: Unit
    clock: Clock

    def reach(self, planned_epochs: float | None) -> float:
        """Return how far the axis must extend for the series, at least."""
        series = self.series
        if self.unit == "seconds":
            end = self.clock.seconds_at(series.end)
            return jump_beyond(max(1.0, end)) if series.live else end
        end = series.end / max(1, series.steps_per_epoch)
        return reach_in_epochs(end, planned_epochs, series.live and planned_epochs is not None) * self.epoch_width

    def steps_at(self, places: Iterable[float]) -> Edges:
        """Convert positions on the axis into steps."""
        if self.unit == "seconds":
            return tuple(map(self.clock.step_at, places))
        factor = max(1, self.series.steps_per_epoch) / self.epoch_width
        return tuple(place * factor for place in places)

    def place_of(self, step: int) -> float:
        """Convert a step into a position on the axis."""
        if self.unit == "seconds":
            return self.clock.seconds_at(step)
        return step / max(1, self.series.steps_per_epoch) * self.epoch_width

    @property
    def epoch_width(self) -> float:
        """Return the average width of an epoch on the axis."""
        if self.unit == "seconds":
            return self.clock.seconds_at(self.clock.end) / max(1, self.clock.end) * max(1, self.series.steps_per_epoch)
        return (self.series.macs_per_epoch or 1.0) if self.unit == "macs" else 1.0


class Point(NamedTuple):
    column: int
    value: float
    joined: bool
    """True if a line joins it to the previous point."""


@dataclass(frozen=True)
class Curves:
    """The curves of a series, in `width` columns."""

    width: int
    running: list[Point]
    band: list[Column | None]
    """Band around the running loss: the batch losses of a run, or the range of a group's seeds."""
    epochs: list[Point]
    validation: list[Point]
    accuracy: list[Point]
    """Accuracy on the validation images, 0 to 1."""
    gaps: list[int]
    """Columns in which a batch's loss is not finite."""

    @cached_property
    def losses(self) -> list[Column]:
        """Return all drawn losses."""
        points = [Column(value, value, value) for _, value, _ in (*self.running, *self.epochs, *self.validation)]
        return points + [column for column in self.band if column is not None]


class _Kept(Generic[_Value]):
    """A cache of what is worked out from a curve, until the curve or the edges change: a finished run costs nothing."""

    def __init__(self, work_out: Callable[[Curve, Edges], _Value]) -> None:
        self._work_out = work_out
        self._kept: WeakKeyDictionary[Curve, tuple[int, Edges, _Value]] = WeakKeyDictionary()

    def get(self, curve: Curve, edges: Edges) -> _Value:
        version, known_edges, value = self._kept.get(curve, (-1, (), None))
        if value is None or version != curve.version or known_edges != edges:
            value = self._work_out(curve, edges)
            self._kept[curve] = (curve.version, edges, value)
        return value


class Reductions:
    """The curves of each series, worked out again only when the series has changed."""

    def __init__(self) -> None:
        self._columns = _Kept(Curve.columns)
        self._gaps = _Kept(Curve.gaps)
        self._clocks: WeakKeyDictionary[LossHistory, tuple[object, Clock]] = WeakKeyDictionary()
        self._curves: WeakKeyDictionary[LossHistory, tuple[object, Curves]] = WeakKeyDictionary()

    def placed(self, series: Series, unit: Unit) -> Placed | None:
        """Place a series on an x axis; return None if that needs its multiply–accumulates and they are unknown."""
        if unit == "macs" and not series.macs_per_epoch:
            return None
        state = series.versions
        known, clock = self._clocks.get(series.histories[0], (None, None))
        if clock is None or known != state:
            clock = Clock.mean([history.clock for history in series.histories])
            self._clocks[series.histories[0]] = state, clock
        return Placed(series, unit, clock)

    def curves(self, series: Series, edges: Edges, *, apart: bool, in_full: bool) -> Curves:
        """Return the curves of a series in the columns between `edges`, which are steps in ascending order.

        `apart`: break a run's line after each epoch, because the running loss starts anew. `in_full`: include what is
        drawn for the current run only.
        """
        state = series.versions, series.steps_per_epoch, edges, apart, in_full
        known, curves = self._curves.get(series.histories[0], (None, None))
        if curves is None or known != state:
            if series.is_group:  # its runs may know their running loss at different steps: a mean needs whole lines
                curves = _mean([self._of_run(history, edges, None, False) for history in series.histories])
            else:
                steps = max(1, series.steps_per_epoch)
                epochs = [math.ceil(edge) // steps for edge in edges] if apart else None
                curves = self._of_run(series.histories[0], edges, epochs, in_full)
            self._curves[series.histories[0]] = state, curves
        return curves

    def _of_run(self, history: LossHistory, edges: Edges, epochs: list[int] | None, in_full: bool) -> Curves:
        running = _means(self._columns.get(history.running, edges))
        return Curves(
            width=len(running),
            running=_line(running, self._gaps.get(history.running, edges), epochs),
            band=self._columns.get(history.batches, edges) if in_full else [],
            epochs=_line(_means(self._columns.get(history.epochs, edges))) if in_full else [],
            validation=_line(_means(self._columns.get(history.validation, edges))),
            accuracy=_line(_means(self._columns.get(history.accuracy, edges))),
            gaps=self._gaps.get(history.batches, edges),
        )


def _means(columns: Sequence[Column | None]) -> list[float | None]:
    return [None if column is None else column.mean for column in columns]


def _line(values: Sequence[float | None], gaps: Iterable[int] = (), epochs: Sequence[int] | None = None) -> list[Point]:
    """Join the values, except across one that is not finite or from one of the columns' `epochs` to the next."""
    broken = set(gaps)
    found = [i for i, value in enumerate(values) if value is not None and i not in broken]
    joined = [False]
    for i, j in pairwise(found):
        same_epoch = epochs is None or epochs[i] == epochs[j]
        joined.append(same_epoch and broken.isdisjoint(range(i, j)))
    return [Point(i, v, join) for i, join in zip(found, joined, strict=False) if (v := values[i]) is not None]


def between(points: Sequence[Point], width: int) -> list[float | None]:
    """Return the height of a line in each column; None where there is no line."""
    heights: list[float | None] = [None] * width
    for before, point in zip((None, *points), points, strict=False):
        heights[point.column] = point.value
        if before is not None and point.joined:
            number = point.column - before.column
            for i in range(1, number):
                heights[before.column + i] = before.value * (1 - i / number) + point.value * (i / number)
    return heights


def _mean(runs: Sequence[Curves]) -> Curves:
    """Average the runs that have reached each column, with a min–max band."""
    width = runs[0].width
    gaps = sorted({gap for run in runs for gap in run.gaps})
    lines = [
        (run.running[0].column, run.running[-1].column, between(run.running, width)) for run in runs if run.running
    ]
    band: list[Column | None] = []
    for i in range(width):
        values = [heights[i] for first, last, heights in lines if first <= i <= last]
        known = [value for value in values if value is not None]
        band.append(_column(known) if known and len(known) == len(values) else None)
    return Curves(
        width=width,
        running=_line(_means(band), gaps),
        band=band,
        epochs=[],
        validation=_mean_points([run.validation for run in runs], width),
        accuracy=_mean_points([run.accuracy for run in runs], width),
        gaps=gaps,
    )


def _mean_points(lines: Sequence[Sequence[Point]], width: int) -> list[Point]:
    found: list[list[float]] = [[] for _ in range(width)]
    for point in (point for line in lines for point in line):
        found[point.column].append(point.value)
    return _line([_column(values).mean if values else None for values in found])


def _column(values: Sequence[float]) -> Column:
    low, high = min(values), max(values)
    mean = sum(value / len(values) for value in values)  # the sum of the values themselves could overflow
    return Column(low, high, min(max(mean, low), high))
