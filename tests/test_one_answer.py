"""The position of a run, the same in every view: one that crashed in its third epoch resumes in its second."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from core.messages import Message
from core.runs.events import CheckpointSaved, Event, Notice, Progress
from core.runs.record import Record
from tests.core.runs.run_files import new_run, write
from tests.core.runs.test_record import crashed_and_resumed
from tui_app.console import status_line
from tui_app.console.printer import Printer
from tui_app.dashboard.widgets.progress_panel import ProgressPanel

GOES_ON = Progress(epoch=2, step=11, loss=1.0, losses=(1.0,), images_per_s=100.0, elapsed_s=3.0)
"""Batch 74 of 315."""


class _TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> tuple[Printer, _TerminalStream]:
    """Return a printer that draws its bar for every event, and the stream it draws on."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(status_line, "_INTERVAL_S", 0.0)
    drawn_on = _TerminalStream()
    return Printer("rn1-0001", io.StringIO(), drawn_on, json=False), drawn_on


def test_the_printer_says_where_it_is(printed: tuple[Printer, _TerminalStream]) -> None:
    printer, drawn_on = printed
    for event in crashed_and_resumed():
        printer.show(event)
    assert printer.record.done_steps == 73
    assert "Resumed at epoch 2, batch 10." in drawn_on.getvalue()
    printer.show(GOES_ON)
    last = drawn_on.getvalue().rpartition("\r")[2]
    assert "Epoch 2/5" in last
    assert " 23%" in last


class _Panel(App[None]):
    def compose(self) -> ComposeResult:
        yield ProgressPanel()


async def test_the_dashboard_s_panel_says_where_it_is() -> None:
    record = Record()
    record.apply(crashed_and_resumed())
    app = _Panel()
    async with app.run_test() as pilot:
        app.query_one(ProgressPanel).show_run("rn1-0001", record, "running")
        await pilot.pause()
        said = str(app.query_one("#progress-state", Static).render())
    assert said == "running · epoch 2/5 · batch 10/63 · 23%"


def test_the_list_says_where_it_is(tmp_path: Path) -> None:
    run = new_run(tmp_path, epochs=5, dataset="sample")
    write(run, *crashed_and_resumed(), GOES_ON)
    assert run.summary().epoch == 2
    assert (run.tail().done_steps, run.tail().share) == (74, 74 / 315)


def test_a_disk_that_is_full_again_is_worth_a_word_again(printed: tuple[Printer, _TerminalStream]) -> None:
    printer, drawn_on = printed
    full, saved = Notice(message=Message("the disk is full")), CheckpointSaved(epoch=1, step=63)
    told: list[Event] = [full, full, saved, saved, full]
    for event in told:
        printer.show(event)
    assert drawn_on.getvalue().count("the disk is full") == 2
