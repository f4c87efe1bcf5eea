"""A chart of a run's losses with others overlaid, which sends only changed cells to the terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui_app.charts.axes import Unit
from tui_app.charts.canvas import (
    AXIS,
    BAND,
    BATCH,
    BLANK,
    EPOCH,
    GAP,
    GRID,
    LABEL,
    MOST_SERIES,
    PLACEHOLDER,
    SERIES,
    VALIDATION,
    CellSize,
    ChartCanvas,
    Row,
)
from tui_app.charts.curves import Series
from tui_app.charts.picture import Picture, View, Words

_COMPONENTS = {
    AXIS: "axis",
    LABEL: "label",
    GRID: "grid",
    BATCH: "batch",
    GAP: "gap",
    VALIDATION: "validation",
    PLACEHOLDER: "placeholder",
}
_BAND_OPACITY = 0.4
_RUN = re.compile(r"(.)\1*", re.DOTALL)
"""Pattern of adjacent cells with the same paint."""


class LossChart(Widget):
    """A chart of losses.

    The current run has its batch losses as a band, its running loss as a line, a mark per epoch, its validation loss as
    a second line and its validation accuracies as figures; others have the running loss, a dotted validation loss and
    the figures.
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
    x_unit: reactive[Unit] = reactive[Unit]("epochs")
    placeholder: reactive[str] = reactive("")
    """Text shown while the chart is empty."""

    def __init__(
        self,
        words: Words | None = None,
        *,
        plain: bool = False,
        placeholder: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.set_reactive(LossChart.placeholder, placeholder)
        self._picture = Picture(words or Words(), plain=plain)
        self._series: tuple[Series, ...] = ()
        self._planned_epochs: float | None = None
        self._shown: object = None
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}
        self._styles_by_paint: dict[str, Style] = {}
        self._base_style: Style | None = None
        self._may_draw = False

    def on_mount(self) -> None:
        self.call_after_refresh(self._load_canvas)

    async def _load_canvas(self) -> None:
        """Load the canvas after the first painting: it takes 0.2 s, a third of what that would have to wait for."""
        with suppress(Exception):  # what is wrong will show when it draws
            await asyncio.to_thread(ChartCanvas.load)
        self._may_draw = True
        self._shown = None
        self.refresh_data()

    def show(self, series: Sequence[Series], planned_epochs: float | None = None) -> None:
        """Show series: the first is the current run's, planned for `planned_epochs`; the others are overlaid."""
        self._may_draw = True
        old, self._series = self._series, tuple(series[:MOST_SERIES])
        self._planned_epochs = planned_epochs
        if [s.key for s in old] != [s.key for s in self._series]:
            self._picture.forget_scale()
        if [s.color for s in old] != [s.color for s in self._series]:
            self._styles_by_paint.clear()
            self._rows, self._shown = [], None
        self.refresh_data()

    def refresh_data(self) -> None:
        """Draw the new data, sending only changed cells to the terminal."""
        size = CellSize(*self.size)
        view = View(size, self._series, self._planned_epochs, self.x_unit, self.log_scale, self.placeholder)
        state = view, [series.versions for series in self._series]
        if state == self._shown or not self.size:
            return
        self._shown = state
        old, self._rows = self._rows, self._picture.rows(view, may_draw=self._may_draw)
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

    def watch_log_scale(self) -> None:
        self.refresh_data()

    def watch_x_unit(self) -> None:
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
        if base != self._base_style:  # a new theme, or a new background behind the chart
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
        for run in _RUN.finditer(row.paint):
            yield Segment(row.text[run.start() : run.end()], self._style(run[1]))

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
        number = 0 if paint == EPOCH else paint - (BAND if paint >= BAND else SERIES)
        name = self._series[number].color if number < len(self._series) else ""
        if name.startswith("$"):
            name = self.app.theme_variables.get(name[1:], "")
        try:
            color = Color.parse(name)
        except ColorParseError:
            return style
        if paint >= BAND:
            return Style(color=self.background_colors[1].blend(color, _BAND_OPACITY).rich_color, bgcolor=style.bgcolor)
        return style + Style(color=color.rich_color)
