"""Loss chart as rows of text: legend, figures, curves and axes, each in its place."""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from core.runs.history import Column
from tui_app.charts.axes import Unit, XWindow, x_ticks
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
    dots_per_row,
)
from tui_app.charts.curves import Point, Reading, Reductions, between
from tui_app.charts.drawing import ASCII_BANDS, ASCII_LINES, Drawing, Drawn, Entry, legend
from tui_app.charts.labels import Label, place
from tui_app.charts.scale import Heights, Scale, ScaleKeeper, Wanted
from tui_app.charts.series import Edges, Placed, Series
from tui_app.charts.view import View, Words

_LABEL_WIDTHS: dict[Unit, int] = {"epochs": 7, "seconds": 10, "macs": 10}
"""Minimum number of cells from one tick of the x axis to the next."""
_EPOCH_WIDTH = 4
"""Number of columns that an epoch needs to be told apart from the next."""
_ROWS_FOR_CURVES = 7
_MOST_FIGURES = 2


class Picture:
    """A chart that keeps its scale for as long as it fits, since a new one changes every cell."""

    def __init__(self, words: Words, *, plain: bool) -> None:
        self.words = words
        self.plain = plain
        """True for a terminal without UTF-8: ASCII only."""
        self._reductions = Reductions()
        self._keeper = ScaleKeeper()

    def draw(self, view: View, *, may_draw: bool) -> Drawing:
        """Draw the chart in rows as wide as the view, and as many as it is high.

        An empty chart is not drawn unless it `may_draw`, so that nothing slow is loaded for it.
        """
        placed = [self._reductions.placed(series, view.unit) for series in view.series]
        whole = _reach(view, placed)
        window = view.window.within(whole) if view.window else XWindow(0.0, whole)
        drawn = self._reduce(placed, window, self._layout(view.size, 0).canvas.width, view.reading)
        layout = self._layout(view.size, len(_with_figures(drawn)) if view.reading.metric == "loss" else 0)
        scale = self._settle_scale(view, layout.canvas, whole, drawn)
        is_empty = not any(each.curves.values or each.curves.gaps for each in drawn)
        message = self._message(view, drawn) if is_empty else ""
        if is_empty and not may_draw:
            rows = _with_message(_blank(view.size), layout.canvas, message)
        else:
            rows = self._rows(view, layout, window, drawn, scale)
            rows = _with_message(rows, layout.canvas, message) if is_empty else rows
        return Drawing(rows, layout, window, whole, drawn, scale, view.reading.metric)

    def rows(self, drawing: Drawing, cursor: float | None) -> list[Row]:
        """Return the rows of a drawing with a cursor at a place on its x axis."""
        rows = drawing.with_cursor(cursor, self.words)
        return [Row(row.text.translate(ASCII), row.paint) for row in rows] if self.plain else rows

    def _message(self, view: View, drawn: Sequence[Drawn]) -> str:
        """Return what an empty chart says."""
        if view.series and not drawn:
            return self.words.no_macs
        begun = any(series.end for series in view.series)
        if view.reading.metric == "accuracy" and not any(each.last_place is not None for each in drawn):
            return self.words.no_accuracy if begun else view.placeholder
        return self.words.nothing_here if begun and view.window else view.placeholder

    def _rows(self, view: View, layout: Layout, window: XWindow, drawn: Sequence[Drawn], scale: Scale) -> list[Row]:
        canvas = None
        try:
            canvas = ChartCanvas(layout, self.plain)
            rows = self._draw(canvas, layout, view.unit, window, drawn, scale)
        except Exception:  # an error in a drawing library must not bring down the current run
            return _with_message(_blank(view.size), layout.canvas, self.words.failure)
        if layout.has_axes:
            text = self.words.x_labels[view.unit]
            rows[-1] = rows[-1].with_text(layout.margin - cell_len(text), text, LABEL)
        rows[:0] = [self._figures(layout, each) for each in _with_figures(drawn)[: layout.figures]]
        if layout.has_legend:
            rows.insert(0, legend(layout, self.words.y_labels[view.reading.metric], self._entries(view, drawn)))
        rows += _blank(CellSize(view.size.width, view.size.height - len(rows)))
        _mark_gaps(rows, layout.canvas, drawn)
        if drawn and drawn[0].is_on_show:
            _mark_moments(rows, layout.canvas, drawn[0].placed, window)
        place(rows, layout.canvas, self._labels(canvas, layout.canvas, drawn, scale))
        return rows

    def _layout(self, size: CellSize, figures: int) -> Layout:
        layout = Layout(size, max(6, *map(cell_len, self.words.x_labels.values())))
        if not layout.has_legend or not layout.has_axes:
            return layout
        return Layout(size, layout.margin, max(0, min(figures, layout.canvas.height - _ROWS_FOR_CURVES)))

    def _reduce(self, placed: Sequence[Placed | None], window: XWindow, cells: int, reading: Reading) -> list[Drawn]:
        """Reduce the series to columns: two a cell, as in braille, for the first and for groups; one for other runs."""
        drawn = []
        for number, each in enumerate(placed):
            if each is not None:
                width = 2 * cells if number == 0 or each.series.is_group else cells
                edges = each.steps_at(window.place(i / max(1, width)) for i in range(width + 1))
                apart = width * each.epoch_width >= _EPOCH_WIDTH * window.width
                curves = self._reductions.curves(each.series, edges, reading, apart=apart, in_full=number == 0)
                turn = self._turn(each.series, edges) if reading.metric == "loss" else None
                sources = self._reductions.sources(each.series, reading)
                drawn.append(Drawn(number, each, curves, sources, cells * each.epoch_width / window.width, turn))
        return drawn

    def _turn(self, series: Series, edges: Edges) -> Point | None:
        """Return the column and the value of the lowest validation loss, if overfitting begins there."""
        turn = self._reductions.turning_point(series) if series.validates else None
        if turn is None or not edges[0] <= turn[0] < edges[-1]:
            return None
        return Point(bisect_right(edges, turn[0]) - 1, turn[1], joined=False)

    def _settle_scale(self, view: View, canvas: CellArea, whole: float, drawn: Sequence[Drawn]) -> Scale:
        wanted = Wanted(
            of=([series.key for series in view.series], view.unit, view.reading.smoothing),
            part=view.window,
            metric=view.reading.metric,
            log=view.log_scale,
            columns=_values(drawn),
            epochs=sum(history.epochs.version for each in drawn for history in each.series.histories),
            rows=canvas.height,
            dots_per_row=dots_per_row(self.plain),
        )

        def of_whole() -> tuple[list[Column], list[Heights]]:
            placed = [each.placed for each in drawn]
            found = self._reduce(placed, XWindow(0.0, whole), canvas.width, view.reading) if view.window else drawn
            return _values(found), [each.heights(canvas.width) for each in found]

        return self._keeper.settle(wanted, of_whole)

    def _draw(
        self,
        canvas: ChartCanvas,
        layout: Layout,
        unit: Unit,
        window: XWindow,
        drawn: Sequence[Drawn],
        scale: Scale,
    ) -> list[Row]:
        ticks = x_ticks(unit, window, layout.canvas.width / _LABEL_WIDTHS[unit])
        canvas.axes(
            [(position, self.words.number(text)) for position, text in ticks],
            [
                (canvas.y(fraction), self.words.number(text).rjust(layout.margin))
                for fraction, text in scale.ticks(layout.canvas.height // 2)
            ],
        )
        canvas.grid(position for position, _ in ticks if position > 0)
        upwards = drawn[::-1]  # the first lies on top, and lines lie on top of bands and dots
        for each in upwards:
            paint = BATCH if each.is_on_show else BAND + each.number
            canvas.band(each.curves.band, scale, paint, each.signs(ASCII_BANDS))
        for each in upwards:
            if not each.is_on_show:
                heights = between(each.curves.validation, each.curves.width)
                canvas.dots(heights[:: max(1, len(heights) // layout.canvas.width)], scale, each.paint, ".")
        for each in upwards:
            canvas.line(each.curves.line, each.curves.width, scale, each.paint, each.signs(ASCII_LINES))
            if each.is_on_show:
                canvas.line(each.curves.validation, each.curves.width, scale, VALIDATION, ".")
        for each in upwards:
            self._draw_marks(canvas, each, scale)
        return canvas.rows()

    def _draw_marks(self, canvas: ChartCanvas, each: Drawn, scale: Scale) -> None:
        curves = each.curves
        if each.epoch_width >= _EPOCH_WIDTH:
            canvas.marks(curves.marks, curves.width, scale, each.paint, "●")
            canvas.marks(curves.validated, curves.width, scale, each.validation_paint, "◆")
        if each.turn is not None:
            canvas.marks([each.turn], curves.width, scale, each.validation_paint, "▲")
        canvas.marks(curves.tested, curves.width, scale, each.paint, "■")

    def _labels(self, canvas: ChartCanvas, area: CellArea, drawn: Sequence[Drawn], scale: Scale) -> list[Label]:
        """Return the names of several lines at their ends, and the words where overfitting begins."""
        found = []
        for each in drawn:
            ends = each.line[-1:] if len(drawn) > 1 else []
            points = [(each.series.name, each.paint, point) for point in ends]
            if each.turn is not None and each.number == 0:
                points.append((self.words.overfitting, each.validation_paint, each.turn))
            for text, paint, point in points:
                x = area.x + each.cell(point.column, area.width)
                found.append(Label(text, x, canvas.row(scale.fraction(point.value)), paint))
        return found

    def _figures(self, layout: Layout, drawn: Drawn) -> Row:
        """Return a series' validation accuracies in %, each at its epoch; only the newest ones where room is short."""
        paint, right = drawn.validation_paint, layout.size.width
        row = Row.of([("◆ %".rjust(layout.margin), paint), (" " * (right - layout.margin), BLANK)])
        end = right
        for column, share, _ in reversed(drawn.curves.accuracy):
            text = self.words.number(f"{share:.1f}")
            centre = layout.canvas.x + drawn.cell(column, layout.canvas.width)
            begin = min(centre - len(text) // 2, right - len(text))
            if layout.canvas.x <= begin and begin + len(text) <= end:
                row = row.with_text(begin, text, paint)
                end = begin - 1
        return row

    def _entries(self, view: View, drawn: Sequence[Drawn]) -> Iterable[Entry]:
        """Yield signs and names for the legend, the runs first."""
        words, metric = self.words, view.reading.metric
        many = len(view.series) > 1
        alone = words.smoothed if view.reading.smoothing else words.running
        if metric == "accuracy":
            alone = words.validation[metric]
        for number, series in enumerate(view.series):
            line = ASCII_LINES[number % len(ASCII_LINES)] if self.plain else "━"
            band = ASCII_BANDS[number % len(ASCII_BANDS)] if self.plain else "⣿"
            signs = [(line, SERIES + number), (band, BAND + number) if series.is_group else (line, SERIES + number)]
            name = series.name if many or series.is_group else alone
            if metric == "accuracy" and name == alone and not series.validates:
                continue  # it has a test accuracy at most
            is_known = self._reductions.placed(series, view.unit) is not None
            yield Entry(signs, name, "" if is_known else f"({words.no_macs})")
        if not view.series:
            return
        first = view.series[0]
        validates, of_first = any(series.validates for series in view.series), first.validates and not first.is_group
        if metric == "accuracy":
            if any(each.curves.tested for each in drawn):
                yield Entry([("■", LABEL)], words=words.tested)
        elif validates:
            yield Entry([("━◆", VALIDATION) if of_first else ("┄◆", LABEL)], words=words.validation[metric])
        if turned := [each for each in drawn if each.turn is not None]:
            yield Entry([("▲", turned[0].validation_paint)], words=words.overfitting)
        if any(series.is_group for series in view.series):
            yield Entry([("⣿⣿", LABEL)], words=words.bands[view.reading.band])
        if not first.is_group and metric == "loss":
            yield Entry([("⣿⣿", BATCH)], words=words.batch)


def _with_figures(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Return the series whose accuracies stand above the losses: of more than two rows nobody can tell whose they are.

    Then the current run alone has its own.
    """
    validating = [each for each in drawn if each.series.validates]
    return validating if len(validating) <= _MOST_FIGURES else [each for each in validating if each.number == 0]


def _values(drawn: Sequence[Drawn]) -> list[Column]:
    return [value for each in drawn for value in each.curves.values]


def _reach(view: View, placed: Sequence[Placed | None]) -> float:
    """Return the end of the x axis."""
    ends = [each.reach(None if number else view.planned_epochs) for number, each in enumerate(placed) if each]
    return max(ends, default=0.0) or (1.0 if placed or view.unit != "epochs" else max(1.0, view.planned_epochs or 1.0))


def _mark_gaps(rows: list[Row], canvas: CellArea, drawn: Sequence[Drawn]) -> None:
    for each in reversed(drawn):
        for column in each.curves.gaps:
            x = canvas.x + each.cell(column, canvas.width)
            rows[canvas.y] = rows[canvas.y].with_text(x, "×", GAP if each.is_on_show else each.paint)


def _mark_moments(rows: list[Row], canvas: CellArea, placed: Placed, window: XWindow) -> None:
    """Write what happened when at the top of the chart, as far as there is room."""
    free = canvas.x
    for step, text in placed.series.moments:
        share = window.fraction(placed.place_of(step))
        x = canvas.x + min(canvas.width - 1, int(share * canvas.width))
        text = text if x + cell_len(text) <= canvas.x + canvas.width else text[:1]
        if x >= free and canvas.height and 0 <= share <= 1:
            rows[canvas.y] = rows[canvas.y].with_text(x, text, EPOCH)
            free = x + cell_len(text) + 1


def _with_message(rows: list[Row], canvas: CellArea, text: str) -> list[Row]:
    """Write a text over the middle of the canvas, wrapped, on blank ground."""
    lines = textwrap.wrap(text, max(1, canvas.width - 2))[: max(1, canvas.height)]
    width = max(map(cell_len, lines), default=0)
    top, left = canvas.y + max(0, (canvas.height - len(lines)) // 2), canvas.x + (canvas.width - width) // 2
    rows = list(rows)
    for y, line in zip(range(top, len(rows)), lines, strict=False):
        ground = min(width + 2, canvas.width)
        row = rows[y].with_text(canvas.x + (canvas.width - ground) // 2, " " * ground, BLANK)
        rows[y] = row.with_text(left + (width - cell_len(line)) // 2, line, PLACEHOLDER)
    return rows


def _blank(size: CellSize) -> list[Row]:
    return [Row.of([(" " * size.width, BLANK)])] * size.height
