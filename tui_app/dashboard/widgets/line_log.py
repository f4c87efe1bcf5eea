"""A log of text lines that arrive one by one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

_SCROLLBAR = 1


class LineLog(ScrollView, can_focus=True):
    """A log that follows its newest line, unless the user has scrolled up.

    Its height is that of all planned lines from the start: otherwise each new line would lay out the whole screen
    again, which is half of the cost of watching a quick run.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._follows = True

    def show(self, lines: Sequence[str], planned: int) -> None:
        """Show all lines so far, out of `planned` ones."""
        if self._lines == list(lines):
            return
        self._lines = list(lines)
        follows, height = self._follows, self.virtual_size.height
        self.virtual_size = Size(max(map(cell_len, lines), default=0) + _SCROLLBAR, max(planned, len(lines)))
        if follows:
            self._follow()
            if self.virtual_size.height != height:  # the scroll range is known only after the layout
                self.call_after_refresh(self._follow)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        column, row = self.scroll_offset
        line = self._lines[row + y] if row + y < len(self._lines) else ""
        return Strip([Segment(line, self.rich_style)]).crop_extend(column, column + self.size.width, self.rich_style)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._follows = round(new_value) >= self._last_top

    def on_resize(self) -> None:
        if self._follows:
            self._follow()

    @property
    def _last_top(self) -> int:
        """Index of the top line when the last one is at the bottom."""
        return max(0, len(self._lines) - self.size.height)

    def _follow(self) -> None:
        self.scroll_to(y=self._last_top, animate=False)
        self._follows = True
