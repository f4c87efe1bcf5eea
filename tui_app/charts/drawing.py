"""A drawn chart: its rows, and where on it the series lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from tui_app.charts.axes import XWindow
from tui_app.charts.canvas import BLANK, CURSOR, GRID, LABEL, SERIES, VALIDATION, Layout, Row
from tui_app.charts.curves import Curves, Point, Source, between
from tui_app.charts.scale import Metric, Scale
from tui_app.charts.series import Placed, Series
from tui_app.charts.view import Words

ASCII_LINES = "*o+#@%&"
ASCII_BANDS = ":'`,;^-"

Signs = list[tuple[str, int]]
"""Characters with what each of them shows, before a name in the legend."""
_SHORTEST = 10
"""Width to which the legend cuts a name so that others have room."""


class Entry(NamedTuple):
    """An entry of the legend: what is drawn, whose, and words that are not cut."""

    signs: Signs
    name: str = ""
    words: str = ""


@dataclass(frozen=True)
class Drawn:
    """A series that has a place on the x axis."""

    number: int
    """Position of the series, counted from 0."""
    placed: Placed
    curves: Curves
    sources: Sequence[Source]
    """What its values are read from."""
    epoch_width: float
    """Width of an epoch in cells."""
    turn: Point | None
    """The lowest validation loss, if overfitting begins there."""

    @property
    def series(self) -> Series:
        return self.placed.series

    @property
    def is_on_show(self) -> bool:
        """Return whether this is the current run, on its own and shown in full."""
        return self.number == 0 and not self.series.is_group

    @property
    def paint(self) -> int:
        return SERIES + self.number

    @property
    def validation_paint(self) -> int:
        return VALIDATION if self.is_on_show else self.paint

    @property
    def line(self) -> list[Point]:
        """Return the points of its line or, without one, its test accuracy."""
        return self.curves.line or self.curves.tested

    @property
    def last_place(self) -> float | None:
        """Return the place on the x axis of the last value that can be read off."""
        steps = [step for source in self.sources if (step := source.last_step) is not None]
        return self.placed.place_of(max(steps) + 0.5) if steps else None

    def value_at(self, place: float, reach: float = 0.0) -> float | None:
        """Return the last value until `reach` beyond a place on the x axis, the mean of the runs that have one."""
        if place - reach > self.placed.place_of(self.series.end) * (1 + 1e-9):
            return None
        step = min(self.placed.step_at(place + reach), self.series.end - 1)
        values = [value for source in self.sources if (value := source.at(step)) is not None]
        return sum(value / len(values) for value in values) if values else None

    def signs(self, signs: str) -> str:
        return signs[self.number % len(signs)]

    def heights(self, cells: int) -> list[float | None]:
        """Return the height of its line in each cell."""
        heights = between(self.curves.line, self.curves.width)
        each = max(1, self.curves.width // max(1, cells))
        return [next((h for h in heights[i : i + each] if h is not None), None) for i in range(0, len(heights), each)]

    def cell(self, column: int, cells: int) -> int:
        """Return the cell of a column of its curves."""
        return column * cells // self.curves.width


@dataclass(frozen=True)
class Drawing:
    """The rows of a chart without the cursor, and how a place on the x axis is found on it."""

    rows: list[Row]
    layout: Layout
    window: XWindow
    whole: float
    """End of the x axis."""
    drawn: Sequence[Drawn]
    scale: Scale
    metric: Metric

    @property
    def has_begun(self) -> bool:
        """Return whether there are values to read off."""
        return any(each.series.end for each in self.drawn)

    def place_at(self, cell: int) -> float | None:
        """Return the place on the x axis of a cell of the chart; None beside the canvas."""
        canvas = self.layout.canvas
        inside = 0 <= cell - canvas.x < canvas.width and self.has_begun
        return self.window.place((cell - canvas.x + 0.5) / canvas.width) if inside else None

    def with_cursor(self, place: float | None, words: Words) -> list[Row]:
        """Return the rows with a mark at a place on the x axis, and in the legend's row what the series are there."""
        canvas, window = self.layout.canvas, self.window
        if place is None or not self.has_begun or not window.left <= place <= window.right or not canvas.width:
            return self.rows
        cell = min(canvas.width - 1, int(window.fraction(place) * canvas.width))
        rows = list(self.rows)
        for y in range(canvas.y, canvas.y + canvas.height):
            if is_free(rows[y], canvas.x + cell, 1):
                rows[y] = rows[y].with_text(canvas.x + cell, "│", CURSOR)
        if self.layout.has_legend:
            first = self.drawn[0].placed
            step = first.step_at(place)
            text = words.position.format(
                epoch=words.number(f"{step / max(1, first.series.steps_per_epoch):.2f}"), step=step
            )
            rows[0] = legend(self.layout, f" {text}", [self._reading(each, place, words) for each in self.drawn])
        return rows

    def _reading(self, each: Drawn, place: float, words: Words) -> Entry:
        """Return the name of a series with its value at a place."""
        if self.metric == "accuracy":
            value = each.value_at(place, self.window.width / self.layout.canvas.width / 2)  # a mark fills its cell
            shown = "" if value is None else f"{100 * value:.2f}"
        else:
            value = each.value_at(place)
            shown = "" if value is None else f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"
        return Entry([("━━", each.paint)], each.series.name, words.number(shown) if value is not None else "–")


def is_free(row: Row, column: int, width: int) -> bool:
    """Return whether a row has room for a text, with nothing but the grid there."""
    paints = row.paint[column : column + width]
    return len(row.text) == len(row.paint) and len(paints) == width and all(ord(p) in (BLANK, GRID) for p in paints)


def legend(layout: Layout, head: str, entries: Iterable[Entry]) -> Row:
    """Return the row above the canvas: the name of the y axis at the left, signs and names at the right."""
    head = head.rjust(layout.margin)
    room = layout.size.width - cell_len(head)
    runs: Signs = []
    for signs, text in _fitting(list(entries), room - 3):
        needed = 3 + sum(len(sign) for sign, _ in signs) + cell_len(text)
        if needed > room - 3:
            runs.append(("  …", LABEL))
            room -= 3
            break
        runs += [("  ", BLANK), *signs, (f" {text}", LABEL)]
        room -= needed
    return Row.of([(head, LABEL), (" " * room, BLANK), *runs])


def _fitting(entries: Sequence[Entry], room: int) -> list[tuple[Signs, str]]:
    """Return the entries' signs and texts, with names cut where not all names have room."""
    named = [entry for entry in entries if entry.name]
    fixed = sum(4 + sum(len(sign) for sign, _ in entry.signs) + cell_len(entry.words) for entry in named)
    names = [cell_len(entry.name) for entry in named]
    most = max(names, default=0)
    while most > _SHORTEST and fixed + sum(min(name, most) for name in names) > room:
        most -= 1
    return [(entry.signs, f"{_cut(entry.name, most)} {entry.words}".strip()) for entry in entries]


def _cut(name: str, width: int) -> str:
    name = "".join(c if c.isprintable() else "·" for c in name)
    return name if cell_len(name) <= width else set_cell_size(name, width - 1).rstrip() + "…"
