"""Accuracy against the strength of a condition, drawn in characters: for the dashboard and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

from tui_app.i18n import _, percent

COLOURS = ("cyan", "yellow", "green", "magenta", "red", "blue")
_MARKERS, _PLAIN_MARKERS = "●■▲◆▼○", "ox+*#@"
_LABEL = 6
"""Columns of the accuracies at the y axis."""
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Of a braille character: two columns of four dots."""


@dataclass(frozen=True)
class Curve:
    """Accuracies, 0 to 1, by strength; `marker` is drawn at each, in `colour`."""

    name: str
    marker: str
    colour: str
    points: Sequence[tuple[float, float]]


def marker(position: int, *, plain: bool) -> str:
    """Of the curve at this position: told apart without colours too."""
    markers = _PLAIN_MARKERS if plain else _MARKERS
    return markers[position % len(markers)]


def draw(curves: Sequence[Curve], strengths: Sequence[float], width: int, height: int, *, plain: bool) -> Text:
    """In `width` columns and `height` rows; `plain`: in ASCII."""
    columns, rows = width - _LABEL - 2, height - 2
    if columns < 2 * len(strengths) or rows < 3 or not strengths:
        return Text()
    low = math.floor(10 * min((y for curve in curves for _x, y in curve.points), default=0.0)) / 10
    low = min(max(low, 0.0), 0.9)
    plot = _Plot(columns, rows, max(strengths) or 1.0, low, plain=plain)
    for curve in curves:
        plot.add(curve)
    ticks = dict(_ticks(low, rows))
    text = Text(no_wrap=True)
    for row in range(rows):
        label, axis = (f"{ticks[row]:>{_LABEL}}", "+" if plain else "┤") if row in ticks else (" " * _LABEL, "")
        text.append(f"{label}{axis or ('|' if plain else '│')}")
        plot.append_row(text, row)
        text.append("\n")
    text.append(" " * _LABEL + ("+" + "-" * columns if plain else "└" + "─" * columns) + "\n")
    text.append(" " * (_LABEL + 1) + _tick_labels(strengths, columns))
    return text


def legend(curves: Sequence[Curve]) -> Text:
    """Which curve is whose."""
    return Text("  ").join(Text(f"{curve.marker} {curve.name}", style=curve.colour) for curve in curves)


class _Plot:
    """The area within the axes: a character and a colour for each cell."""

    def __init__(self, columns: int, rows: int, right: float, low: float, *, plain: bool) -> None:
        self._columns, self._rows = columns, rows
        self._right, self._low = right, low
        self._plain = plain
        self._dots: dict[tuple[int, int], int] = {}
        self._marks: dict[tuple[int, int], str] = {}
        self._colours: dict[tuple[int, int], str] = {}

    def add(self, curve: Curve) -> None:
        across, down = (1, 1) if self._plain else (2, 4)
        points = [
            (_place(x / self._right, self._columns * across), _place((1 - y) / (1 - self._low), self._rows * down))
            for x, y in curve.points
        ]
        for start, end in pairwise(points):
            for column, row in _line(start, end):
                cell = row // down, column // across
                self._dots[cell] = self._dots.get(cell, 0) | _DOTS[column % across][row % down]
                self._colours[cell] = curve.colour
        for column, row in points:
            cell = row // down, column // across
            self._marks[cell], self._colours[cell] = curve.marker, curve.colour

    def append_row(self, text: Text, row: int) -> None:
        for column in range(self._columns):
            cell = row, column
            line = "." if self._plain else chr(0x2800 + self._dots.get(cell, 0))
            character = self._marks.get(cell) or (line if cell in self._dots else " ")
            text.append(character, self._colours.get(cell))


def _place(share: float, num_places: int) -> int:
    return round(share * (num_places - 1))


def _line(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    for step in range(steps + 1):
        share = step / steps
        yield round(start[0] + share * (end[0] - start[0])), round(start[1] + share * (end[1] - start[1]))


def _ticks(low: float, rows: int) -> Iterator[tuple[int, str]]:
    """Rows and what stands at them: round accuracies, at least two rows apart."""
    step = next((step for step in _STEPS if (1 - low) / step <= (rows - 1) / 2), 0.5)
    for number in range(math.floor((1 - low) / step + 1e-9) + 1):
        yield _place(number * step / (1 - low), rows), percent(1 - number * step, 0)


def _tick_labels(strengths: Sequence[float], columns: int) -> str:
    """Each ends under its strength; where two would touch, the second is left out."""
    labels = ""
    for strength in sorted(strengths):
        label = f"{strength:g}".replace(".", _("."))
        start = max(0, _place(strength / max(strengths), columns) - len(label) + 1) if strength else 0
        if not labels or start > len(labels):
            labels = labels.ljust(start) + label
    return labels
