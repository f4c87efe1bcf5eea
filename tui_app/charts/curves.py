"""Curves of a chart, reduced to the columns of a canvas: a redraw costs the same however long the runs are."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Generic, Literal, NamedTuple, TypeVar, get_args
from weakref import WeakKeyDictionary

from core.runs.history import Clock, Column, Curve, LossHistory
from tui_app.charts.axes import Unit
from tui_app.charts.overfitting import Turn, turning_point
from tui_app.charts.rounding import LARGEST
from tui_app.charts.scale import Metric
from tui_app.charts.series import Edges, Placed, Series

_Value = TypeVar("_Value")

Band = Literal["range", "interval"]
"""Band around the mean of several seeds: from the least to the greatest, or the 95 % interval of the mean."""
BANDS: tuple[Band, ...] = get_args(Band)


@dataclass(frozen=True)
class Reading:
    """What is drawn of the runs."""

    metric: Metric = "loss"
    smoothing: float = 0.0
    """Weight of the exponential moving mean of the batch losses; 0: the running loss is drawn instead."""
    band: Band = "range"


class Source(NamedTuple):
    """What a run's line is drawn from and its values are read from."""

    curve: Curve
    end: int
    """One past the last step of the run."""

    @property
    def last_step(self) -> int | None:
        """Return the last step that the last known value stands for."""
        last, _after = self.curve.around(self.curve.end)
        return None if last is None or last[0] >= self.end else min(last[0] + self.curve.stride, self.end) - 1

    def at(self, step: int) -> float | None:
        """Return the last value known at a step; None where there is none, or one that is not finite."""
        before, _after = self.curve.around(step + 1)
        if before is None or step >= self.end or self.curve.gaps((before[0] + self.curve.stride, step + 1)):
            return None
        return before[1]


class Point(NamedTuple):
    column: int
    value: float
    joined: bool
    """True if a line joins it to the previous point."""


@dataclass(frozen=True)
class Curves:
    """The curves of a series, in `width` columns. Accuracies are in %."""

    width: int
    line: list[Point] = field(default_factory=list)
    """Running loss, smoothed batch losses or validation accuracy."""
    band: list[Column | None] = field(default_factory=list)
    """Band around the line: the batch losses of a run, or what the seeds of a group say of their mean."""
    marks: list[Point] = field(default_factory=list)
    """Loss of each epoch, or validation accuracy after it."""
    validation: list[Point] = field(default_factory=list)
    """Line of the validation loss."""
    validated: list[Point] = field(default_factory=list)
    """Validation loss after each epoch."""
    accuracy: list[Point] = field(default_factory=list)
    """Accuracy on the validation images after each epoch."""
    tested: list[Point] = field(default_factory=list)
    """Test accuracy: one point, if there is any."""
    gaps: list[int] = field(default_factory=list)
    """Columns in which a batch's loss is not finite."""
    spread: list[Column | None] = field(default_factory=list)
    """Range of a group's seeds."""

    @cached_property
    def values(self) -> list[Column]:
        """All drawn values, for the scale.

        Not the interval of few seeds, which is too wide, nor the lowest losses of batches, decades below all others.
        """
        points = (*self.line, *self.marks, *self.validation, *self.tested)
        columns = [Column(value, value, value) for _, value, _ in points]
        if self.spread:
            return columns + [column for column in self.spread if column is not None]
        return columns + [Column(c.mean, c.high, c.mean) for c in self.band if c is not None]


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
        self._smoothed = _Kept(lambda curve, weights: curve.smoothed(*weights))
        self._clocks: WeakKeyDictionary[LossHistory, tuple[object, Clock]] = WeakKeyDictionary()
        self._curves: WeakKeyDictionary[LossHistory, tuple[object, Curves]] = WeakKeyDictionary()
        self._turns: WeakKeyDictionary[LossHistory, tuple[object, Turn]] = WeakKeyDictionary()

    def turning_point(self, series: Series) -> Turn:
        """Return where overfitting begins, as `overfitting.turning_point` does."""
        state = [(id(history), history.epochs.version, history.validation.version) for history in series.histories]
        known, turn = self._turns.get(series.histories[0], (None, None))
        if known != state:
            turn = turning_point(series)
            self._turns[series.histories[0]] = state, turn
        return turn

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

    def sources(self, series: Series, reading: Reading) -> tuple[Source, ...]:
        """Return what the line of each run is drawn from; the test accuracy stands in for one without validation."""
        sources = tuple(Source(self._source(history, reading), history.end) for history in series.histories)
        test = _test(series)
        if reading.metric == "loss" or any(len(source.curve) for source in sources) or test is None:
            return sources
        tested = Curve()
        tested.add(*test)
        return (Source(tested, series.end),)

    def _source(self, history: LossHistory, reading: Reading) -> Curve:
        if reading.metric == "accuracy":
            return history.accuracy
        return self._smoothed.get(history.batches, (reading.smoothing,)) if reading.smoothing else history.running

    def curves(self, series: Series, edges: Edges, reading: Reading, *, apart: bool, in_full: bool) -> Curves:
        """Return the curves of a series in the columns between `edges`, which are steps in ascending order.

        `apart`: break a run's line after each epoch, because the running loss starts anew. `in_full`: include what is
        drawn for the current run only.
        """
        state = series.versions, series.steps_per_epoch, series.tested, edges, reading, apart, in_full
        known, curves = self._curves.get(series.histories[0], (None, None))
        if curves is None or known != state:
            if series.is_group:  # its runs may know their running loss at different steps: a mean needs whole lines
                runs = [self._of_run(history, edges, reading, 0, False) for history in series.histories]
                curves = _mean(runs, reading)
            else:
                steps = max(1, series.steps_per_epoch) if apart and not reading.smoothing else 0
                curves = self._of_run(series.histories[0], edges, reading, steps, in_full)
            curves = replace(curves, tested=_tested(series, edges) if reading.metric == "accuracy" else [])
            self._curves[series.histories[0]] = state, curves
        return curves

    def _of_run(self, history: LossHistory, edges: Edges, reading: Reading, steps: int, in_full: bool) -> Curves:
        """Return the curves of a run, whose line starts anew every so many steps, if not 0."""
        accuracy = _percent(_line(self._means(history.accuracy, edges)))
        line = _percent(_line(self._whole(history.accuracy, edges)))
        curves = Curves(width=len(edges) - 1, line=line, marks=accuracy, accuracy=accuracy)
        if reading.metric == "accuracy":
            return curves
        gaps = self._gaps.get(history.batches if reading.smoothing else history.running, edges)
        epochs = [math.ceil(edge) // steps for edge in edges] if steps else None
        return replace(
            curves,
            line=_line(self._whole(self._source(history, reading), edges, steps), gaps, epochs),
            band=_without_holes(self._columns.get(history.batches, edges), history.batches, edges) if in_full else [],
            marks=_line(self._means(history.epochs, edges)) if in_full else [],
            validation=_line(self._whole(history.validation, edges)),
            validated=_line(self._means(history.validation, edges)),
            gaps=self._gaps.get(history.batches, edges),
        )

    def _means(self, curve: Curve, edges: Edges) -> list[float | None]:
        return _means(self._columns.get(curve, edges))

    def _whole(self, curve: Curve, edges: Edges, steps: int = 0) -> list[float | None]:
        """Return the means of a curve, interpolated at the first and the last edge where it goes on beyond them."""
        values = self._means(curve, edges)
        for column, edge in ((0, edges[0]), (-1, edges[-1])):
            before, after = curve.around(edge) if 0 < edge < curve.end and values[column] is None else (None, None)
            if before and after and (not steps or before[0] // steps == after[0] // steps):
                share = (edge - before[0]) / (after[0] - before[0])
                values[column] = before[1] * (1 - share) + after[1] * share
        return values


def _percent(points: Iterable[Point]) -> list[Point]:
    return [point._replace(value=100 * point.value) for point in points]


def _test(series: Series) -> tuple[int, float] | None:
    """Return the step and the test accuracy, the mean of a group's at the end of the longest run."""
    if not series.tested:
        return None
    mean = sum(accuracy for _, accuracy in series.tested) / len(series.tested)
    return max(step for step, _ in series.tested), mean


def _tested(series: Series, edges: Edges) -> list[Point]:
    test = _test(series)
    if test is None:
        return []
    step, mean = test
    column = min(bisect_right(edges, step), len(edges) - 1) - 1
    return [Point(column, 100 * mean, False)] if edges[0] <= step <= edges[-1] else []


def _without_holes(columns: Sequence[Column | None], curve: Curve, edges: Edges) -> list[Column | None]:
    """Extend each column as far as the steps that it stands for reach, where columns are narrower than these."""
    reach = math.ceil(curve.stride * (len(edges) - 1) / max(edges[-1] - edges[0], 1e-9))
    found = list(columns)
    last = -reach
    for i, column in enumerate(columns):
        if column is not None:
            last = i
        elif 0 < i - last < reach and last >= 0:
            found[i] = columns[last]
    return found


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


def _mean(runs: Sequence[Curves], reading: Reading) -> Curves:
    """Average the runs that have reached each column, with a band."""
    width = runs[0].width
    gaps = sorted({gap for run in runs for gap in run.gaps})
    accuracy = _by_column([run.accuracy for run in runs], width)
    values = _heights([run.line for run in runs], width)
    spread = [_column(found) if found else None for found in values]
    return Curves(
        width=width,
        line=_line(_means(spread), gaps),
        band=[_interval(found) for found in values] if reading.band == "interval" else spread,
        marks=_mean_points([run.marks for run in runs], width),
        validation=_mean_points([run.validation for run in runs], width),
        validated=_mean_points([run.validated for run in runs], width),
        accuracy=_line([_column(found).mean if found else None for found in accuracy]),
        gaps=gaps,
        spread=spread,
    )


def _heights(lines: Sequence[Sequence[Point]], width: int) -> list[list[float]]:
    """Return what the lines are in each column, without those that break off between two of their points."""
    known = [(line[0].column, line[-1].column, between(line, width)) for line in lines if line]
    found = []
    for i in range(width):
        values = [heights[i] for first, last, heights in known if first <= i <= last]
        found.append([value for value in values if value is not None] if None not in values else [])
    return found


def _by_column(lines: Sequence[Sequence[Point]], width: int) -> list[list[float]]:
    found: list[list[float]] = [[] for _ in range(width)]
    for point in (point for line in lines for point in line):
        found[point.column].append(point.value)
    return found


def _mean_points(lines: Sequence[Sequence[Point]], width: int) -> list[Point]:
    return _line([_column(values).mean if values else None for values in _by_column(lines, width)])


def _interval(values: Sequence[float]) -> Column | None:
    """Return the 95 % interval of the mean by Student's t; None below two values."""
    if len(values) < 2:
        return None
    from statistics import stdev  # here: the first painting need not wait for either

    from core.comparing.intervals import student_factor

    mean = _column(values).mean
    scale = max(map(abs, values)) or 1.0
    half_width = scale * (student_factor(len(values)) * stdev(v / scale for v in values) / math.sqrt(len(values)))
    return Column(max(mean - half_width, -LARGEST), min(mean + half_width, LARGEST), mean)


def _column(values: Sequence[float]) -> Column:
    low, high = min(values), max(values)
    mean = sum(value / len(values) for value in values)  # the sum of the values themselves could overflow
    return Column(low, high, min(max(mean, low), high))
