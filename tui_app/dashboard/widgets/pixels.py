"""Grey images in a terminal: two pixels per cell, one above the other, or plain characters."""

from __future__ import annotations

from typing import Any

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.widgets import Static

from core.catalogue import SIDE
from tui_app.charts import answer


class Pixels(Static):
    """A digit of 28×28 pixels in 28 columns and 14 rows; `plain` means without colours and block characters."""

    DEFAULT_CSS = """
    Pixels {
        width: 28;
        height: 14;
    }
    """

    def __init__(self, *, plain: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._plain = plain
        self._styles: dict[tuple[int, int], Style] = {}

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()  # the cursor has a colour of the theme

    def show(self, pixels: bytes, cursor: tuple[int, int] | None = None) -> None:
        """Show 784 pixels from 0 to 255, row by row, and mark the `cursor` (row, column)."""
        text = Text(no_wrap=True)
        for row in range(0, SIDE, 2):
            upper, lower = pixels[row * SIDE : (row + 1) * SIDE], pixels[(row + 1) * SIDE : (row + 2) * SIDE]
            for column, pair in enumerate(zip(upper, lower, strict=True)):
                here = cursor is not None and cursor[0] // 2 == row // 2 and cursor[1] == column
                self._append(text, pair, here)
            text.append("\n")
        text.right_crop()
        self.update(text)

    def _append(self, text: Text, pair: tuple[int, int], cursor: bool) -> None:
        if self._plain:
            text.append("+" if cursor else answer.shade(*pair))
        else:
            text.append("▀", self._style((pair[0] // 16, pair[1] // 16), cursor))

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
