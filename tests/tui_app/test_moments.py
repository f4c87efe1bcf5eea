"""A result and its images at the moments of a training that were kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from core.messages import Problem
from core.runs.directory import Run
from core.runs.snapshots import folder, snapshot_path
from core.worker.protocol import Browse, EvaluateAt
from tests.tui_app import fake_answers
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, focus, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app.dashboard import moment_walk
from tui_app.dashboard.screens.digits_screen import DigitsScreen
from tui_app.dashboard.widgets.confusion_matrix import ConfusionMatrix
from tui_app.dashboard.widgets.digit_card import DigitCard
from tui_app.dashboard.widgets.result_panel import ResultPanel

RUN = "rn2-0002"


@pytest.fixture
def kept(finished: Path) -> Path:
    """Return the folder of the finished runs, of which rn2-0002 has three snapshots."""
    run_dir = finished / RUN
    asks_for_snapshots(run_dir)
    folder(run_dir).mkdir()
    for epoch, step in ((1, 0), (1, 8), (2, 30)):
        snapshot_path(run_dir, 0, epoch, step).touch()
    return finished


def asks_for_snapshots(run_dir: Path) -> None:
    """Have a run say that it was to keep four moments."""
    config = json.loads((run_dir / "config.json").read_text())
    (run_dir / "config.json").write_text(json.dumps(config | {"snapshots": 4}))
    lines = [json.loads(line) for line in (run_dir / "events.jsonl").read_text().splitlines()]
    for line in lines:
        if line["type"] == "run_started":
            line["config"]["snapshots"] = 4
    (run_dir / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def accuracy_at(kept: Path, moment: str) -> str:
    result = fake_answers.result_of(fake_answers.predictions_at(Run(kept / RUN), moment))
    return f"{100 * result.accuracy:.2f}"


def title(app: App[Any]) -> str:
    return str(app.screen.query_one(ResultPanel).border_title)


def subtitle(app: App[Any]) -> str:
    return str(app.screen.query_one(ResultPanel).border_subtitle)


def summary(app: App[Any]) -> str:
    found = app.screen.query("#digits-summary").results(Static)
    return next((str(each.visual) for each in found), "")


def captions(app: App[Any]) -> list[str]:
    return [str(each.visual) for each in app.screen.query("DigitCard > .caption").results(Static)]


async def pick(app: App[Any], pilot: Pilot[Any], run_id: str) -> None:
    table = app.screen.query_one("#runs", DataTable)
    table.focus()
    table.move_cursor(row=[str(table.get_row_at(row)[1]) for row in range(table.row_count)].index(run_id))
    await pilot.press("enter")


@pytest.mark.parametrize("size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW])
async def test_the_result_is_that_of_any_moment(kept: Path, size: tuple[int, int]) -> None:
    async with dashboard(kept, size, RUN) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        trained = accuracy_on_show(app)
        for key, name, words in (
            ("comma", "0000-2-30", "Epoch 2, batch 30, 3 of 4"),
            ("comma", "0000-1-8", "Epoch 1, batch 8, 2 of 4"),
            ("comma", "0000-1-0", "Epoch 1, batch 0, 1 of 4"),
            ("comma", "0000-1-0", "Epoch 1, batch 0, 1 of 4"),
            ("full_stop", "0000-1-8", "Epoch 1, batch 8, 2 of 4"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: f"{words} · SAMPLE" in shown(app))  # type: ignore[misc]
            assert accuracy_on_show(app) == accuracy_at(kept, name)
        await pilot.press("full_stop", "full_stop")
        await until(pilot, lambda: f"Result of {RUN} · SAMPLE" in shown(app))
        assert accuracy_on_show(app) == trained


async def test_what_is_going_on_is_said_while_the_rest_stays(kept: Path) -> None:
    """An answer that comes when another run is shown changes nothing."""
    workers = FakeWorkers(holds=(EvaluateAt,))
    async with dashboard(kept, run_id=RUN, workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        before = accuracy_on_show(app), title(app), subtitle(app)
        await pilot.press("comma", "comma")
        await until(pilot, lambda: subtitle(app) == "Testing epoch 1, batch 8…")
        assert (accuracy_on_show(app), title(app)) == before[:2]
        workers.newest.answer_held()  # of the moment passed over
        await until(pilot, lambda: len(workers.asked) == 2)
        assert (accuracy_on_show(app), title(app)) == before[:2]
        workers.newest.answer_held()
        await until(pilot, lambda: accuracy_on_show(app) == accuracy_at(kept, "0000-1-8"))
        assert subtitle(app) == before[2]
        await pilot.press("comma")
        await until(pilot, lambda: "Testing epoch 1, batch 0…" in shown(app))
        await pick(app, pilot, "rn1-0001")
        await until(pilot, lambda: title(app).startswith("Result of rn1-0001"))
        other = accuracy_on_show(app), subtitle(app)
        workers.newest.answer_held()
        await pilot.pause()
        assert (accuracy_on_show(app), subtitle(app)) == other
        assert "Testing" not in shown(app)
        await pick(app, pilot, RUN)
        await until(pilot, lambda: (accuracy_on_show(app), title(app), subtitle(app)) == before)


async def test_the_training_is_played(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment_walk, "PLAY_S", 0.01)
    workers = FakeWorkers(holds=(EvaluateAt,))
    async with dashboard(kept, run_id=RUN, workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        trained = accuracy_on_show(app)
        await pilot.press("j")
        for count, name in enumerate(("0000-1-0", "0000-1-8", "0000-2-30"), 1):
            await until(pilot, lambda count=count: len(workers.asked) == count)  # type: ignore[misc]
            assert workers.asked[-1] == EvaluateAt(str(kept / RUN), name)
            await pilot.pause(3 * moment_walk.PLAY_S)  # it goes on once the answer is there, however long that takes
            workers.newest.answer_held()
        await until(pilot, lambda: accuracy_on_show(app) == trained and title(app).startswith("Result of"))
        assert len(workers.asked) == 3


@pytest.mark.usefixtures("language")
async def test_without_snapshots_the_keys_say_why(finished: Path, language: str) -> None:
    """So they do if these were asked for, but could not be kept."""
    if language == "fr":
        asks_for_snapshots(finished / RUN)
    async with dashboard(finished, run_id=RUN, notifications=True) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("comma")
        await until(pilot, lambda: "--snapshots" in shown(app))
        assert ("kept no snapshots" if language == "en" else "gardé aucun instantané") in shown(app)
        await pilot.press("f3")
        await until(pilot, lambda: bool(captions(app)))
        assert not any(sign in caption for caption in captions(app) for sign in "✓✗")


async def test_a_moment_that_cannot_be_evaluated_is_named(kept: Path) -> None:
    workers = FakeWorkers()
    workers.refusals[RUN] = Problem("the weights of run {run} do not fit", run=RUN)
    async with dashboard(kept, run_id=RUN, workers=workers, notifications=True) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        before = accuracy_on_show(app)
        await pilot.press("comma")
        await until(pilot, lambda: "the weights of run rn2-0002 do not fit" in shown(app))
        assert (accuracy_on_show(app), title(app)) == (before, f"Result of {RUN} · SAMPLE")
        workers.refusals.clear()
        await pilot.press("comma")
        await until(pilot, lambda: title(app).startswith("Epoch 2, batch 30"))


async def test_a_cell_at_a_moment_opens_its_images_of_then(kept: Path) -> None:
    workers = FakeWorkers()
    async with dashboard(kept, run_id=RUN, workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("comma", "comma")
        await until(pilot, lambda: title(app).startswith("Epoch 1, batch 8"))
        await focus(pilot, app.screen.query_one(ConfusionMatrix))
        await pilot.press("right", "enter")  # zeros taken for ones
        await until(pilot, lambda: summary(app).startswith("Epoch 1, batch 8, 2 of 4 · "))
        assert isinstance(app.screen, DigitsScreen)
        assert all(each.startswith("✗ 0, taken for 1 (") for each in captions(app))
    asked = [question for question in workers.asked if isinstance(question, Browse)]
    assert asked == [Browse(str(kept / RUN), label=0, predicted=1, moment="0000-1-8", chosen_at="0000-1-8")]


@pytest.mark.parametrize("size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW])
async def test_the_same_digits_are_watched_changing_sides(
    kept: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moment_walk, "PLAY_S", 0.01)
    workers = FakeWorkers()
    async with dashboard(kept, size, RUN, workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f3")
        await until(pilot, lambda: all(each.startswith("✗ ") for each in captions(app)) and bool(captions(app)))
        assert "most confident first" in summary(app)
        cards = list(app.screen.query(DigitCard))
        await pilot.press("right", "comma", "comma")
        await until(pilot, lambda: summary(app).startswith("Epoch 1, batch 8, 2 of 4 · the same images, 1 to "))
        signs = [each[0] for each in captions(app)]
        assert set(signs) <= set("✓✗")
        assert f": {signs.count('✓')} right" in summary(app)
        assert signs.count("✓") > len(signs) // 2  # one image of ten is wrong then
        assert list(app.screen.query(DigitCard)) == cards  # the images stay where they are
        assert [card.number for card in app.screen.query(".-current").results(DigitCard)] == [1]
        await pilot.press("full_stop", "full_stop")
        await until(pilot, lambda: "most confident first" in summary(app))
        assert {each[0] for each in captions(app)} == {"✗"}
        workers.asked.clear()
        await pilot.press("j")
        await until(pilot, lambda: len(workers.asked) == 4 and "most confident first" in summary(app))
        asked = [(each.moment, each.chosen_at) for each in workers.asked if isinstance(each, Browse)]
        assert asked == [("0000-1-0", ""), ("0000-1-8", ""), ("0000-2-30", ""), ("", "")]


async def test_beside_a_run_in_progress_the_worker_gives_way(kept: Path) -> None:
    workers = FakeWorkers(epochs=0)
    async with dashboard(kept, run_id=RUN, workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f5")
        await until(pilot, lambda: app.sub_title != "" or "1 run in progress" in shown(app))
        await pick(app, pilot, RUN)
        await until(pilot, lambda: title(app).startswith(f"Result of {RUN}"))
        await pilot.press("comma")
        await until(pilot, lambda: title(app).startswith("Epoch 2, batch 30"))
        assert workers.newest.gives_way
        workers.advance()
