"""The table of runs: found, sorted, selected, overlaid, compared, deleted and labelled by its keys."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from core.runs import directory, labels
from core.runs.events import RunEnded
from tests.core.runs.run_files import claim, new_run, write
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, chart_lines, dashboard, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import run_selection
from tui_app.dashboard import run_follower
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens import runs_screen
from tui_app.dashboard.widgets.runs_table import RunsTable


async def opened(app: MnistTui, pilot: Pilot[int], count: int) -> RunsTable:
    """Open the table, and return it once it has so many rows."""
    app.set_focus(None)
    await pilot.press("t")
    await until(pilot, lambda: bool(app.screen.query(RunsTable)) and app.screen.query_one(RunsTable).row_count == count)
    return app.screen.query_one(RunsTable)


async def typed(app: MnistTui, pilot: Pilot[int], text: str) -> None:
    await pilot.press("f")
    app.screen.query_one("#filter", Input).value = text
    await pilot.press("enter")


@pytest.mark.slow
async def test_runs_are_found_sorted_labelled_and_deleted(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_follower, "LISTING_INTERVAL_S", 0.25)
    monkeypatch.setattr(runs_screen, "_REFRESH_S", 0.25)
    monkeypatch.setattr(MnistTui, "NOTIFICATION_TIMEOUT", 2.5)  # seconds for which a notice may hide the line below
    claim(new_run(finished, lr=0.01, seed=1, dataset="sample"))
    async with dashboard(finished, NARROW, notifications=True) as (app, pilot):
        await until(pilot, lambda: "rn1-0003" in shown(app) or "In progress" in shown(app))
        table = await opened(app, pilot, 3)
        assert table.ids == ["rn1-0003", "rn2-0002", "rn1-0001"]
        await typed(app, pilot, "state=done")
        await until(pilot, lambda: table.ids == ["rn2-0002", "rn1-0001"] and "2 of 3 runs" in shown(app))
        await typed(app, pilot, "state=dnoe")
        await until(pilot, lambda: "did you mean done?" in shown(app))
        await typed(app, pilot, "")
        await until(pilot, lambda: table.row_count == 3)
        words = [table.word_at(column) for column in range(len(table.columns))]
        table.move_cursor(row=0, column=words.index("accuracy"))
        await pilot.press("s")
        await until(pilot, lambda: table.ids == ["rn2-0002", "rn1-0001", "rn1-0003"])
        await pilot.press("s")
        await until(pilot, lambda: table.ids == ["rn1-0001", "rn2-0002", "rn1-0003"] and "Accuracy▲" in shown(app))
        assert app.screen.query_one("#filter", Input).value == "sort=accuracy"
        await pilot.press("x")
        await until(pilot, lambda: "dataset" not in [table.word_at(column) for column in range(len(table.columns))])

        await pilot.press("k")
        await until(pilot, lambda: bool(re.search(r"▐X▌ Run \(run\).*▐ ▌ Name \(name\)", shown(app), re.DOTALL)))
        await pilot.press("escape")

        table.move_cursor(row=0)
        await pilot.press("t", *"good", "enter")
        await until(pilot, lambda: directory.find(finished, "rn1-0001").summary().tags == ("good",))
        await pilot.press("r", *"-", "enter")
        await until(pilot, lambda: "a name has" in shown(app) and "Name of" in shown(app))
        await pilot.press("backspace", *"base", "enter")
        await until(pilot, lambda: directory.find(finished, "base").id == "rn1-0001")
        await pilot.press("n", *"why", "enter")
        await until(pilot, lambda: directory.find(finished, "base").summary().note == "why")
        await until(pilot, lambda: "base" in shown(app))

        before = table.run_under_cursor
        claim(new_run(finished, lr=0.5, epochs=7, seed=1, dataset="sample"))  # it has settings that no other has
        await until(pilot, lambda: table.row_count == 4)
        assert table.run_under_cursor == before

        failed = new_run(finished, dataset="sample")
        claim(failed, lives=False)
        write(failed, RunEnded(status="failed"))
        await until(pilot, lambda: table.row_count == 5)
        await pilot.press("p")
        await until(pilot, lambda: f": {failed.id}?" in shown(app) and getattr(app.focused, "id", "") == "cancel")
        await pilot.press("right", "enter")
        await until(pilot, lambda: table.row_count == 4)

        await pilot.press("a", "d")
        await until(pilot, lambda: "Delete 2 runs, " in shown(app) and getattr(app.focused, "id", "") == "cancel")
        await pilot.press("enter")
        await until(pilot, lambda: "Delete 2 runs, " not in shown(app) and "stays. Stop it first" in shown(app))
        assert (finished / "rn1-0001").exists()
        await pilot.press("d")
        await until(pilot, lambda: "Delete 2 runs, " in shown(app) and getattr(app.focused, "id", "") == "cancel")
        await pilot.press("right", "enter")
        await until(pilot, lambda: table.ids == ["rn1-0003", "rn1-0004"])
        left = [path.name for path in finished.iterdir() if path.name[0] != "."]
        assert sorted(left) == ["rn1-0003", "rn1-0004"]


async def test_what_was_deleted_is_not_on_show_any_more(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_follower, "LISTING_INTERVAL_S", 0.05)
    async with dashboard(finished, WIDE, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) == "94.90")
        shutil.rmtree(finished / "rn2-0002")
        await until(pilot, lambda: "Progress of rn1-0001" in shown(app) and accuracy_on_show(app) == "91.00")
        shutil.rmtree(finished / "rn1-0001")
        await until(pilot, lambda: "No run yet" in shown(app) and accuracy_on_show(app) == "–")
        assert "rn1-0001" not in shown(app)


@pytest.mark.slow
async def test_selected_runs_are_overlaid_compared_and_shown(finished: Path) -> None:
    async with dashboard(finished, WIDE, workers=FakeWorkers()) as (app, pilot):
        await until(pilot, lambda: "rn1-0001" in shown(app))
        await opened(app, pilot, 2)
        await pilot.press("space", "space", "o")
        await until(pilot, lambda: "━━ rn2-0002  ━━ rn1-0001" in chart_lines(app)[0])
        await opened(app, pilot, 2)
        await pilot.press("a", "c")
        await until(pilot, lambda: bool(app.screen.query("#models")))
        assert app.screen.query_one("#models", Input).value == "RN_2 RN_1"
        await pilot.press("escape")
        await opened(app, pilot, 2)
        await pilot.press("end", "down", "enter")
        await until(pilot, lambda: "Progress of rn1-0001" in shown(app) and "RN_1 · lr 0.001 · batch 64" in shown(app))


def test_a_word_of_the_filter_line_is_replaced() -> None:
    for line, word, value, becomes in (
        ("", "sort", "-lr", "sort=-lr"),
        ("sort=lr state=done", "sort", "-lr", "state=done sort=-lr"),
        ("--sort lr base --differing", "sort", "loss", "base --differing sort=loss"),
        ("base --differing", "differing", None, "base"),
        ("resort=1 base", "sort", "lr", "resort=1 base sort=lr"),
        ("a", "differing", "", "a differing"),
    ):
        assert run_selection.with_word(line, word, value) == becomes
    both = run_selection.from_line('--state done,stopped tag=a --differing "two words" name=x')
    assert (both.states, both.tags, both.differing) == (frozenset({"done", "stopped"}), ("a",), True)
    assert (both.text, both.name) == (("two words",), "x")


async def test_a_note_or_a_network_from_disk_steers_no_terminal(finished: Path) -> None:
    hostile = new_run(finished, model="/tmp/\x1b]0;evil\x07.py:Net", dataset="sample")
    labels.path(hostile.path).write_bytes(msgspec.json.encode({"note": "\x1b]0;evil\x07"}))
    async with dashboard(finished, WIDE) as (app, pilot):
        table = await opened(app, pilot, 3)
        table.move_cursor(row=0)
        await pilot.press("n")
        await until(pilot, lambda: bool(app.screen.query("#dialog-text")) and "]0;evil" in shown(app))
        assert "\x1b" not in shown(app)
        await pilot.press("escape", "c")
        await until(pilot, lambda: bool(app.screen.query("#models")))
        await until(pilot, lambda: "]0;evil" in shown(app))
        assert "\x1b" not in shown(app)
