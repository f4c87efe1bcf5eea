"""The losses of one run, with those of others laid over them. Its scales move rarely, and what did not change is not
sent to the terminal.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import groupby
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from core.history import Column
from tui_app.widgets.chart_axes import Scale, fitting_scale, reach_of, tick_step
from tui_app.widgets.chart_canvas import (
    ASCII,
    AXIS,
    BATCH,
    BLANK,
    EPOCH,
    FIRST_SERIES,
    GAP,
    GRID,
    LABEL,
    PLACEHOLDER,
    VALIDATION,
    Canvas,
    Layout,
    Row,
)
from tui_app.widgets.chart_curves import Content, Reductions, Series

_COMPONENTS = {
    AXIS: "axis",
    LABEL: "label",
    GRID: "grid",
    BATCH: "batch",
    GAP: "gap",
    VALIDATION: "validation",
    PLACEHOLDER: "placeholder",
}
_MOST_SERIES = 200
_ASCII_LINES = "*o+#@%&"


class LossChart(Widget):
    """Batch losses as a band, the running loss as a line, a mark per epoch, and the validation loss as a second line;
    of other runs, the running loss.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "loss-chart--axis",
        "loss-chart--label",
        "loss-chart--grid",
        "loss-chart--batch",
        "loss-chart--running",
        "loss-chart--validation",
        "loss-chart--gap",
        "loss-chart--placeholder",
    }

    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 1;
    }
    LossChart > .loss-chart--axis {
        color: $foreground 40%;
    }
    LossChart > .loss-chart--label {
        color: $foreground 70%;
    }
    LossChart > .loss-chart--grid {
        color: $foreground 15%;
    }
    LossChart > .loss-chart--batch {
        color: $foreground 30%;
    }
    LossChart > .loss-chart--running {
        color: $accent;
        text-style: bold;
    }
    LossChart > .loss-chart--validation {
        color: $warning;
        text-style: bold;
    }
    LossChart > .loss-chart--gap {
        color: $error;
        text-style: bold;
    }
    LossChart > .loss-chart--placeholder {
        color: $text-muted;
    }
    """

    log_scale: reactive[bool] = reactive(False)
    placeholder: reactive[str] = reactive("")
    """What stands in the chart while it is empty."""

    def __init__(
        self,
        *,
        x_label: str = "Epoch",
        y_label: str = "Loss",
        running_name: str = "running loss",
        batch_name: str = "batch losses",
        validation_name: str = "validation loss",
        failure: str = "The chart cannot be drawn.",
        decimal_mark: str = ".",
        plain: bool = False,
        placeholder: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.x_label, self.y_label = x_label, y_label
        self.running_name, self.batch_name, self.validation_name = running_name, batch_name, validation_name
        self.failure = failure
        self.decimal_mark = decimal_mark
        self.plain = plain
        """ASCII only, for a terminal without UTF-8."""
        self.set_reactive(LossChart.placeholder, placeholder)
        self._series: tuple[Series, ...] = ()
        self._total_epochs: float | None = None
        self._shown: object = None
        self._scale = Scale(0, 2.5)
        self._reductions = Reductions()
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}
        self._styles_by_paint: dict[str, Style] = {}
        self._base_style: Style | None = None
        self._may_draw = False

    def on_mount(self) -> None:
        self.call_after_refresh(self._load_canvas)

    async def _load_canvas(self) -> None:
        """It takes 0.2 s, a third of what the first painting of the screen would wait for."""
        with suppress(Exception):  # what is wrong will show when it draws
            await asyncio.to_thread(Canvas.load)
        self._may_draw = True
        self._shown = None
        self.refresh_data()

    def show(self, series: Sequence[Series], total_epochs: float | None = None) -> None:
        """The first is the run on show, `total_epochs` how long it is planned to be; the others are laid over it."""
        self._may_draw = True
        old, self._series = self._series, tuple(series[:_MOST_SERIES])
        self._total_epochs = total_epochs
        if [s.key for s in old] != [s.key for s in self._series]:
            self._scale = fitting_scale([], self.log_scale)
        if [s.color for s in old] != [s.color for s in self._series]:
            self._styles_by_paint.clear()
            self._rows, self._shown = [], None
        self.refresh_data()

    def refresh_data(self) -> None:
        """Draw what is new: only the cells that changed are sent to the terminal."""
        state = self._state()
        if state == self._shown or not self.size:
            return
        self._shown = state
        old, self._rows = self._rows, self._build()
        if len(old) != len(self._rows):
            self._strips.clear()
            self.refresh()
            return
        changes = [(y, row.changed_from(was)) for y, (row, was) in enumerate(zip(self._rows, old, strict=True))]
        regions = [Region(span[0], y, span[1] - span[0], 1) for y, span in changes if span is not None]
        for region in regions:
            self._strips.pop(region.y, None)
        if regions:
            self.refresh(*regions)

    def _state(self) -> object:
        """Two equal states look the same."""
        versions = [s.history.version for s in self._series]
        names = (self.running_name, self.batch_name, self.validation_name)
        texts = (self.placeholder, self.x_label, self.y_label, *names, self.decimal_mark)
        return self.size, self.log_scale, self.plain, texts, self._series, self._total_epochs, versions

    def watch_log_scale(self) -> None:
        self.refresh_data()

    def watch_placeholder(self) -> None:
        self.refresh_data()

    def on_resize(self) -> None:
        self.refresh_data()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_style = None

    def render_lines(self, crop: Region) -> list[Strip]:
        base = self.rich_style
        if base != self._base_style:  # another theme, or another background behind the chart
            self._base_style = base
            self._styles_by_paint.clear()
            self._strips.clear()
        self.refresh_data()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != width:
            strip = self._strips[y] = Strip(self._segments(self._rows[y])).adjust_cell_length(width, self.rich_style)
        return strip

    def _segments(self, row: Row) -> Iterator[Segment]:
        begin = 0
        for paint, run in groupby(row.paint):
            end = begin + sum(1 for _ in run)
            yield Segment(row.text[begin:end], self._style(paint))
            begin = end

    def _style(self, paint: str) -> Style:
        style = self._styles_by_paint.get(paint)
        if style is None:
            style = self._styles_by_paint[paint] = self._resolve(ord(paint))
        return style

    def _resolve(self, paint: int) -> Style:
        if paint == BLANK:
            return self.rich_style
        if paint in _COMPONENTS:
            return self.get_component_rich_style(f"loss-chart--{_COMPONENTS[paint]}")
        style = self.get_component_rich_style("loss-chart--running")
        number = 0 if paint == EPOCH else paint - FIRST_SERIES
        color = self._series[number].color if number < len(self._series) else ""
        if color.startswith("$"):
            color = self.app.theme_variables.get(color[1:], "")
        try:
            return style + Style(color=Color.parse(color).rich_color)
        except ColorParseError:
            return style

    # What is drawn, as rows of text

    def _build(self) -> list[Row]:
        layout = Layout(self.size, max(6, cell_len(self.x_label)))
        content = self._reduce(layout.canvas.width)
        self._settle_scale(content.finite)
        if content.is_empty and not self._may_draw:
            return self._with_message([self._blank_row()] * self.size.height, self.placeholder)
        try:
            rows = self._draw(layout, content)
        except Exception:  # whatever a drawing library may raise, the run on show must not go down with it
            return self._with_message([self._blank_row()] * self.size.height, self.failure)
        if layout.has_axes:
            column = layout.margin - cell_len(self.x_label)
            rows[-1] = rows[-1].with_text(column, self.x_label, LABEL)
        if layout.has_legend:
            rows.insert(0, self._legend(layout))
        rows += [self._blank_row()] * (self.size.height - len(rows))
        self._mark_gaps(rows, layout.canvas, content.gaps)
        if content.is_empty:
            rows = self._with_message(rows, self.placeholder)
        return [Row(row.text.translate(ASCII), row.paint) for row in rows] if self.plain else rows

    def _reduce(self, width: int) -> Content:
        """The shown series in `width` cells."""
        reach = self._reach()
        cells = [reach * i / max(1, width) for i in range(width + 1)]
        halves = [reach * i / max(1, 2 * width) for i in range(2 * width + 1)]
        if not self._series:
            return Content(reach, [], [], [], [], [])
        first = self._series[0]
        steps = [tuple(map(s.step_at, halves if s is first else cells)) for s in self._series]
        batches = [self._reductions.get(s.history.batches, edges) for s, edges in zip(self._series, steps, strict=True)]
        running = [self._reductions.get(s.history.running, edges) for s, edges in zip(self._series, steps, strict=True)]
        epochs = self._reductions.get(first.history.epochs, tuple(map(first.step_at, cells)))
        validation = self._reductions.get(first.history.validation, steps[0])
        gaps = [sorted({i // 2 for i in batches[0].gaps}), *(reduced.gaps for reduced in batches[1:])]
        return Content(reach, batches[0].columns, running, epochs.columns, validation.columns, gaps)

    def _reach(self) -> float:
        if not self._series:
            return max(1.0, self._total_epochs or 1.0)
        end, *others = [s.x_at(s.history.end) for s in self._series]
        return max(reach_of(end, self._total_epochs, self._series[0].live), *map(math.ceil, others), 1.0)

    def _settle_scale(self, columns: Sequence[Column]) -> None:
        """Keep the scale for as long as it serves: a new one redraws every cell."""
        new, old = fitting_scale(columns, self.log_scale), self._scale
        if not columns or not old.includes(new) or new.top - new.bottom < 0.3 * (old.top - old.bottom):
            self._scale = new

    def _draw(self, layout: Layout, content: Content) -> list[Row]:
        canvas = Canvas(layout, self.plain)
        step = max(1, math.ceil(tick_step(content.reach * 7 / max(1, layout.canvas.width))))
        epochs = range(0, math.floor(content.reach) + 1, step)
        x_ticks = [(min(epoch / content.reach, 1 - 1e-9), str(epoch)) for epoch in epochs]
        y_ticks = [
            (canvas.y(fraction), label.replace(".", self.decimal_mark).rjust(layout.margin))
            for fraction, label in self._scale.ticks(layout.canvas.height // 2)
        ]
        canvas.axes(x_ticks, y_ticks)
        canvas.grid(position for position, _ in x_ticks[1:])
        canvas.band(content.batches, self._scale)
        for number in reversed(range(len(content.running))):  # the first lies on top
            points = content.running_line(number)
            sign = _ASCII_LINES[number % len(_ASCII_LINES)]
            canvas.line(points, len(content.running[number].columns), self._scale, FIRST_SERIES + number, sign)
        canvas.line(content.validation_line(), len(content.validation), self._scale, VALIDATION, ".")
        if content.reach <= layout.canvas.width / 4:
            canvas.marks(content.epochs, self._scale, EPOCH, "●")
            canvas.marks(content.validation, self._scale, VALIDATION, "◆")
        return canvas.rows()

    def _legend(self, layout: Layout) -> Row:
        """The name of the y axis at its head, what the lines are at the right."""
        head = self.y_label.rjust(layout.margin)
        many = len(self._series) > 1
        entries = [(FIRST_SERIES + i, "━━", s.name if many else self.running_name) for i, s in enumerate(self._series)]
        if self._series:
            entries.insert(1, (BATCH, "⣿⣿", self.batch_name))
            if len(self._series[0].history.validation):
                entries.insert(1, (VALIDATION, "━◆", self.validation_name))
        runs: list[tuple[str, int]] = []
        room = layout.size.width - cell_len(head)
        for paint, sign, name in entries:
            name = "".join(c if c.isprintable() else "·" for c in name)
            if self.plain and paint >= FIRST_SERIES:
                sign = _ASCII_LINES[(paint - FIRST_SERIES) % len(_ASCII_LINES)] * 2
            needed = 2 + cell_len(f"{sign} {name}")
            if needed > room - 3:
                runs.append(("  …", LABEL))
                room -= 3
                break
            runs += [("  ", BLANK), (sign, paint), (f" {name}", LABEL)]
            room -= needed
        return Row.of([(head, LABEL), (" " * room, BLANK), *runs])

    def _mark_gaps(self, rows: list[Row], canvas: Region, gaps: list[list[int]]) -> None:
        for number, cells in reversed(list(enumerate(gaps))):
            for cell in cells:
                paint = FIRST_SERIES + number if number else GAP
                rows[canvas.y] = rows[canvas.y].with_text(canvas.x + cell, "×", paint)

    def _with_message(self, rows: list[Row], text: str) -> list[Row]:
        width = self.size.width
        text = set_cell_size(text, width) if cell_len(text) > width else text
        y = max(0, (len(rows) - 1) // 2)
        message = rows[y].with_text((width - cell_len(text)) // 2, text, PLACEHOLDER)
        return [*rows[:y], message, *rows[y + 1 :]]

    def _blank_row(self) -> Row:
        return Row.of([(" " * self.size.width, BLANK)])
