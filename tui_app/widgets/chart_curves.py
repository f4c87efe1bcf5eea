"""The curves of a chart, each as the columns that a canvas has: a redraw costs the same however long the runs are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple
from weakref import WeakKeyDictionary

from core.history import Column, Curve, LossHistory


@dataclass(frozen=True)
class Series:
    """A run in the chart."""

    key: str
    name: str
    color: str
    """Of its running loss: a colour, or a variable of the theme such as `$accent`."""
    history: LossHistory
    steps_per_epoch: int
    live: bool = False

    def step_at(self, x: float) -> float:
        """The inverse of what the x axis counts: epochs."""
        return x * max(1, self.steps_per_epoch)

    def x_at(self, step: int) -> float:
        return step / max(1, self.steps_per_epoch)


class Reduced(NamedTuple):
    version: int
    edges: tuple[float, ...]
    columns: list[Column | None]
    gaps: list[int]


class Reductions:
    """Curves as columns, each worked out again only when it has changed: a finished run costs nothing."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Curve, Reduced] = WeakKeyDictionary()

    def get(self, curve: Curve, edges: tuple[float, ...]) -> Reduced:
        kept = self._kept.get(curve)
        if kept is None or kept.version != curve.version or kept.edges != edges:
            kept = Reduced(curve.version, edges, curve.columns(edges), curve.gaps(edges))
            self._kept[curve] = kept
        return kept


@dataclass(frozen=True)
class Content:
    """What a canvas shows, in columns: for the run on show two to a cell, as braille has them; for others one."""

    reach: float
    """Epochs on the x axis."""
    batches: list[Column | None]
    running: list[Reduced]
    epochs: list[Column | None]
    validation: list[Column | None]
    gaps: list[list[int]]
    """Per series, the cells in which a batch's loss is not finite."""

    @property
    def finite(self) -> list[Column]:
        marks = [*self.epochs, *self.validation]
        found = [*self.batches, *marks, *(column for series in self.running for column in series.columns)]
        return [column for column in found if column is not None]

    @property
    def is_empty(self) -> bool:
        return not self.finite and not any(self.gaps)

    def running_line(self, number: int) -> list[tuple[int, float, bool]]:
        """Column, loss, and whether it is joined to the one before: not from one epoch to the next while epochs are
        wide enough to tell apart, nor where a loss between the two is not finite.
        """
        reduced = self.running[number]
        width = len(reduced.columns)
        gaps = set(reduced.gaps)
        found = [i for i, column in enumerate(reduced.columns) if column is not None and i not in gaps]
        apart = width >= 4 * self.reach
        joined = [False]
        for i, j in pairwise(found):
            next_epoch = apart and self._epoch(i, width) != self._epoch(j, width)
            joined.append(not next_epoch and gaps.isdisjoint(range(i, j)))
        columns = reduced.columns
        return [(i, c.mean, join) for i, join in zip(found, joined, strict=False) if (c := columns[i]) is not None]

    def validation_line(self) -> list[tuple[int, float, bool]]:
        """Column, loss, and whether it is joined to the one before."""
        found = [(i, column.mean) for i, column in enumerate(self.validation) if column is not None]
        return [(i, mean, number > 0) for number, (i, mean) in enumerate(found)]

    def _epoch(self, column: int, width: int) -> int:
        return int(column / width * self.reach)
