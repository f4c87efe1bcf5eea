"""A drawn chart: its rows, and where on it the series lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from tui_app.charts.axes import XWindow
from tui_app.charts.canvas import BLANK, CURSOR, GRID, LABEL, SERIES, VALIDATION, Layout, Row
from tui_app.charts.curves import Curves, Point, between
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

    def place_at(self, cell: int) -> float | None:
        """Return the place on the x axis of a cell of the chart; None beside the canvas."""
        canvas = self.layout.canvas
        inside = 0 <= cell - canvas.x < canvas.width and self.drawn
        return self.window.place((cell - canvas.x + 0.5) / canvas.width) if inside else None

    def with_cursor(self, place: float | None, words: Words) -> list[Row]:
        """Return the rows with a mark at a place on the x axis, and in the legend's row what the series are there."""
        canvas = self.layout.canvas
        if place is None or not self.drawn or not self.window.left <= place <= self.window.right or not canvas.width:
            return self.rows
        cell = min(canvas.width - 1, int(self.window.fraction(place) * canvas.width))
        rows = list(self.rows)
        for y in range(canvas.y, canvas.y + canvas.height):
            if is_free(rows[y], canvas.x + cell, 1):
                rows[y] = rows[y].with_text(canvas.x + cell, "│", CURSOR)
        if self.layout.has_legend:
            first = self.drawn[0].placed
            step = first.steps_at((place,))[0]
            text = words.position.format(
                epoch=words.number(f"{step / max(1, first.series.steps_per_epoch):.2f}"), step=round(step)
            )
            rows[0] = legend(self.layout, f" {text}", [self._reading(each, cell, words) for each in self.drawn])
        return rows

    def _reading(self, each: Drawn, cell: int, words: Words) -> Entry:
        """Return the name of a series with its value in a cell: that of its line, or of the last epoch before."""
        cells = self.layout.canvas.width
        signs: Signs = [("━━", each.paint)]
        if self.metric == "accuracy":
            points = [*each.curves.marks, *each.curves.tested]
            known = [point.value for point in points if each.cell(point.column, cells) <= cell]
            value, shown = (known[-1], f"{known[-1]:.2f}") if known else (None, "")
        else:
            heights = each.heights(cells)
            value = heights[cell] if cell < len(heights) else None
            shown = "" if value is None else f"{value:.4f}" if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"
        return Entry(signs, each.series.name, words.number(shown) if value is not None else "–")


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
