"""Canvas of a chart; the only file that uses plotext.

plotext aborts the whole process on a NaN and raises on ranges that overflow. So whatever the losses are, it is given
only points between 0 and 1, at most two per column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from rich.cells import cell_len
from rich.text import Text

from core.runs.history import Column
from tui_app.charts.curves import Point
from tui_app.charts.scale import Scale

# What a cell shows, as a number: plotext carries it in a colour's green and blue, and it later selects the style.
BLANK, AXIS, LABEL, GRID, BATCH, GAP, EPOCH, VALIDATION, PLACEHOLDER, CURSOR = range(10)
SERIES = 256
BAND = 512
"""Number of the first series' band; each further series has the next number."""
MOST_SERIES = 200
_COLOUR = "38;2;0;"
_SGR = re.compile(r"\x1b\[([\d;]*)m")
ASCII = str.maketrans("│┤├┊─┼┬┴└┘┌┐━⣿×…●◆┄▼★▲■–", "||||-+++++++=:x~ov.v*^#-")


class CellSize(NamedTuple):
    """A size in terminal columns and rows."""

    width: int
    height: int


class CellArea(NamedTuple):
    """A rectangle of terminal cells; `x` and `y` locate its upper left corner."""

    x: int
    y: int
    width: int
    height: int


_RUN = re.compile(r"(.)\1*", re.DOTALL)


class Row(NamedTuple):
    """A line of the chart: its characters, and what each of them shows."""

    text: str
    paint: str

    @classmethod
    def of(cls, runs: Iterable[tuple[str, int]]) -> Row:
        runs = list(runs)
        return cls("".join(text for text, _ in runs), "".join(chr(paint) * len(text) for text, paint in runs))

    def runs(self) -> Iterator[tuple[str, str]]:
        """Yield the stretches of adjacent cells with the same paint: their characters, and the paint."""
        for run in _RUN.finditer(self.paint):
            yield self.text[run.start() : run.end()], run[1]

    def with_text(self, column: int, text: str, paint: int) -> Row:
        """Return the row with `text` written over it at `column`."""
        end = column + cell_len(text)
        return Row(
            self.text[:column] + text + self.text[end:], self.paint[:column] + chr(paint) * len(text) + self.paint[end:]
        )

    def changed_from(self, old: Row) -> tuple[int, int] | None:
        """Return the range of columns in which the rows differ, its end excluded; None if they are equal."""
        if self == old:
            return None
        width = len(self.text)
        if width != len(old.text) or cell_len(self.text) != width or cell_len(old.text) != width:
            return 0, max(cell_len(self.text), cell_len(old.text))
        different = [a != b or p != q for a, b, p, q in zip(self.text, old.text, self.paint, old.paint, strict=True)]
        return different.index(True), width - different[::-1].index(True)


@dataclass(frozen=True)
class Layout:
    """The parts that fit in a chart of a given size: the legend, then the axes, make way for the canvas."""

    size: CellSize
    margin: int
    """Width of the tick labels."""
    figures: int = 0
    """Number of rows of figures between the legend and the canvas."""
    wants_legend: bool = True

    @property
    def has_legend(self) -> bool:
        return self.wants_legend and self.size.width >= 24 and self.size.height >= 5

    @property
    def has_axes(self) -> bool:
        return self.size.width >= 20 and self.size.height >= 4

    @property
    def plot(self) -> CellSize:
        """Return the size of the canvas with its axes and tick labels."""
        return CellSize(self.size.width, self.size.height - self.has_legend - self.figures)

    @property
    def canvas(self) -> CellArea:
        left = self.margin + 1 if self.has_axes else 0
        top = self.has_legend + self.figures
        return CellArea(left, top, self.size.width - left, self.plot.height - 2 * self.has_axes)


def dots_per_row(plain: bool) -> int:
    """Return how many rows of dots a row of cells has."""
    return 1 if plain else 4


class ChartCanvas:
    """A plotext figure with coordinates from 0 to 1."""

    @staticmethod
    def load() -> None:
        import plotext  # noqa: F401

    def __init__(self, layout: Layout, plain: bool) -> None:
        import plotext

        plotext.terminal.limit(False, False)
        self._plotext = plotext
        self._figure = type(plotext.figure)(plotext.terminal)
        self._figure.plot_size(*layout.plot)
        self._figure.theme("colorless").canvas("default")
        self._plain = plain
        self._layout = layout
        self._dots = layout.canvas.height * dots_per_row(plain)

    def axes(self, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]) -> None:
        figure, shown = self._figure, self._layout.has_axes
        figure.axes(False)
        for name, side, ticks in (("x", "lower", x_ticks), ("y", "left", y_ticks)):
            ruler = figure.ruler(name).lim(0, 1).alignment(lim="edge").pixel(self._pixel(LABEL))
            ruler.ticks([p for p, _ in ticks] if shown else [], [label for _, label in ticks] if shown else [])
            figure.axes(shown, pixel=self._pixel(AXIS), axis=name, side=side)

    def grid(self, positions: Iterable[float]) -> None:
        for position in positions:
            self._figure.line(position, orientation=1, style="dotted", pixel=self._pixel(GRID))

    def band(self, columns: Sequence[Column | None], scale: Scale, paint: int, plain: str) -> None:
        found = [(self._x(i, len(columns)), c) for i, c in enumerate(columns) if c is not None]
        if not found:
            return
        marker = self._marker(paint, plain)
        xs = [x for x, _ in found]
        highs = self._figure.signal(xs, [self.y(scale.fraction(c.high)) for _, c in found], marker=marker)
        lows = self._figure.signal(xs, [self.y(scale.fraction(c.low)) for _, c in found], marker=marker)
        self._figure.draw(highs.fill(lows).density("full"))

    def line(
        self, points: Sequence[Point], width: int, scale: Scale, paint: int, plain: str, *, wipe: bool = True
    ) -> None:
        """Draw a line. `wipe` its cells first where it may lie on a band: plotext would merge the dots of both."""
        if not points:
            return
        corners = _corners([Point(i, self.y(scale.fraction(loss)), joined) for i, loss, joined in points])
        xs, ys = [self._x(i, width) for i, _, _ in corners], [y for _, y, _ in corners]
        wiper = [] if self._plain or not wipe else [self._plotext.marker("hd", self._pixel(paint))]
        for marker in (*wiper, self._marker(paint, plain)):
            signal = self._figure.signal(xs, ys, marker=marker).lines().density("full")
            for i, (_, _, joined) in enumerate(corners):
                if not joined:
                    signal.line(i, False)
            self._figure.draw(signal)

    def dots(self, heights: Sequence[float | None], scale: Scale, paint: int, plain: str) -> None:
        """Draw a dot in each column that has a height."""
        points = [(i, height) for i, height in enumerate(heights) if height is not None]
        self._scatter(points, len(heights), scale, self._marker(paint, plain))

    def marks(self, points: Sequence[Point], width: int, scale: Scale, paint: int, sign: str) -> None:
        marker = self._plotext.marker(sign.translate(ASCII) if self._plain else sign, self._pixel(paint))
        self._scatter([(point.column, point.value) for point in points], width, scale, marker)

    def _scatter(self, points: Sequence[tuple[int, float]], width: int, scale: Scale, marker: Any) -> None:
        if points:
            xs, ys = [self._x(i, width) for i, _ in points], [self.y(scale.fraction(height)) for _, height in points]
            self._figure.draw(self._figure.signal(xs, ys, marker=marker))

    def rows(self) -> list[Row]:
        width = self._layout.plot.width
        return [_row(line, width) for line in self._figure.build().string().split("\n")[: self._layout.plot.height]]

    def _pixel(self, paint: int) -> Any:
        return self._plotext.pixel(foreground=(0, *divmod(paint, 256)))

    def _marker(self, paint: int, plain: str) -> Any:
        return self._plotext.marker(plain if self._plain else "braille", self._pixel(paint))

    def _x(self, column: int, width: int) -> float:
        return (column + 0.5) / width

    def y(self, fraction: float) -> float:
        """Return the centre of the nearest row of dots; `fraction` is 0 for the lowest row and 1 for the highest."""
        return (0.5 + round(fraction * (self._dots - 1))) / self._dots

    def row(self, fraction: float) -> int:
        """Return the row of the chart that has the nearest row of dots."""
        canvas = self._layout.canvas
        return canvas.y + min(canvas.height - 1, int((1 - self.y(fraction)) * canvas.height))


def _corners(points: list[Point]) -> list[Point]:
    """Drop the points inside level stretches, which change nothing: plotext's cost grows with each point."""
    level = [False] + [after.joined and point.value == after.value for point, after in pairwise(points)] + [False]
    return [point for i, point in enumerate(points) if not (level[i] and level[i + 1] and point.joined)]


def _row(line: str, width: int) -> Row:
    """Parse a line of plotext's output, turning its colours back into what the cells show."""
    paint = BLANK
    runs: list[tuple[str, int]] = []
    first, *rest = _SGR.split(line)
    runs.append((first, paint))
    for code, text in zip(rest[::2], rest[1::2], strict=True):
        if code.startswith(_COLOUR):
            green, blue = code.removeprefix(_COLOUR).split(";")
            paint = 256 * int(green) + int(blue)
        elif code in ("", "0"):
            paint = BLANK
        runs.append((text, paint))
    runs.append((" " * (width - sum(len(text) for text, _ in runs)), BLANK))
    return Row.of(runs)


def coloured(rows: Iterable[Row], colours: Sequence[str], *, plain: bool) -> Text:
    """Return rows of the canvas as text, each series in its colour, in ASCII if `plain`."""
    lines = []
    for row in rows:
        line = Text(no_wrap=True)
        for text, paint in row.runs():
            number = ord(paint) - SERIES
            line.append(text.translate(ASCII) if plain else text, colours[number] if number >= 0 else "")
        lines.append(line)
    return Text("\n", no_wrap=True).join(lines)
