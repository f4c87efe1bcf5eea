"""Text chart of accuracy against the strength of a condition, for the dashboard and for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from tui_app.charts.canvas import SERIES, CellSize, ChartCanvas, Layout, coloured
from tui_app.charts.curves import Point
from tui_app.charts.scale import Scale
from tui_app.i18n import _, percent

COLOURS = ("cyan", "yellow", "green", "magenta", "red", "blue")
_MARKERS, _PLAIN_MARKERS = "●■▲◆▼○", "ox+*#@"
_MARGIN = 6
"""Number of columns for the accuracies at the y axis."""
_AXIS_ROWS = 2
_INTERVALS = 5
"""Number of intervals between the ticks of a y axis from zero."""
_MOST_TICKS = 10
"""Maximum number of ticks on the y axis. It covers 10 points of accuracy or more, so most are whole percentages."""


@dataclass(frozen=True)
class AccuracyCurve:
    """Accuracies (0 to 1) by strength, each drawn as a `marker` in `colour`."""

    name: str
    marker: str
    colour: str
    points: Sequence[tuple[float, float]]


def marker(position: int, *, plain: bool) -> str:
    """Return the marker of the curve at this position; it tells curves apart without colours."""
    markers = _PLAIN_MARKERS if plain else _MARKERS
    return markers[position % len(markers)]


def legend(curves: Sequence[AccuracyCurve]) -> Text:
    """Return the marker and name of each curve, on one line."""
    return Text("  ").join(Text(f"{curve.marker} {curve.name}", style=curve.colour) for curve in curves)


def draw(
    curves: Sequence[AccuracyCurve],
    strengths: Sequence[float],
    width: int,
    height: int,
    *,
    plain: bool,
    from_zero: bool = False,
) -> Text:
    """Draw the curves in `width` columns and `height` rows, in ASCII if `plain`, or nothing if they do not fit.

    The y axis begins below the lowest accuracy or, so that it stays where it is while there are ever more, `from_zero`.
    """
    if from_zero:  # the same number of rows between ticks, each 20 points
        height -= (height - _AXIS_ROWS - 1) % _INTERVALS
    layout = Layout(CellSize(width, height), _MARGIN, wants_legend=False)
    columns, rows = layout.canvas.width, layout.canvas.height
    if not layout.has_axes or columns < 2 * len(strengths) or rows < 3 or not strengths:
        return Text()
    canvas, scale = ChartCanvas(layout, plain), Scale(0, 100) if from_zero else _scale(curves)
    x_axis = _XAxis(max(strengths) or 1.0, columns, dots_per_column=1 if plain else 2)
    canvas.axes(
        x_axis.ticks(strengths),
        [
            (
                canvas.y(fraction),
                percent((scale.bottom + fraction * (scale.top - scale.bottom)) / 100, 0).rjust(_MARGIN),
            )
            for fraction, _label in scale.ticks(_INTERVALS if from_zero else min(rows // 2, _MOST_TICKS))
        ],
    )
    places = [x_axis.points(curve) for curve in curves]
    for number, points in enumerate(places):
        canvas.line(points, x_axis.num_dots, scale, SERIES + number, ".", wipe=False)
    for number, (curve, points) in enumerate(zip(curves, places, strict=True)):
        canvas.marks(points, x_axis.num_dots, scale, SERIES + number, curve.marker)
    return coloured(canvas.rows(), [curve.colour for curve in curves], plain=plain)


def _scale(curves: Sequence[AccuracyCurve]) -> Scale:
    """Return a y axis in percent, for round ticks: from the multiple of 10 below all accuracies up to 100."""
    lowest = min((y for curve in curves for _x, y in curve.points if math.isfinite(y)), default=0.0)
    return Scale(10 * min(max(math.floor(10 * lowest), 0), 9), 100)


@dataclass(frozen=True)
class _XAxis:
    """An x axis of strengths from 0 to `right`, spread over `columns` columns of the canvas."""

    right: float
    columns: int
    dots_per_column: int

    @property
    def num_dots(self) -> int:
        return self.columns * self.dots_per_column

    def points(self, curve: AccuracyCurve) -> list[Point]:
        """Return the dots of a curve, leaving out values that are not finite."""
        known = [(x, y) for x, y in curve.points if math.isfinite(y)]
        return [Point(self._dot(x), 100 * y, joined=i > 0) for i, (x, y) in enumerate(known)]

    def ticks(self, strengths: Sequence[float]) -> list[tuple[float, str]]:
        """Return a tick for each strength, leaving out any whose label would touch the one before."""
        ticks: list[tuple[float, str]] = []
        end = -1
        for strength in sorted(strengths):
            column = self._dot(strength) // self.dots_per_column
            label = f"{strength:g}".replace(".", _("."))
            start = min(column - len(label) // 2, self.columns - len(label))
            if start > end or not ticks:
                ticks.append(((column + 0.5) / self.columns, label))
                end = start + len(label)
        return ticks

    def _dot(self, strength: float) -> int:
        return round(strength / self.right * (self.num_dots - 1))
