"""The screen with a table of all runs: found, sorted, put beside each other, compared and kept in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import DataTable, Header, Input, Static

from core.comparing import deletion
from core.messages import N_, InvalidSetting, Problem
from core.runs import labels, names
from core.runs.directory import Run, Summary
from tui_app import run_columns, run_selection, wording
from tui_app.dashboard.keys import runs_keys
from tui_app.dashboard.screens.dialogs import ChoiceDialog, SureDialog, TextDialog
from tui_app.dashboard.screens.side_screen import SideScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.runs_table import Heading, RunsTable
from tui_app.i18n import _, ngettext, number, printable, say
from tui_app.run_selection import EVERYTHING, Selection

_REFRESH_S = 2.0
_ON_RUNS = (
    *("show", "select", "select_all", "sort", "overlay", "compare"),
    *("tag", "rename", "note", "delete"),
)
"""Keys that need a run in the table."""


Chosen = tuple[Literal["show", "overlay", "compare"], tuple[str, ...]]
"""What is to be done, and the ids of the runs that were chosen for it."""


class RunsScreen(SideScreen[Chosen | None]):
    """A table of runs, which the filter line above it describes: keys that sort or choose columns write into that.

    `summaries` returns the runs as they are now, the oldest first; `list_again` has the folder read at once.
    """

    AUTO_FOCUS = "RunsTable"
    HELP = N_(
        "All runs, a row each. The line above says which are shown, in which order and with which columns: type in it,"
        " or let the keys write it. The keys for several runs act on the selected ones, ●, else on the one under the"
        " cursor. A click on a heading sorts, one on the first column selects; a second click on a row shows its run."
    )

    def __init__(
        self, runs_dir: Path, summaries: Callable[[], list[Summary]], list_again: Callable[[], None], line: str
    ) -> None:
        super().__init__(runs_keys())
        self._first_line = line
        self._runs_dir = runs_dir
        self._summaries = summaries
        self._list_again = list_again
        self._selection = EVERYTHING
        self._problem = ""
        self._shown: tuple[Selection, list[Summary]] | None = None

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical(classes="body"):
            yield Input(
                self._first_line,
                placeholder=_("for example state=done model=RN_2 tag=… since=3d sort=-accuracy limit=20"),
                id="filter",
                compact=True,
            )
            yield RunsTable()
            yield Static(id="runs-line")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self._refresh()
        self.set_interval(_REFRESH_S, self._refresh)

    # What is shown

    @on(Input.Changed, "#filter")
    def _filter(self) -> None:
        try:
            self._selection, self._problem = run_selection.from_line(self.line), ""
        except InvalidSetting as invalid:
            self._problem = say(invalid)
        self._refresh()

    @on(Input.Submitted, "#filter")
    def _to_table(self) -> None:
        self._table.focus()

    @work(exclusive=True, group="refresh")
    async def _refresh(self) -> None:
        summaries = self._summaries()
        if (self._selection, summaries) != self._shown:
            headings, lines = await asyncio.to_thread(_laid_out, self._selection, summaries)
            self._shown = self._selection, summaries
            self._table.show(headings, lines)
        self._say(len(self._table.ids), len(summaries))

    def _say(self, shown: int, count: int) -> None:
        text = ngettext("{shown} of {count} run", "{shown} of {count} runs", count)
        text = text.format(shown=number(shown), count=number(count))
        if shown and self._table.max_scroll_x:
            text += " · " + _("more columns: arrows, Home, End")
        if marked := len(self._table.marked):
            text += " · " + ngettext("{count} selected", "{count} selected", marked).format(count=number(marked))
        self.query_one("#runs-line", Static).update(Content(self._problem or self.why_not("show") or text))
        self.refresh_bindings()

    @property
    def _table(self) -> RunsTable:
        return self.query_one(RunsTable)

    @property
    def line(self) -> str:
        """Filter line as it was typed."""
        return self.query_one("#filter", Input).value

    def _write(self, word: str, value: str | None) -> None:
        self.query_one("#filter", Input).value = run_selection.with_word(self.line, word, value)

    # Keys

    def why_not(self, verb: str) -> str:
        if verb not in _ON_RUNS or self._table.ids:
            return ""
        if self._summaries():
            return _("No run fits the line above: change it, or empty it to see all runs.")
        return _("There is no run yet: go back with Esc, and start one with F5.")

    def action_leave(self) -> None:
        if self.focused is not self._table:
            self._table.focus()
        else:
            self.dismiss(None)

    def action_filter(self) -> None:
        self.query_one("#filter", Input).focus()

    def action_sort(self) -> None:
        self._sort_by(self._table.word_under_cursor)

    @on(DataTable.HeaderSelected)
    def _header_clicked(self, event: DataTable.HeaderSelected) -> None:
        self._sort_by(self._table.word_at(event.column_index))

    def _sort_by(self, word: str | None) -> None:
        """Sort by a column, the greatest first; the other way round if it was so already."""
        if word is not None:
            self._write("sort", word if self._selection.sort == f"-{word}" else f"-{word}")

    def action_differing(self) -> None:
        self._write("differing", None if self._selection.differing else "")

    def action_columns(self) -> None:
        entries = [(column.word, f"{column.heading} ({column.word})") for column in run_columns.all_columns()]
        shown = [column.word for column in self._selection.shown_columns(self._summaries())]

        def choose(words: list[str] | None) -> None:
            if words is not None:
                self._write("columns", ",".join(words) or None)

        self.app.push_screen(ChoiceDialog(_("Columns of the table"), entries, shown), choose)

    def action_select(self) -> None:
        if (run_id := self._table.run_under_cursor) is not None:
            self._table.mark([run_id], marked=run_id not in self._table.marked)
            self._table.action_cursor_down()
            self._refresh()

    def action_select_all(self) -> None:
        self._table.mark(self._table.ids, marked=len(self._table.marked) < len(self._table.ids))
        self._refresh()

    def action_show(self) -> None:
        if (run_id := self._table.run_under_cursor) is not None:
            self.dismiss(("show", (run_id,)))

    def action_overlay(self) -> None:
        if run_ids := self._chosen():
            self.dismiss(("overlay", run_ids))

    def action_compare(self) -> None:
        if run_ids := self._chosen():
            self.dismiss(("compare", run_ids))

    def _chosen(self) -> tuple[str, ...]:
        """Return the selected runs or, if there are none, the one under the cursor."""
        under_cursor = self._table.run_under_cursor
        return tuple(self._table.marked) or ((under_cursor,) if under_cursor else ())

    # Keeping runs in order

    def action_tag(self) -> None:
        def tag(run_ids: Iterable[str], text: str) -> None:
            words = text.replace(",", " ").split()
            for run_id in run_ids:
                for remove in (True, False):
                    given = [word.removeprefix("-") for word in words if word.startswith("-") is remove]
                    if given:
                        labels.tag(self._runs_dir / run_id, given, remove=remove)

        self._ask(_("Tags for {runs} (a minus before one takes it away)"), "", tag)

    def action_note(self) -> None:
        def note(run_ids: Iterable[str], text: str) -> None:
            for run_id in run_ids:
                labels.note(self._runs_dir / run_id, text)

        self._ask(_("Note on {runs}"), self._known("note"), note)

    def action_rename(self) -> None:
        def rename(run_ids: Iterable[str], text: str) -> None:
            for run_id in run_ids:
                names.rename(self._runs_dir, run_id, text.strip())

        under_cursor = self._table.run_under_cursor
        self._ask(_("Name of {runs}"), self._known("name"), rename, (under_cursor,) if under_cursor else ())

    def _known(self, field: Literal["name", "note"]) -> str:
        """Return the name or the note of the run under the cursor."""
        run_id = self._table.run_under_cursor
        return next((printable(getattr(each, field)) for each in self._summaries() if each.id == run_id), "")

    def _ask(
        self, question: str, text: str, act: Callable[[Iterable[str], str], None], run_ids: Sequence[str] = ()
    ) -> None:
        chosen = run_ids or self._chosen()

        def answer(typed: str | None) -> None:
            if typed is not None:
                self._do(partial(act, chosen, typed), partial(self._ask, question, typed, act, chosen))

        if chosen:
            self.app.push_screen(TextDialog(question.format(runs=_named(chosen)), text), answer)

    @work
    async def action_delete(self) -> None:
        """Delete the chosen runs, once the user has agreed to how many and how large they are."""
        chosen = [Run(self._runs_dir / run_id) for run_id in self._chosen()]
        whys = {run.id: deletion.why_it_stays(run, run.state()) for run in chosen}
        for why in filter(None, whys.values()):
            self._complain(why)
        await self._delete([run for run in chosen if whys[run.id] is None])

    @work
    async def action_prune(self) -> None:
        """Delete, of the runs in the table, those that nobody seems to need, once the user has agreed."""
        found = deletion.prunable(self._selection.runs(self._summaries()))
        if not found:
            self.notify(_("There is nothing to prune."))
        await self._delete([Run(self._runs_dir / summary.id) for summary in found])

    async def _delete(self, runs: Sequence[Run]) -> None:
        if not runs:
            return
        total = await asyncio.to_thread(lambda: sum(map(deletion.size_of, runs)))
        text = ngettext("Delete {count} run, {size}: {runs}?", "Delete {count} runs, {size}: {runs}?", len(runs))
        question = text.format(count=number(len(runs)), size=wording.size(total), runs=_named([run.id for run in runs]))
        if await self.app.push_screen_wait(SureDialog(question, _("Delete"))):
            for problem in (await asyncio.to_thread(deletion.delete, self._runs_dir, runs)).values():
                self._complain(problem)
            self._list_again()

    @work
    async def _do(self, act: Callable[[], None], ask_again: Callable[[], None]) -> None:
        """Do what was typed; if that is refused, say why and let it be changed."""
        try:
            await asyncio.to_thread(act)
        except Problem as problem:
            self._complain(problem)
            if isinstance(problem, InvalidSetting):
                ask_again()
        self._list_again()


def _laid_out(selection: Selection, summaries: list[Summary]) -> tuple[list[Heading], list[tuple[str, ...]]]:
    """Return the headings and cells of a selection; without an order of its own, the newest run comes first."""
    runs = selection.runs(summaries)
    if not selection.sort:
        runs.reverse()
    columns = selection.shown_columns(runs)
    arrow = "▼" if selection.sort.startswith("-") else "▲"
    sorted_by = selection.sort.removeprefix("-")
    headings = [
        Heading(column.word, column.heading, column.is_number, arrow if column.word == sorted_by else "")
        for column in columns
    ]
    return headings, [tuple(column.text(run) for column in columns) for run in runs]


def _named(run_ids: Sequence[str]) -> str:
    """Return the ids of a few runs, or the first ones of many."""
    return ", ".join(run_ids[:4]) + (", …" if len(run_ids) > 4 else "")
