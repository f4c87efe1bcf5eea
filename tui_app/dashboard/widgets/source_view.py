"""The source of the exam's program, with what its lines made beside them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.exam.program import Stage
from tui_app.program.beside import Beside

_GUTTER = 5
"""Columns of the mark and of the line's number."""
_CONTEXT = 1
"""Lines that stay visible above and below a line that is looked at."""


class SourceView(ScrollView):
    """A source, of which one stage stands out; it scrolls to the line that is looked at."""

    can_focus = False
    COMPONENT_CLASSES = {  # noqa: RUF012
        "source-view--number",
        "source-view--other",
        "source-view--beside",
        "source-view--old",
        "source-view--next",
        "source-view--cursor",
    }

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: list[str] = []
        self._besides: Mapping[int, Beside] = {}
        self._stage: Stage | None = None
        self._next = self._cursor = 0

    def show(
        self, source: str, besides: Mapping[int, Beside], stage: Stage | None, *, next_line: int = 0, cursor: int = 0
    ) -> None:
        """Show a source; `stage` stands out, `next_line` is executed next, `cursor` is the line that is looked at.

        Lines are counted from 1; 0 is none.
        """
        lines, looked_at = source.rstrip("\n").split("\n"), (cursor, next_line, stage)
        has_moved = looked_at != (self._cursor, self._next, self._stage) or not self._lines
        if not has_moved and (lines, besides) == (self._lines, self._besides):
            return
        self._lines, self._besides = lines, besides
        self._cursor, self._next, self._stage = looked_at
        self.virtual_size = Size(max(map(cell_len, self._lines)) + _GUTTER, len(self._lines))
        self.refresh()
        if has_moved:
            self.call_after_refresh(self._follow)

    def _follow(self) -> None:
        """Scroll to the line that is looked at and the next one, or else to the stage, and in it to the values."""
        height = self.size.height
        lines = [line for line in (self._cursor, self._next) if line]
        if lines:
            first, last = min(lines) - _CONTEXT, max(lines) + _CONTEXT
            if self._stage is not None and max(last, self._stage.last) - min(first, self._stage.first) < height:
                first, last = min(first, self._stage.first), max(last, self._stage.last)
            if last - first >= height:
                first, last = lines[0] - _CONTEXT, lines[0] + _CONTEXT
            top = min(first - 1, max(round(self.scroll_y), last - height))
            self.scroll_to(y=max(0, top), animate=False)
        elif self._stage is not None:
            first, last = self._stage.first, self._stage.last
            with_values = [line for line in self._besides if first <= line <= last] or [first]
            fits = max(with_values) - first < height
            self.scroll_to(y=(first if fits else min(with_values)) - 1, animate=False)

    def render_line(self, y: int) -> Strip:
        line = round(self.scroll_y) + y + 1
        width = self.scrollable_content_region.width
        if line > len(self._lines):
            return Strip.blank(width, self.rich_style)
        edge = "│" if self._stage is not None and not self._is_other(line) else " "
        segments = [
            Segment(f"{'▸' if line == self._next else ' '}{line:>3}{edge}", self._style("number", line)),
            Segment(self._lines[line - 1], self._style("", line)),
        ]
        if (beside := self._besides.get(line)) is not None:
            segments.append(Segment(f" ← {beside.text}", self._style("old" if beside.is_old else "beside", line)))
        strip = Strip(segments)
        if strip.cell_length > width:
            text = set_cell_size(strip.text, width - 1) + "…"
            strip = Strip([*strip.crop(0, width - 1), Segment(text[-1], self._style("number", line))])
        return strip.extend_cell_length(width, self._background(line))

    def _style(self, part: str, line: int) -> Style:
        """Return the style of a part of a line."""
        name = part or ("other" if self._is_other(line) else "")
        style = self.get_component_rich_style(f"source-view--{name}", partial=True) if name else Style()
        return self._background(line) + style if line != self._cursor else style + self._background(line)

    def _is_other(self, line: int) -> bool:
        """Tell if a line is outside of the stage that stands out."""
        return self._stage is not None and not self._stage.first <= line <= self._stage.last

    def _background(self, line: int) -> Style:
        if line == self._cursor:
            return self.rich_style + self.get_component_rich_style("source-view--cursor", partial=True)
        if line == self._next:
            return self.rich_style + self.get_component_rich_style("source-view--next", partial=True)
        return self.rich_style
