"""The list of runs with their states: Enter shows one, Space overlays it on the chart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import DataTable, Static

from core.messages import N_
from core.runs.directory import Summary
from tui_app import wording
from tui_app.i18n import _, ngettext, number, percent

_ID = 10
"""Columns for a run's id."""
_OF_SAMPLE = "*"
"""Mark of an accuracy on the sample, not on MNIST."""


class RunList(DataTable[Text]):
    """A list in which one click chooses a run, or its mark."""

    class MarkClicked(Message):
        """Sent when the mark of the run under the cursor was clicked."""

    def on_click(self, event: events.Click) -> None:
        row = event.style.meta.get("row", -1)
        if row < 0:
            return
        event.prevent_default()  # Textual's own asks for a second click
        self.move_cursor(row=row, animate=False)
        if event.style.meta.get("column") == 0:
            self.post_message(self.MarkClicked())
        else:
            self.action_select_cursor()


class RunsPanel(Vertical):
    """A list of runs, newest first."""

    HELP = N_(
        "All runs, the newest first. Enter or a click shows one; Space or a click on its mark overlays it on the chart,"
        " or removes it. ▶ is the current run, ● one in the chart. * is a result of the sample, not of MNIST; ≠ a run"
        " that was changed while it trained. t opens a table to find, compare, tag and delete runs."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("space", "tick", show=False)]

    class Picked(Message):
        """Request to show a run."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id

    class Ticked(Message):
        """Request to overlay a run on the chart, or to remove it."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id

    def compose(self) -> ComposeResult:
        yield RunList(id="runs", cursor_type="row", show_header=False, cell_padding=0)
        yield Static(wording.reading_runs(), id="no-runs")

    def on_mount(self) -> None:
        self.border_title = _("Runs")
        table = self._table
        table.add_column("", key="mark", width=2)
        table.add_column("", key="id", width=_ID + 1)
        table.add_column("", key="state", width=10)
        table.add_column("", key="accuracy", width=8)
        self._shown: list[tuple[str, ...]] = []
        self.add_class("is-empty")
        self.newest_first: Sequence[Summary] = ()
        """Runs of the list as they were listed last."""

    @property
    def _table(self) -> DataTable[Text]:
        return self.query_one("#runs", DataTable)

    @property
    def under_cursor(self) -> str | None:
        row = self._table.cursor_row
        return self._shown[row][1] if 0 <= row < len(self._shown) else None

    def show_runs(self, summaries: Iterable[Summary], on_show: str, ticked: dict[str, str]) -> None:
        """Show the runs that the folder has; `ticked` maps each run in the chart to its colour."""
        newest_first = self.newest_first = list(summaries)[::-1]
        if not newest_first:
            self.query_one("#no-runs", Static).update(_("No run yet: F5 starts one with the settings of the form."))
        self.set_class(not newest_first, "is-empty")
        rows = [_row(summary, on_show, ticked) for summary in newest_first]
        self._count(rows)
        if [row[1] for row in rows] != [row[1] for row in self._shown]:
            self._fill(rows)
            return
        for row, new in enumerate(rows):
            self._change(row, new)

    def _count(self, rows: list[tuple[str, ...]]) -> None:
        text = ngettext("{count} run", "{count} runs", len(rows)).format(count=number(len(rows)))
        if any(row[3].endswith(_OF_SAMPLE) for row in rows):
            text += " · " + _("{mark} sample").format(mark=_OF_SAMPLE)
        if text != self.border_subtitle:  # setting it again would redraw the whole panel
            self.border_subtitle = text

    def show_run(self, summary: Summary) -> None:
        """Show a run of the list as it is now."""
        for row, old in enumerate(self._shown):
            if old[1] == summary.id:
                mark, run_id, *_old, colour = old
                self._change(row, (mark, run_id, *_state_and_accuracy(summary), colour))
                self._count(self._shown)

    def _change(self, row: int, new: tuple[str, ...]) -> None:
        if self._shown[row] != new:
            self._shown[row] = new
            for column, cell in enumerate(_cells(new)):
                self._table.update_cell_at((row, column), cell)  # type: ignore[arg-type]

    def _fill(self, rows: list[tuple[str, ...]]) -> None:
        under_cursor = self.under_cursor
        self._shown = rows
        self._table.clear()
        for row in rows:
            self._table.add_row(*_cells(row))
        ids = [row[1] for row in rows]
        if under_cursor in ids:
            self._table.move_cursor(row=ids.index(under_cursor), animate=False)

    @on(DataTable.RowSelected)
    def _pick(self) -> None:
        if self.under_cursor:
            self.post_message(self.Picked(self.under_cursor))

    @on(RunList.MarkClicked)
    def action_tick(self) -> None:
        if self.under_cursor:
            self.post_message(self.Ticked(self.under_cursor))


def _row(summary: Summary, on_show: str, ticked: dict[str, str]) -> tuple[str, ...]:
    mark = ("▶" if summary.id == on_show else " ") + ("●" if summary.id in ticked else " ")
    return mark, summary.id, *_state_and_accuracy(summary), ticked.get(summary.id, "")


def _state_and_accuracy(summary: Summary) -> tuple[str, str]:
    accuracy = "" if summary.accuracy is None else percent(summary.accuracy)
    if summary.dataset == "sample" and accuracy:
        accuracy += _OF_SAMPLE
    state = wording.state_name(summary.state)
    if summary.state == "running" and summary.config is not None:
        state = f"{number(summary.epoch)}/{number(summary.config.epochs)}"
    if summary.is_steered:
        state += " ≠"  # it stands for no other
    return state, accuracy


def _cells(row: tuple[str, ...]) -> list[Text]:
    mark, run_id, state, accuracy, colour = row
    return [Text(mark, style=colour), Text(_shortened(run_id)), Text(state), Text(accuracy, justify="right")]


def _shortened(run_id: str) -> str:
    """Return a run's id with its number whole, so that it stays apart from the state beside it."""
    if cell_len(run_id) <= _ID:
        return run_id
    name, _dash, number = run_id.rpartition("-")
    return f"{set_cell_size(name, max(0, _ID - cell_len(number) - 2)).rstrip()}…-{number}"
