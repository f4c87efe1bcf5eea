"""Grey images in a terminal: two pixels per cell, one above the other, or plain characters."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.widgets import Static

from core.catalogue import SIDE
from tui_app.charts import answer

_EMPTY = bytes(SIDE * SIDE)


class Pixels(Static):
    """A digit of 28×28 pixels; `plain` means without colours and block characters.

    It takes 28 columns and 14 rows, or `zoom` times as many. Without the `border`, only the middle is shown, where
    MNIST's digits are: 20 columns and 10 rows. `halved`, four pixels are shown as one, of their mean.
    """

    ALLOW_SELECT = False  # a drag over it is a stroke

    def __init__(self, *, plain: bool = False, border: int = 0, halved: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._plain = plain
        self._border = border
        self._side = SIDE // 2 if halved else SIDE
        self._zoom = 1
        self._shown: tuple[bytes, tuple[int, int] | None] = _EMPTY, None
        self._styles: dict[tuple[int, int], Style] = {}
        self._fit()

    @property
    def zoom(self) -> int:
        """Number of columns, and of half rows, that a pixel takes."""
        return self._zoom

    @zoom.setter
    def zoom(self, zoom: int) -> None:
        if zoom != self._zoom:
            self._zoom = zoom
            self._fit()
            self.show(*self._shown)

    def _fit(self) -> None:
        side = self._side - 2 * self._border
        self.styles.width, self.styles.height = side * self._zoom, side * self._zoom // 2

    def on_mount(self) -> None:
        self.show(*self._shown)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()  # the cursor has a colour of the theme

    def show(self, pixels: bytes, cursor: tuple[int, int] | None = None) -> None:
        """Show 784 pixels from 0 to 255, row by row, and mark the `cursor` (row, column)."""
        self._shown = pixels, cursor
        text = Text(no_wrap=True)
        side = self._side
        if side < SIDE:
            pixels = _halved(pixels)
        first, end = self._border, side - self._border
        for half_row in range(first * self._zoom, end * self._zoom, 2):
            rows = half_row // self._zoom, (half_row + 1) // self._zoom
            upper, lower = (pixels[row * side + first : row * side + end] for row in rows)
            here = cursor[1] - first if cursor is not None and cursor[0] // 2 in (rows[0] // 2, rows[1] // 2) else -1
            cells = ((pair, column == here) for column, pair in enumerate(zip(upper, lower, strict=True)))
            for (pair, is_cursor), same in groupby(cells):
                self._append(text, pair, is_cursor, self._zoom * len(list(same)))
            text.append("\n")
        text.right_crop()
        self.update(text)

    def _append(self, text: Text, pair: tuple[int, int], cursor: bool, cells: int) -> None:
        if self._plain:
            text.append(cells * ("+" if cursor else answer.shade(*pair)))
        else:
            text.append(cells * "▀", self._style((pair[0] // 16, pair[1] // 16), cursor))

    def _style(self, levels: tuple[int, int], cursor: bool) -> Style:
        """Return a cell's style: sixteen greys are few enough to keep every style instead of making one per cell."""
        key = (levels[0] + 16 * cursor, levels[1])
        if key not in self._styles:
            black, white = Color.parse("black"), Color.parse("white")
            upper, lower = (black.blend(white, level / 15) for level in levels)
            if cursor:
                accent = Color.parse(self.app.theme_variables["accent"])
                upper, lower = upper.blend(accent, 0.7), lower.blend(accent, 0.7)
            self._styles[key] = Style(color=upper.rich_color, bgcolor=lower.rich_color)
        return self._styles[key]


def _halved(pixels: bytes) -> bytes:
    """Return an image at half its resolution: each pixel is the mean of four."""
    corners = [row * SIDE + column for row in range(0, SIDE, 2) for column in range(0, SIDE, 2)]
    return bytes((pixels[at] + pixels[at + 1] + pixels[at + SIDE] + pixels[at + SIDE + 1]) // 4 for at in corners)
