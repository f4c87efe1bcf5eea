"""Annexe 1 of the exam, to fill in: as practice, marked cell by cell, or as the exam, against the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Header, Static

from core.catalogue import EXAM_PAIR
from core.exam import feedback
from core.exam.kept import KeptFile
from core.exam.kept_sheets import EXAM_S, Sheets
from core.exam.marked_copies import MarkedCopy
from core.exam.marking import mark_sheet, needs_nothing
from core.exam.sheet import COLUMNS, MAX_ANSWER, Mark, MarkedSheet
from core.messages import N_, Message, Problem
from core.networks.layer_table import Layer, LayerTable
from tui_app import tables
from tui_app.dashboard.keys import annexe_keys
from tui_app.dashboard.screens.dialogs import SureDialog
from tui_app.dashboard.screens.side_screen import SideScreen
from tui_app.dashboard.widgets.annexe_table import SIGNS, AnnexeTable, CellInput
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.i18n import _, printable, say, short
from tui_app.report import exam_sheets
from tui_app.report.feedback_pages import rounded

_TICK_S = 1.0
_SEPARATOR = " · "


class AnnexeScreen(SideScreen[None]):
    """The sheet of a network. `networks` returns the tables to choose from, `code` the class of one of them."""

    AUTO_FOCUS = "CellInput"
    HELP = N_(
        "Fill in the table of the exam's Annexe 1: type a cell's answer in the line below, and Enter. A number may be"
        " written as the sum that gives it, such as 3×8×5×5 + 8 = 608; a size as 8×12×12 or (8, 12, 12). In practice"
        " each cell is marked at once, with the mistake named where that is certain, and F2 gives three hints a cell."
        " As the exam, an hour is counted, and the marks come when you hand in. Points: 1 for a right cell, 0.75 where"
        " only the form is not right, 0.5 where one mistake can be named and 0.25 where two can; a mistake that follows"
        " from another cell costs nothing more."
    )

    def __init__(
        self,
        networks: Callable[[], Sequence[LayerTable]],
        code: Callable[[str], str],
        kept: KeptFile[Sheets],
        problem: Problem | None,
    ) -> None:
        super().__init__(annexe_keys())
        self._networks = networks
        self._code = code
        self._file = kept
        self._sheets, damage = kept.read()
        self._problem = problem or damage
        self._table = networks()[0]
        self._marked: MarkedSheet | None = None
        self._shows_key = False

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical(classes="body", id="annexe"):
            yield Static(id="annexe-line")
            yield AnnexeTable()
            yield CellInput(id="annexe-cell", max_length=MAX_ANSWER, compact=True)
            yield Static(id="annexe-feedback")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        if self._problem is not None:
            self._complain(self._problem)
        self.set_interval(_TICK_S, self._tick)
        self._show()
        self._to_cell()

    def on_resize(self, _event: events.Resize) -> None:
        self._show()

    # The cell under the cursor

    @property
    def _grid(self) -> AnnexeTable:
        return self.query_one(AnnexeTable)

    @property
    def _line(self) -> CellInput:
        return self.query_one(CellInput)

    @property
    def _layer(self) -> Layer:
        return self._table.layers[self._grid.row]

    @property
    def _hint_key(self) -> str:
        return f"{self._table.model}/{self._layer.name}/{self._grid.column}"

    @property
    def _mark(self) -> Mark | None:
        """Mark of the cell under the cursor, if it may be seen."""
        if self._marked is None:
            return None
        return self._marked.mark(self._grid.row, self._grid.column)

    @property
    def _is_writing_exam(self) -> bool:
        return self._sheets.is_exam and not self._sheets.is_handed_in

    def _keep_cell(self) -> None:
        """Keep what is in the line as the answer of the cell, and mark it."""
        row, column = self._grid.row, self._grid.column
        text = self._line.value.strip()
        answers = self._sheets.answers(self._table)
        if text != answers[row].get(column, "") and not self._sheets.is_handed_in:
            self._keep(lambda kept: kept.with_answer(self._table, row, column, text))
            self._show()

    def _keep(self, change: Callable[[Sheets], Sheets]) -> None:
        """Change the sheets as they are kept now: another dashboard may have written in them, too."""
        self._sheets = change(self._file.newest(self._sheets))
        self._trying(lambda: self._file.write(self._sheets))

    def _to_cell(self) -> None:
        """Put the answer of the cell under the cursor into the line."""
        answer = self._sheets.answers(self._table)[self._grid.row].get(self._grid.column, "")
        line = self._line
        line.value = answer
        line.cursor_position = len(answer)
        line.border_title = Content(
            f"{printable(self._layer.name)} · {exam_sheets.column_headings()[self._grid.column]}"
        )
        self._explain()

    def action_move(self, rows: int, columns: int) -> None:
        self._keep_cell()
        here = COLUMNS.index(self._grid.column)
        self._grid.go_to(self._grid.row + rows, here + columns)
        self._to_cell()

    def action_enter(self) -> None:
        """Mark the cell; a second Enter on what is right goes to the next one."""
        answer = self._sheets.answers(self._table)[self._grid.row].get(self._grid.column, "")
        was = self._line.value.strip()
        self._keep_cell()
        if was == answer or self._is_writing_exam or (self._mark is not None and self._mark.state == "right"):
            self.action_move(0, 1)
        else:
            self._line.action_select_all()  # what is typed next replaces it
            self._explain()

    @on(DataTable.CellSelected, "#annexe-table")
    def _clicked(self, event: DataTable.CellSelected) -> None:
        self._keep_cell()
        self._grid.go_to(event.coordinate.row, max(0, event.coordinate.column - 1))
        self._to_cell()
        self._line.focus()

    @on(DataTable.CellHighlighted, "#annexe-table")
    def _highlighted(self) -> None:
        self._explain()

    # Keys

    def action_hint(self) -> None:
        self._keep(lambda kept: kept.with_hint(self._hint_key))
        self._explain()

    def action_network(self) -> None:
        """Go to the next network's sheet."""
        self._keep_cell()
        found = list(self._networks())
        models = [table.model for table in found]
        here = models.index(self._table.model) if self._table.model in models else -1
        self._table = found[(here + 1) % len(found)]
        self._show()
        self._to_cell()

    def action_exam(self) -> None:
        """Begin the exam, or put it away."""
        self._keep_cell()
        if not self._sheets.is_exam:
            text = _("Begin the exam? You have {minutes} minutes, empty sheets, and no hints; your practice is kept.")
            question, do = text.format(minutes=int(EXAM_S // 60)), _("Begin")
        else:
            question, do = _("Put the exam away, and go back to practice? Its answers are deleted."), _("Put away")
        self.app.push_screen(SureDialog(question, do), self._sure_of_exam)

    def _sure_of_exam(self, is_sure: bool | None) -> None:
        if is_sure:
            self._keep(Sheets.left if self._sheets.is_exam else Sheets.begun)
            self._shows_key = False
            self._show()
            self._grid.go_to(0, 0)
            self._to_cell()

    def action_hand_in(self) -> None:
        self._keep_cell()
        asked = [mark for sheet in self._marked_sheets() for mark in sheet.marks if mark.out_of]
        text = _("Hand in? {empty} of {count} cells are empty.")
        question = text.format(empty=sum(not mark.answer for mark in asked), count=len(asked))
        self.app.push_screen(SureDialog(question, _("Hand in")), self._sure_to_hand_in)

    def _sure_to_hand_in(self, is_sure: bool | None) -> None:
        if is_sure and self._is_writing_exam:
            self._hand_in()

    def _hand_in(self) -> None:
        self._keep_cell()
        self._keep(Sheets.handed_in)
        self._show()
        self._explain()

    def action_key(self) -> None:
        """Show the right answers of this row, or not."""
        self._shows_key = not self._shows_key
        self._explain()

    def action_code(self) -> None:
        from tui_app.dashboard.screens.text_screen import TextScreen

        model = self._table.model
        self._trying(lambda: self.app.push_screen(TextScreen(model, self._code(model).splitlines(), "f6")))

    def action_clear(self) -> None:
        self.app.push_screen(SureDialog(_("Empty this sheet?"), _("Empty it")), self._sure_to_clear)

    def _sure_to_clear(self, is_sure: bool | None) -> None:
        if is_sure:
            self._keep(lambda kept: kept.emptied(self._table))
            self._show()
            self._to_cell()

    def action_leave(self) -> None:
        self._keep_cell()
        self.dismiss()

    def why_not(self, verb: str) -> str:
        if verb in ("hint", "key") and self._is_writing_exam:
            return _("In the exam there are no hints: hand in with F5, and see the marks.")
        if verb == "hand_in" and not self._is_writing_exam:
            return _("This is no exam in progress: F4 begins one.")
        if verb == "clear" and self._sheets.is_handed_in:
            return _("This sheet was handed in: F4 puts the exam away.")
        return ""

    # Showing

    def _tick(self) -> None:
        if not self._is_writing_exam:
            return
        if self._sheets.left_s() <= 0:
            self._hand_in()
            self.notify(_("Time is up: the sheets are handed in."), severity="warning")
        self._title()

    def _show(self) -> None:
        if not self.is_mounted:
            return
        answers = self._sheets.answers(self._table)
        self._marked = None if self._is_writing_exam else mark_sheet(self._table, answers)
        self._grid.show(self._table, answers, self._marked)
        self._title()
        self.refresh_bindings()

    def _title(self) -> None:
        parts = [_("Annexe 1"), printable(self._table.model.rpartition("/")[2])]
        filled = sum(bool(text) for row in self._sheets.answers(self._table) for text in row.values())
        if self._is_writing_exam:
            left = int(self._sheets.left_s())
            parts += [
                _("exam"),
                _("{minutes} min {seconds} s left").format(minutes=left // 60, seconds=f"{left % 60:02}"),
            ]
            most = sum(not needs_nothing(layer, column) for layer in self._table.layers for column in COLUMNS)
            parts.append(_("filled in: {count} of {most}").format(count=filled, most=most))
        else:
            parts.append(_("exam, handed in") if self._sheets.is_exam else _("practice"))
            parts += self._points()
        self.query_one("#annexe-line", Static).update(Content(_SEPARATOR.join(parts)))

    def _points(self) -> list[str]:
        if self._marked is None:
            return []
        text = _("{points} of {most} points")
        found = [text.format(points=short(self._marked.points), most=short(self._marked.out_of))]
        if self._sheets.is_handed_in:
            copy = MarkedCopy("", "", self._marked_sheets(), ())
            found.append(_("all sheets: {mark} of 20").format(mark=rounded(copy.mark)))
        return found

    def _marked_sheets(self) -> tuple[MarkedSheet, ...]:
        """Return the marks of the sheets of the exam: both networks', and what else was filled in."""
        asked = (table for table in self._networks() if table.model in EXAM_PAIR or table.model in self._sheets.exam)
        return tuple(mark_sheet(table, self._sheets.answers(table)) for table in asked)

    def _explain(self) -> None:
        """Tell the mark of the cell under the cursor, and the hints that were taken."""
        mark, layer, column = self._mark, self._layer, self._grid.column
        text = Text()
        if mark is None:
            text.append(_("Marked when you hand in."), "dim")
        elif not mark.out_of:
            text.append(_("There is nothing to write here."), "dim")
        elif mark.answer or self._sheets.is_handed_in:
            text.append(f"{SIGNS[mark.state]} {_SEPARATOR.join(map(say, feedback.verdict(mark)))}")
            if mark.out_of:
                text.append(
                    "  " + _("{points} of {most}").format(points=short(mark.points), most=short(mark.out_of)), "dim"
                )
        if not self._is_writing_exam and not self._sheets.is_exam:
            taken = self._sheets.hints.get(self._hint_key, 0)
            for number, hint in enumerate(feedback.hints(layer, column)[:taken], start=1):
                text.append("\n" + _("Hint {number}: {hint}").format(number=number, hint=_hint(hint)))
        if self._shows_key and not self._is_writing_exam:
            answers = [exam_sheets.right_answer(layer, each) for each in COLUMNS]
            text.append("\n" + _("Right: {answers}").format(answers=_SEPARATOR.join(answers)))
        self.query_one("#annexe-feedback", Static).update(text)


def _hint(hint: Message) -> str:
    return tables.specification(hint) if set(hint.values) & {"inputs", "kernel"} else say(hint)
