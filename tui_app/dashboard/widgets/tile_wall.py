"""A wall of small pictures in bands, one of which is under the cursor; it scrolls."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_app import terminal
from tui_app.inside.bands import Band, Spot
from tui_app.inside.tiles import Painter, Tile

_NARROWEST = 30
_GAP = 1
"""Columns between two pictures."""


@dataclass(frozen=True)
class _Row:
    """A line of text, or a row of pictures with their captions, at a height of the wall."""

    top: int
    height: int
    text: str = ""
    is_heading: bool = False
    band: int = -1
    first: int = 0
    """Number of the first picture in the row."""
    lefts: tuple[int, ...] = ()


class TileWall(ScrollView):
    """A wall of pictures."""

    COMPONENT_CLASSES = {"tile-wall--heading", "tile-wall--caption", "tile-wall--cursor"}  # noqa: RUF012

    class Clicked(Message):
        """Sent when a picture is clicked; `place` is the value in it, row by row."""

        def __init__(self, wall: TileWall, spot: Spot, place: int) -> None:
            super().__init__()
            self.wall = wall
            self.spot = spot
            self.place = place

        @property
        def control(self) -> TileWall:
            return self.wall

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._bands: tuple[Band, ...] = ()
        self._rows: list[_Row] = []
        self._tops: list[int] = []
        self._strips: dict[int, Strip] = {}
        self._painter: Painter | None = None
        self.cursor: Spot | None = None
        """AskedImage under the cursor; None where there is no cursor."""

    @property
    def width(self) -> int:
        """Columns for pictures, beside the scrollbar; some before it has its place, too."""
        return max(_NARROWEST, self.scrollable_content_region.width or self.size.width)

    def show(self, bands: Sequence[Band], cursor: Spot | None) -> None:
        """Show other bands, with the cursor on a picture."""
        if (tuple(bands), cursor) != (self._bands, self.cursor):
            self._bands, self.cursor = tuple(bands), cursor
            self._arrange()

    def beside(self, rows: int, columns: int) -> Spot | None:
        """Return the picture so many rows below the cursor, or so many to the right; None if there is none."""
        if self.cursor is None:
            return None
        band, number = self.cursor
        if columns:
            return band, min(max(0, number + columns), len(self._bands[band].tiles) - 1)
        return self._above_or_below(rows)

    def _above_or_below(self, rows: int) -> Spot | None:
        """Return the picture that is nearest in the row before or after that of the cursor."""
        picture_rows = [row for row in self._rows if row.lefts]
        assert self.cursor is not None
        here = self._row_of(self.cursor)
        at = next((i for i, row in enumerate(picture_rows) if row is here), 0)
        if here is None or not 0 <= at + rows < len(picture_rows):
            return None
        there = picture_rows[at + rows]
        left = here.lefts[self.cursor[1] - here.first]
        nearest = min(range(len(there.lefts)), key=lambda i: abs(there.lefts[i] - left))
        return there.band, there.first + nearest

    def _row_of(self, spot: Spot) -> _Row | None:
        band, number = spot
        rows = [row for row in self._rows if row.band == band]
        with_it = (row for row in rows if row.first <= number < row.first + len(row.lefts))
        return next(with_it, rows[-1] if rows else None)

    # Layout

    def on_resize(self) -> None:
        self._arrange()

    def _arrange(self) -> None:
        width = self.width
        self._rows = list(self._laid_out(width))
        self._tops = [row.top for row in self._rows]
        self._strips.clear()
        height = self._rows[-1].top + self._rows[-1].height if self._rows else 0
        self.virtual_size = Size(min(width, self.size.width), height)
        row = self._row_of(self.cursor) if self.cursor is not None else None
        if row is not None:
            top = max(0, row.top - (row.first == 0))  # with the heading
            self.scroll_to_region(Region(0, top, width, row.top + row.height - top), animate=False, force=True)
        self.refresh()

    def _laid_out(self, width: int) -> Iterator[_Row]:
        top = 0
        for number, band in enumerate(self._bands):
            for text, is_heading in [(band.heading, True), *((line, False) for line in band.lines)]:
                if text:
                    yield _Row(top, 1, text, is_heading, number)
                    top += 1
            for row in self._rows_of(number, band, width):
                yield _Row(top, *row)
                top += row[0]

    def _rows_of(
        self, number: int, band: Band, width: int
    ) -> Iterator[tuple[int, str, bool, int, int, tuple[int, ...]]]:
        """Yield the rows of a band's pictures, as far as those are shown."""
        start = 0
        if band.tiles and not band.wraps and self.cursor is not None and self.cursor[0] == number:
            start = self._first_shown(band, min(self.cursor[1], len(band.tiles) - 1), width)
        while start < len(band.tiles):
            lefts: list[int] = []
            left = height = 0
            for tile in band.tiles[start:]:
                if lefts and left + tile.width > width:
                    break
                lefts.append(left)
                left += max(tile.width, 1) + _GAP
                height = max(height, tile.height + bool(tile.caption))
            yield height, "", False, number, start, tuple(lefts)
            if not band.wraps:
                return
            start += len(lefts)

    def _first_shown(self, band: Band, chosen: int, width: int) -> int:
        """Return the first picture of a row in which the chosen one fits."""
        room = width
        for first in range(chosen, -1, -1):
            room -= band.tiles[first].width + _GAP
            if room < -_GAP:
                return min(first + 1, chosen)
        return 0

    # Painting

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._painter = None
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        line = y + self.scroll_offset.y
        width = self.size.width
        strip = self._strips.get(line)
        if strip is None or strip.cell_length != width:
            strip = self._strips[line] = Strip(self._segments(line)).adjust_cell_length(width, self.rich_style)
        return strip

    def _segments(self, line: int) -> list[Segment]:
        at = bisect_right(self._tops, line) - 1
        if at < 0 or line >= self._rows[at].top + self._rows[at].height:
            return []
        row = self._rows[at]
        if not row.lefts:
            name = "tile-wall--heading" if row.is_heading else "tile-wall--caption"
            if row.is_heading and self.cursor is not None and self.cursor[0] == row.band:
                name = "tile-wall--cursor"
            return [
                Segment(
                    _shortened(row.text, self.width),
                    self.get_component_rich_style(name),
                )
            ]
        found: list[Segment] = []
        column = 0
        for number, left in zip(count(row.first), row.lefts, strict=False):
            tile = self._bands[row.band].tiles[number]
            found.append(Segment(" " * (left - column), self.rich_style))
            part = line - row.top
            if part < tile.height:
                found += self._paint.line(tile, part)
            else:
                found.append(self._caption(tile, part, is_current=self.cursor == (row.band, number)))
            column = left + tile.width
        return found

    def _caption(self, tile: Tile, part: int, *, is_current: bool) -> Segment:
        style = self.get_component_rich_style("tile-wall--cursor" if is_current else "tile-wall--caption")
        text = (
            set_cell_size(_shortened(tile.caption, tile.width), tile.width) if part == tile.height else " " * tile.width
        )
        return Segment(text, style if part == tile.height else self.rich_style)

    @property
    def _paint(self) -> Painter:
        if self._painter is None:
            self._painter = Painter(plain=not terminal.has_grey())
        return self._painter

    @property
    def rich_style(self) -> Style:
        return self.visual_style.rich_style

    # The mouse

    def on_click(self, event: events.Click) -> None:
        line, column = event.y + self.scroll_offset.y, event.x
        at = bisect_right(self._tops, line) - 1
        if at < 0:
            return
        row = self._rows[at]
        for number, left in zip(count(row.first), row.lefts, strict=False):
            tile = self._bands[row.band].tiles[number]
            if left <= column < left + tile.width:
                y = min(2 * (line - row.top) // tile.zoom, tile.rows - 1)
                self.post_message(
                    self.Clicked(self, (row.band, number), y * tile.columns + (column - left) // tile.zoom)
                )


def _shortened(text: str, width: int) -> str:
    """Return a text, cut visibly if it is wider than so many cells."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
