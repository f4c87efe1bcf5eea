"""Loss chart as rows of text: legend, figures, curves and axes, each in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len, set_cell_size

from core.runs.history import Column
from tui_app.charts.axes import Scale, Unit, fitting_scale, x_ticks
from tui_app.charts.canvas import (
    ASCII,
    BAND,
    BATCH,
    BLANK,
    EPOCH,
    GAP,
    LABEL,
    PLACEHOLDER,
    SERIES,
    VALIDATION,
    CellArea,
    CellSize,
    ChartCanvas,
    Layout,
    Row,
)
from tui_app.charts.curves import Curves, Placed, Reductions, Series, between

_LABEL_WIDTHS: dict[Unit, int] = {"epochs": 7, "seconds": 10, "macs": 10}
"""Minimum number of cells from one tick of the x axis to the next."""
_EPOCH_WIDTH = 4
"""Number of columns that an epoch needs to be told apart from the next."""
_ROWS_FOR_CURVES = 7
_ASCII_LINES = "*o+#@%&"
_ASCII_BANDS = ":'`,;^-"


@dataclass(frozen=True)
class Words:
    """The texts of a chart, in one language."""

    x_labels: dict[Unit, str] = field(default_factory=lambda: {"epochs": "Epoch", "seconds": "Time", "macs": "MACs"})
    y_label: str = "Loss"
    running: str = "running loss"
    batch: str = "batch losses"
    validation: str = "validation loss"
    no_macs: str = "MACs not known"
    failure: str = "The chart cannot be drawn."
    decimal_mark: str = "."


@dataclass(frozen=True)
class View:
    """The chart to draw: its size, its series and how to show them."""

    size: CellSize
    series: tuple[Series, ...] = ()
    """Series to draw; the first is the current one and lies on top."""
    planned_epochs: float | None = None
    """Planned epochs of the first series."""
    unit: Unit = "epochs"
    """Quantity on the x axis."""
    log_scale: bool = False
    placeholder: str = ""
    """Text shown while the chart is empty."""


@dataclass(frozen=True)
class _Drawn:
    """A series that has a place on the x axis."""

    number: int
    """Position of the series, counted from 0."""
    series: Series
    curves: Curves
    epoch_width: float
    """Width of an epoch in cells."""

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


class Picture:
    """A chart that keeps its scale of losses for as long as it fits, since a new one changes every cell."""

    def __init__(self, words: Words, *, plain: bool) -> None:
        self.words = words
        self.plain = plain
        """True for a terminal without UTF-8: ASCII only."""
        self._reductions = Reductions()
        self._scale = Scale(0, 2.5)

    def forget_scale(self) -> None:
        """Reset the scale, since other runs may need another."""
        self._scale = fitting_scale([], self._scale.log)

    def rows(self, view: View, *, may_draw: bool) -> list[Row]:
        """Draw the chart in rows as wide as the view, and as many as it is high.

        An empty chart is not drawn unless it `may_draw`, so that nothing slow is loaded for it.
        """
        placed = [self._reductions.placed(series, view.unit) for series in view.series]
        layout = self._layout(view.size, sum(each is not None and each.series.validates for each in placed))
        reach = _reach(view, placed)
        drawn = self._reduce(placed, reach, layout.canvas.width)
        self._settle_scale([loss for each in drawn for loss in each.curves.losses], view.log_scale)
        is_empty = not any(each.curves.losses or each.curves.gaps for each in drawn)
        if is_empty and not may_draw:
            return _with_message(_blank(view.size), view.placeholder)
        try:
            rows = self._draw(layout, view.unit, reach, drawn)
        except Exception:  # an error in a drawing library must not bring down the current run
            return _with_message(_blank(view.size), self.words.failure)
        if layout.has_axes:
            label = self.words.x_labels[view.unit]
            rows[-1] = rows[-1].with_text(layout.margin - cell_len(label), label, LABEL)
        validating = [each for each in drawn if each.series.validates]
        rows[:0] = [self._figures(layout, each) for each in validating[: layout.figures]]
        if layout.has_legend:
            rows.insert(0, self._legend(layout, view))
        rows += _blank(CellSize(view.size.width, view.size.height - len(rows)))
        _mark_gaps(rows, layout.canvas, drawn)
        if drawn and drawn[0].is_on_show and placed[0] is not None:
            _mark_moments(rows, layout.canvas, placed[0], reach)
        if is_empty:
            rows = _with_message(rows, self.words.no_macs if view.series and not drawn else view.placeholder)
        return [Row(row.text.translate(ASCII), row.paint) for row in rows] if self.plain else rows

    def _layout(self, size: CellSize, figures: int) -> Layout:
        layout = Layout(size, max(6, *map(cell_len, self.words.x_labels.values())))
        if not layout.has_legend or not layout.has_axes:
            return layout
        return Layout(size, layout.margin, max(0, min(figures, layout.canvas.height - _ROWS_FOR_CURVES)))

    def _reduce(self, placed: Sequence[Placed | None], reach: float, cells: int) -> list[_Drawn]:
        """Reduce the series to columns: two a cell, as in braille, for the first and for groups; one for other runs."""
        drawn = []
        for number, each in enumerate(placed):
            if each is not None:
                width = 2 * cells if number == 0 or each.series.is_group else cells
                edges = each.steps_at(reach * i / max(1, width) for i in range(width + 1))
                apart = width * each.epoch_width >= _EPOCH_WIDTH * reach
                curves = self._reductions.curves(each.series, edges, apart=apart, in_full=number == 0)
                drawn.append(_Drawn(number, each.series, curves, cells * each.epoch_width / reach))
        return drawn

    def _settle_scale(self, losses: Sequence[Column], log: bool) -> None:
        new, old = fitting_scale(losses, log), self._scale
        if not losses or not old.includes(new) or new.top - new.bottom < 0.3 * (old.top - old.bottom):
            self._scale = new

    def _draw(self, layout: Layout, unit: Unit, reach: float, drawn: Sequence[_Drawn]) -> list[Row]:
        canvas, scale = ChartCanvas(layout, self.plain), self._scale
        ticks = x_ticks(unit, reach, layout.canvas.width / _LABEL_WIDTHS[unit])
        canvas.axes(
            [(place, self._number(label)) for place, label in ticks],
            [
                (canvas.y(fraction), self._number(label).rjust(layout.margin))
                for fraction, label in scale.ticks(layout.canvas.height // 2)
            ],
        )
        canvas.grid(place for place, _ in ticks[1:])
        upwards = drawn[::-1]  # the first lies on top, and lines lie on top of bands and dots
        for each in upwards:
            paint = BATCH if each.is_on_show else BAND + each.number
            canvas.band(each.curves.band, scale, paint, each.signs(_ASCII_BANDS))
        for each in upwards:
            if not each.is_on_show:
                heights = between(each.curves.validation, each.curves.width)
                canvas.dots(heights[:: max(1, len(heights) // layout.canvas.width)], scale, each.paint, ".")
        for each in upwards:
            canvas.line(each.curves.running, each.curves.width, scale, each.paint, each.signs(_ASCII_LINES))
            if each.is_on_show:
                canvas.line(each.curves.validation, each.curves.width, scale, VALIDATION, ".")
        for each in upwards:
            if each.epoch_width >= _EPOCH_WIDTH:
                canvas.marks(each.curves.epochs, each.curves.width, scale, EPOCH, "●")
                canvas.marks(each.curves.validation, each.curves.width, scale, each.validation_paint, "◆")
        return canvas.rows()

    def _number(self, text: str) -> str:
        return text.replace(".", self.words.decimal_mark)

    def _figures(self, layout: Layout, drawn: _Drawn) -> Row:
        """Return a series' validation accuracies in %, each at its epoch; only the newest ones where room is short."""
        paint, right = drawn.validation_paint, layout.size.width
        row = Row.of([("◆ %".rjust(layout.margin), paint), (" " * (right - layout.margin), BLANK)])
        end = right
        for column, share, _ in reversed(drawn.curves.accuracy):
            text = self._number(f"{100 * share:.1f}")
            centre = layout.canvas.x + column * layout.canvas.width // drawn.curves.width
            begin = min(centre - len(text) // 2, right - len(text))
            if layout.canvas.x <= begin and begin + len(text) <= end:
                row = row.with_text(begin, text, paint)
                end = begin - 1
        return row

    def _legend(self, layout: Layout, view: View) -> Row:
        """Return the legend: the name of the y axis at the left, the names of the lines at the right."""
        head = self.words.y_label.rjust(layout.margin)
        runs: list[tuple[str, int]] = []
        room = layout.size.width - cell_len(head)
        for signs, name in self._entries(view):
            name = "".join(c if c.isprintable() else "·" for c in name)
            needed = 3 + sum(len(sign) for sign, _ in signs) + cell_len(name)
            if needed > room - 3:
                runs.append(("  …", LABEL))
                room -= 3
                break
            runs += [("  ", BLANK), *signs, (f" {name}", LABEL)]
            room -= needed
        return Row.of([(head, LABEL), (" " * room, BLANK), *runs])

    def _entries(self, view: View) -> Iterable[tuple[list[tuple[str, int]], str]]:
        """Yield signs and names, the runs first."""
        many = len(view.series) > 1
        for number, series in enumerate(view.series):
            line = _ASCII_LINES[number % len(_ASCII_LINES)] if self.plain else "━"
            band = _ASCII_BANDS[number % len(_ASCII_BANDS)] if self.plain else "⣿"
            signs = [(line, SERIES + number), (band, BAND + number) if series.is_group else (line, SERIES + number)]
            name = series.name if many or series.is_group else self.words.running
            yield signs, name if self._reductions.placed(series, view.unit) else f"{name} ({self.words.no_macs})"
        if not view.series:
            return
        first = view.series[0]
        if first.validates and not first.is_group:
            yield [("━◆", VALIDATION)], self.words.validation
        elif any(series.validates for series in view.series):
            yield [("┄◆", LABEL)], self.words.validation
        if not first.is_group:
            yield [("⣿⣿", BATCH)], self.words.batch


def _reach(view: View, placed: Sequence[Placed | None]) -> float:
    """Return the end of the x axis."""
    ends = [each.reach(None if number else view.planned_epochs) for number, each in enumerate(placed) if each]
    return max(ends, default=0.0) or (1.0 if placed or view.unit != "epochs" else max(1.0, view.planned_epochs or 1.0))


def _mark_gaps(rows: list[Row], canvas: CellArea, drawn: Sequence[_Drawn]) -> None:
    for each in reversed(drawn):
        for column in each.curves.gaps:
            x = canvas.x + column * canvas.width // each.curves.width
            rows[canvas.y] = rows[canvas.y].with_text(x, "×", GAP if each.is_on_show else each.paint)


def _mark_moments(rows: list[Row], canvas: CellArea, placed: Placed, reach: float) -> None:
    """Write what happened when at the top of the chart, as far as there is room."""
    free = canvas.x
    for step, text in placed.series.moments:
        x = canvas.x + min(canvas.width - 1, int(placed.place_of(step) / reach * canvas.width))
        text = text if x + cell_len(text) <= canvas.x + canvas.width else text[:1]
        if x >= free and canvas.height:
            rows[canvas.y] = rows[canvas.y].with_text(x, text, EPOCH)
            free = x + cell_len(text) + 1


def _with_message(rows: list[Row], text: str) -> list[Row]:
    width = len(rows[0].text) if rows else 0
    text = set_cell_size(text, width) if cell_len(text) > width else text
    y = max(0, (len(rows) - 1) // 2)
    message = rows[y].with_text((width - cell_len(text)) // 2, text, PLACEHOLDER)
    return [*rows[:y], message, *rows[y + 1 :]]


def _blank(size: CellSize) -> list[Row]:
    return [Row.of([(" " * size.width, BLANK)])] * size.height
