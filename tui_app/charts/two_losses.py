"""Text chart of the batch losses of some programs, over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from core.runs.history import Column
from tui_app.charts.canvas import ASCII, SERIES, CellSize, ChartCanvas, Layout, coloured
from tui_app.charts.curves import Point
from tui_app.charts.scale import Scale, linear_scale
from tui_app.i18n import _

_MARGIN = 5
_MARKERS = "●◆"
_MOST_TIMES = 2
"""Times the greatest value of the first curve that are drawn of the others."""


@dataclass(frozen=True)
class BatchLosses:
    """The losses of a program's batches, drawn as a line in `colour`."""

    name: str
    colour: str
    losses: Sequence[float]
    batches_per_epoch: int


def draw(curves: Sequence[BatchLosses], epochs: int, width: int, height: int, *, plain: bool) -> Text:
    """Draw the curves in `width` columns and `height` rows, with a legend above; nothing if they do not fit."""
    layout = Layout(CellSize(width, height - 1), _MARGIN, wants_legend=False)
    columns, rows = layout.canvas.width, layout.canvas.height
    if not layout.has_axes or rows < 3:
        return Text()
    num_dots = columns * (1 if plain else 2)
    places = [_points(curve, epochs, num_dots) for curve in curves]
    scale = _scale(places)
    canvas = ChartCanvas(layout, plain)
    canvas.axes([(epoch / epochs, str(epoch)) for epoch in range(epochs + 1)], _ticks(canvas, scale, rows))
    for number, points in enumerate(places):
        canvas.line(points, num_dots, scale, SERIES + number, ".", wipe=False)
    for number, points in enumerate(places):  # tells them apart without colours
        canvas.marks(points[-1:], num_dots, scale, SERIES + number, _MARKERS[number])
    chart = coloured(canvas.rows(), [curve.colour for curve in curves], plain=plain)
    return Text("\n", no_wrap=True).join([_legend(curves, plain=plain), chart])


def _scale(places: Sequence[Sequence[Point]]) -> Scale:
    """Return a scale in which the first curve stays legible, however high the others go: those are cut off."""
    values = [[point.value for point in points] for points in places]
    most = _MOST_TIMES * max(values[0], default=math.inf)
    return linear_scale([Column(0.0, min(value, most), value) for each in values for value in each])


def _ticks(canvas: ChartCanvas, scale: Scale, rows: int) -> list[tuple[float, str]]:
    marks = scale.ticks(rows // 2)
    return [(canvas.y(place), label.replace(".", _(".")).rjust(_MARGIN)) for place, label in marks]


def _points(curve: BatchLosses, epochs: int, num_dots: int) -> list[Point]:
    """Return a point for each column that has losses: their mean, those that are not finite left out."""
    total = epochs * curve.batches_per_epoch
    found: dict[int, list[float]] = {}
    for i, loss in enumerate(curve.losses):
        if math.isfinite(loss):
            found.setdefault(min(num_dots - 1, (i + 1) * num_dots // total), []).append(loss)
    return [Point(column, sum(each) / len(each), joined=i > 0) for i, (column, each) in enumerate(found.items())]


def _legend(curves: Sequence[BatchLosses], *, plain: bool) -> Text:
    pairs = zip(_MARKERS, curves, strict=False)
    entries = (Text(f"{marker} {curve.name}", style=curve.colour) for marker, curve in pairs)
    legend = Text("  ").join([Text(_("Loss per batch:")), *entries])
    return Text(legend.plain.translate(ASCII)) if plain else legend
