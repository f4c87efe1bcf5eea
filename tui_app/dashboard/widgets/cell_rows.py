"""Rows of painted cells, of which only changed cells are sent to the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tui_app.charts.canvas import (
    AXIS,
    BAND,
    BATCH,
    BLANK,
    CURSOR,
    EPOCH,
    GAP,
    GRID,
    LABEL,
    PLACEHOLDER,
    SERIES,
    VALIDATION,
    Row,
)

_COMPONENTS = {
    AXIS: "axis",
    LABEL: "label",
    GRID: "grid",
    BATCH: "batch",
    GAP: "gap",
    VALIDATION: "validation",
    PLACEHOLDER: "placeholder",
    CURSOR: "cursor",
}
_BAND_OPACITY = 0.4


class CellRows(Widget):
    """A widget that shows rows of a chart's canvas, in the theme's colours."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "cell-rows--axis",
        "cell-rows--label",
        "cell-rows--grid",
        "cell-rows--batch",
        "cell-rows--running",
        "cell-rows--validation",
        "cell-rows--gap",
        "cell-rows--placeholder",
        "cell-rows--cursor",
    }

    DEFAULT_CSS = """
    CellRows > .cell-rows--axis {
        color: $foreground 40%;
    }
    CellRows > .cell-rows--label {
        color: $text-muted;
    }
    CellRows > .cell-rows--grid {
        color: $foreground 15%;
    }
    CellRows > .cell-rows--batch {
        color: $foreground 30%;
    }
    CellRows > .cell-rows--running {
        color: $accent;
        text-style: bold;
    }
    CellRows > .cell-rows--validation {
        color: $foreground;
        text-style: bold;
    }
    CellRows > .cell-rows--gap {
        color: $error;
        text-style: bold;
    }
    CellRows > .cell-rows--placeholder {
        color: $text-muted;
    }
    CellRows > .cell-rows--cursor {
        color: $foreground 70%;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[Row] = []
        self._colours: Sequence[str] = ()
        self._strips: dict[int, Strip] = {}
        self._styles_by_paint: dict[str, Style] = {}
        self._base_style: Style | None = None

    def show_rows(self, rows: list[Row]) -> None:
        """Show other rows in place of those there are."""
        old, self._rows = self._rows, rows
        if len(old) != len(rows):
            self._strips.clear()
            self.refresh()
            return
        changes = [(y, row.changed_from(was)) for y, (row, was) in enumerate(zip(rows, old, strict=True))]
        regions = [Region(span[0], y, span[1] - span[0], 1) for y, span in changes if span is not None]
        for region in regions:
            self._strips.pop(region.y, None)
        if regions:
            self.refresh(*regions)

    def show_colours(self, colours: Sequence[str]) -> bool:
        """Give the series their colours, names or variables of the theme; return whether they are other ones."""
        if self._colours == colours:
            return False
        self._colours = colours
        self._styles_by_paint.clear()
        self._rows = []
        return True

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_style = None

    def render_lines(self, crop: Region) -> list[Strip]:
        base = self.rich_style
        if base != self._base_style:  # a new theme, or a new background behind the rows
            self._base_style = base
            self._styles_by_paint.clear()
            self._strips.clear()
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
        for text, paint in row.runs():
            yield Segment(text, self._style(paint))

    def _style(self, paint: str) -> Style:
        style = self._styles_by_paint.get(paint)
        if style is None:
            style = self._styles_by_paint[paint] = self._resolve(ord(paint))
        return style

    def _resolve(self, paint: int) -> Style:
        if paint == BLANK:
            return self.rich_style
        if paint in _COMPONENTS:
            return self.get_component_rich_style(f"cell-rows--{_COMPONENTS[paint]}")
        style = self.get_component_rich_style("cell-rows--running")
        number = 0 if paint == EPOCH else paint - (BAND if paint >= BAND else SERIES)
        name = self._colours[number] if number < len(self._colours) else ""
        if name.startswith("$"):
            name = self.app.theme_variables.get(name[1:], "")
        try:
            color = Color.parse(name)
        except ColorParseError:
            return style
        if paint >= BAND:
            return Style(color=self.background_colors[1].blend(color, _BAND_OPACITY).rich_color, bgcolor=style.bgcolor)
        return style + Style(color=color.rich_color)
