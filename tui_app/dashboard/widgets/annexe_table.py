"""The table of Annexe 1 with its cells to fill in, and the line in which the cell under the cursor is written."""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Input

from core.exam.marking import needs_nothing
from core.exam.sheet import COLUMNS, Answers, Column, MarkedSheet, State
from core.networks.layer_table import LayerTable
from tui_app.i18n import _, printable
from tui_app.report import exam_sheets, feedback_pages

_SHARES = (9, 15, 22, 14, 19)
"""Shares of the width that the columns get, the layers' names first."""
SIGNS: Mapping[State, str] = feedback_pages.SIGNS | {"empty": " "}
"""Signs of the marks, which colours only repeat; an empty cell is seen to be empty."""
_COLOURS: Mapping[State, str] = {
    "right": "text-success",
    "form": "text-warning",
    "empty": "text-muted",
    "unreadable": "text-warning",
    "wrong": "text-error",
}


_LEAVING = {
    "enter": "screen.enter",
    "up": "screen.move(-1, 0)",
    "down": "screen.move(1, 0)",
    "tab": "screen.move(0, 1)",
    "shift+tab": "screen.move(0, -1)",
}


class AnnexeTable(DataTable[Text]):
    """A row for each layer, its name and four cells."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__(id="annexe-table", cursor_type="cell", fixed_columns=1, cell_padding=0)
        self._drawn: tuple[object, ...] = ()

    @property
    def row(self) -> int:
        return self.cursor_row

    @property
    def column(self) -> Column:
        return COLUMNS[max(0, self.cursor_column - 1)]

    def go_to(self, row: int, column: int) -> None:
        """Put the cursor on a cell; behind the last column comes the next row, before the first the one before."""
        row, column = row + column // len(COLUMNS), column % len(COLUMNS)
        row = min(max(0, row), self.row_count - 1)
        self.move_cursor(row=row, column=column + 1, animate=False)

    def show(self, table: LayerTable, answers: Answers, marked: MarkedSheet | None) -> None:
        """Show what is written, and the marks where there are any."""
        widths = self._widths()
        colours = {state: self.app.theme_variables.get(name, "") for state, name in _COLOURS.items()}
        drawn = (table.model, answers, marked, widths, tuple(colours.values()))
        if drawn == self._drawn:
            return
        at = self.cursor_coordinate if self._drawn[:1] == drawn[:1] else Coordinate(0, 1)
        self._drawn = drawn
        self.clear(columns=True)
        for heading, width in zip((_("Name"), *exam_sheets.column_headings().values()), widths, strict=True):
            self.add_column(_cut(heading, width - 1), width=width)
        for position, layer in enumerate(table.layers):
            cells = [Text(set_cell_size(_cut(printable(layer.name), widths[0] - 1), widths[0]), "bold")]
            for place, column in enumerate(COLUMNS):
                mark = marked.mark(position, column) if marked is not None else None
                state: State = mark.state if mark is not None and mark.out_of else "empty"
                text = _cut(printable(answers[position].get(column, "")), widths[place + 1] - 3)
                shown = f"{SIGNS[state]} {text}" if marked is not None else text
                if needs_nothing(layer, column) and not text:
                    shown = "–"
                cells.append(Text(shown or "·", colours[state] if marked is not None else "", no_wrap=True))
            self.add_row(*cells)
        self.move_cursor(row=at.row, column=max(1, at.column), animate=False)

    def _widths(self) -> tuple[int, ...]:
        room = max(60, self.app.size.width - 2)
        widths = [room * share // sum(_SHARES) for share in _SHARES]
        widths[-1] += room - sum(widths)
        return tuple(widths)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


class CellInput(Input):
    """The line in which a cell is written; the keys that leave it go to the screen."""

    async def _on_key(self, event: events.Key) -> None:
        """Act on a key that leaves the line at once: as a binding it would come after letters typed meanwhile."""
        if event.key in _LEAVING:
            event.stop()
            event.prevent_default()
            await self.run_action(_LEAVING[event.key])
        else:
            await super()._on_key(event)
