"""A table of runs with any columns, which is changed only where something has changed: there may be a thousand rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

_WIDEST = 40
_MARK = "●"


@dataclass(frozen=True)
class Heading:
    """The top of a column."""

    word: str
    text: str
    is_number: bool
    arrow: str = ""
    """Sign of the order in which the rows are sorted by this column; empty if they are not."""


class RunsTable(DataTable[Text]):
    """A table whose first column marks the selected runs, and whose second one has their ids."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "screen.show", show=False)]

    def __init__(self) -> None:
        super().__init__(id="runs-table", cursor_type="cell", fixed_columns=2, cell_padding=0)
        self._headings: list[Heading] = []
        self._widths: list[int] = []
        self._lines: list[tuple[str, ...]] = []
        self.marked: dict[str, None] = {}
        """Ids of the selected runs, in the order of their selection."""

    @property
    def ids(self) -> list[str]:
        """Ids of the runs in the table, from the top."""
        return [line[0] for line in self._lines]

    @property
    def run_under_cursor(self) -> str | None:
        row = self.cursor_row
        return self._lines[row][0] if 0 <= row < len(self._lines) else None

    @property
    def word_under_cursor(self) -> str | None:
        """Word of the column under the cursor."""
        return self.word_at(self.cursor_column)

    def word_at(self, column: int) -> str | None:
        return self._headings[column - 1].word if 1 <= column <= len(self._headings) else None

    def show(self, headings: list[Heading], lines: list[tuple[str, ...]]) -> None:
        """Show these lines; the first cell of each is the run's id."""
        widths = [
            min(_WIDEST, max(map(cell_len, cells)))
            for cells in zip(*([heading.text + heading.arrow for heading in headings], *lines), strict=True)
        ]
        known = set(ids := [line[0] for line in lines])
        self.marked = {run_id: None for run_id in self.marked if run_id in known}
        is_same = headings == self._headings and widths == self._widths and ids == self.ids
        before, self._lines = self._lines, lines
        if not is_same:
            self._fill(headings, widths, before)
            return
        for row, (old, new) in enumerate(zip(before, lines, strict=True)):
            for column, (was, cell) in enumerate(zip(old, new, strict=True)):
                if was != cell:
                    self.update_cell_at((row, column + 1), self._cell(column, cell))  # type: ignore[arg-type]

    def mark(self, run_ids: Sequence[str], *, marked: bool) -> None:
        """Select runs, or no longer."""
        rows = {run_id: row for row, run_id in enumerate(self.ids)}
        for run_id in run_ids:
            if marked:
                self.marked[run_id] = None
            else:
                self.marked.pop(run_id, None)
            self.update_cell_at((rows[run_id], 0), self._mark(run_id))  # type: ignore[arg-type]

    def _fill(self, headings: list[Heading], widths: list[int], before: list[tuple[str, ...]]) -> None:
        row, word = self.cursor_row, self.word_under_cursor
        is_other = (headings, widths) != (self._headings, self._widths)
        is_sorted_anew = _order(headings) != _order(self._headings)
        under_cursor = before[row][0] if 0 <= row < len(before) and not is_sorted_anew else None
        row = 0 if is_sorted_anew else row
        self.clear(columns=is_other)
        self._headings, self._widths = headings, widths
        if is_other:
            self.add_column("", width=2)
            for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
                # The ids stay when the others are scrolled: a blank keeps these apart from them.
                self.add_column(
                    _aligned(heading.text + heading.arrow, heading), width=width + (2 if number == 0 else 1)
                )
        for line in self._lines:
            self.add_row(self._mark(line[0]), *(self._cell(column, cell) for column, cell in enumerate(line)))
        ids, words = self.ids, [heading.word for heading in headings]
        self.move_cursor(
            row=ids.index(under_cursor) if under_cursor in ids else min(row, max(0, len(ids) - 1)),
            column=words.index(word) + 1 if word in words else 1,
            animate=False,
        )

    def _mark(self, run_id: str) -> Text:
        return Text(_MARK if run_id in self.marked else " ")

    def _cell(self, column: int, text: str) -> Text:
        if cell_len(text) > _WIDEST:
            text = text[: _WIDEST - 1] + "…"
        return _aligned(text, self._headings[column])


def _order(headings: Sequence[Heading]) -> list[str]:
    """Return the columns that the rows are sorted by, with the direction."""
    return [f"{heading.word}{heading.arrow}" for heading in headings if heading.arrow]


def _aligned(text: str, heading: Heading) -> Text:
    if heading.is_number:
        return Text(text, justify="right", no_wrap=True)
    return Text(f" {text}", no_wrap=True)
