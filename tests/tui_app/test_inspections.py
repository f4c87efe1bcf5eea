"""The screens that look at images and compare networks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from core.comparing import watching
from core.comparing.stored import make_plan
from core.config import RunConfig
from core.runs import directory
from core.runs.directory import Run
from core.worker.protocol import Browse, Browsed, Recognise, Settle
from tests.tui_app.driving import NARROW, QUICK, WIDE, accuracy_on_show, dashboard, focus, shown, until
from tests.tui_app.fake_worker import FakeWorkers, HeldProcess, compare_without_processes
from tui_app.dashboard.screens.digits_screen import DigitsScreen
from tui_app.dashboard.widgets.confusion_matrix import ConfusionMatrix
from tui_app.dashboard.widgets.digit_card import DigitCard
from tui_app.dashboard.widgets.drawing_canvas import DrawingCanvas


def predictions(finished: Path) -> dict[str, Any]:
    with np.load(Run(finished / "rn1-0001").result_paths("predictions", ".npz")[0]) as arrays:
        return {name: arrays[name] for name in arrays}


@pytest.mark.parametrize("size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW])
async def test_errors_are_looked_at_page_by_page(finished: Path, size: tuple[int, int]) -> None:
    known = predictions(finished)
    wrong = np.flatnonzero(known["label"] != known["predicted"])
    worst = wrong[known["probability"][wrong].argmax()]
    async with dashboard(finished, size, "rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f3")
        taken_for = ", taken for " if size == WIDE else " → "
        text = f"{known['label'][worst]}{taken_for}{known['predicted'][worst]}"
        await until(pilot, lambda: text in shown(app))
        match = re.search(rf"{len(wrong)} images: showing 1 to (\d+)", shown(app))
        assert match is not None
        assert int(match[1]) >= 6
        assert max(line.count("▀" * (28 if size == WIDE else 14)) for line in shown(app).splitlines()) >= 4
        await pilot.press("z")
        await until(pilot, lambda: f"Test image {worst}" in shown(app))
        await pilot.press("escape", "right", "down", "pagedown")
        await until(pilot, lambda: f"showing {int(match[1]) + 1} to " in shown(app))
        assert [card.number - int(match[1]) for card in app.screen.query(".-current").results(DigitCard)] == [
            1 + (4 if size == WIDE else 5)
        ]
        for columns in range(size[0], size[0] + 40, 4):  # the window is dragged
            await pilot.resize_terminal(columns, size[1])
        await until(pilot, lambda: f"{len(wrong)} images: showing " in shown(app) and app.screen.size.width == columns)
        await pilot.press("escape")
        await until(pilot, lambda: "taken for" not in shown(app))


async def test_a_cell_opens_its_images_by_keyboard_and_mouse(finished: Path) -> None:
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await focus(pilot, app.screen.query_one(ConfusionMatrix))
        await pilot.press("down", "right", "enter")
        await until(pilot, lambda: "1, taken for 1" in shown(app))
        await pilot.press("escape")
        await pilot.click(ConfusionMatrix, offset=(2 + 4 * 7 + 2, 2 + 7))
        await until(pilot, lambda: "7, taken for 7" in shown(app))


async def test_two_runs_are_compared_image_by_image(finished: Path) -> None:
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–" and "rn2-0002" in shown(app))
        await focus(pilot, app.screen.query_one("#runs"))
        await pilot.press("home", "space")
        await until(pilot, lambda: "━━ rn2-0002" in shown(app))
        await pilot.press("f3")
        await until(pilot, lambda: "Both are wrong" in shown(app))
        await pilot.press("tab", "right")
        await until(pilot, lambda: bool(re.search(r"rn2-0002 \d \(\d+%\)", shown(app))))
        screen = app.screen
        assert isinstance(screen, DigitsScreen)
        before = shown(app)
        screen.show(Browsed(Browse(str(finished / "rn1-0001")), (), 0))  # an answer to a tab that was left
        await pilot.pause()
        assert shown(app) == before


async def test_a_digit_drawn_with_the_mouse_is_recognised(finished: Path) -> None:
    async with dashboard(finished, run_id="rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f12")
        await until(pilot, lambda: "Draw a digit" in shown(app))
        await pilot.mouse_down(DrawingCanvas, offset=(14, 2))
        for row in range(3, 12):
            await pilot.hover(DrawingCanvas, offset=(14, row))
        await pilot.mouse_up(DrawingCanvas, offset=(14, 11))
        assert not app.screen.selections  # a stroke selects no text
        await pilot.pause()
        if "1 ███" not in shown(app):  # a driver that reports no button while the mouse moves draws no line
            await pilot.press("space", *["up"] * 18)
        await until(pilot, lambda: "1 ███" in shown(app))
        await pilot.press("c")
        await until(pilot, lambda: "███" not in shown(app))


async def test_a_digit_drawn_with_the_keyboard_is_recognised_in_a_small_terminal(finished: Path) -> None:
    async with dashboard(finished, NARROW, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f12")
        await until(pilot, lambda: "Draw a digit" in shown(app))
        await pilot.press(*["up"] * 10, "space", *["down"] * 20)
        await until(pilot, lambda: "1 ███" in shown(app))


@pytest.mark.parametrize("size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW])
async def test_a_picture_is_opened_where_digits_are_drawn(finished: Path, size: tuple[int, int]) -> None:
    """It is shown as the network sees it, also where there is room for one image only; a doubt is said."""
    workers = FakeWorkers()
    async with dashboard(finished, size, "rn2-0002", workers=workers, notifications=True) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f12")
        await until(pilot, lambda: "Draw a digit" in shown(app))
        await pilot.press("f3")
        app.screen.query_one("#picture", Input).value = r"'/some where/seven c.png' "
        await pilot.press("enter")
        await until(pilot, lambda: "7 ███" in shown(app) and "touches the edge" in shown(app))
        assert app.screen.query_one(DrawingCanvas).has_focus
        await pilot.press("c")
        await until(pilot, lambda: "███" not in shown(app))
    asked = [question.path for question in workers.asked if isinstance(question, Recognise)]
    assert asked[0] == "/some where/seven c.png"


async def test_a_comparison_is_stopped_while_it_prepares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_without_processes(monkeypatch)
    workers = FakeWorkers(holds=(Settle,))
    async with dashboard(tmp_path, workers=workers, model="RN_2", dropout=0.3) as (app, pilot):
        await pilot.press("shift+f5")
        await until(pilot, lambda: "Each run: 2 epochs" in shown(app))
        assert " RN_2 RN_2+dropout=0.3\n" in shown(app)  # the form's network without its dropout, and with it
        await pilot.press("f5")
        await until(pilot, lambda: "Looking for the data" in shown(app))
        asked = workers.newest
        await pilot.press("f6")
        await until(pilot, lambda: "stopped; Compare continues" in shown(app))
        asked.answer_held()
        await pilot.pause()
        assert directory.Listing(tmp_path).read() == []
        workers.holds = ()
        await pilot.press("f5")
        await until(pilot, lambda: "10 of 10 runs" in shown(app))


async def test_a_comparison_in_progress_is_shown_again_and_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was begun elsewhere; the dashboard can go on with it, asks about it before it quits, and can stop it then."""
    compare_without_processes(monkeypatch, HeldProcess)
    assert watching.begin(tmp_path, make_plan(("RN_1", "RN_2+lr=0.1"), 2, RunConfig(**QUICK, lr=0.01))).look()
    async with dashboard(tmp_path) as (app, pilot):
        await until(pilot, lambda: watching.newest(tmp_path) is not None)
        await pilot.press("shift+f5")
        await until(pilot, lambda: bool(re.search("0 of 4 runs, [1-4] in progress", shown(app))))
        assert app.screen.query_one("#models", Input).value == "RN_1 RN_2+lr=0.1"
        assert app.screen.query_one("#seeds", Input).value == "2"
        assert "learning rate 0.01" in shown(app)
        await pilot.press("f10")
        await until(pilot, lambda: "A comparison is in progress" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "A comparison is in progress" not in shown(app))
        await pilot.press("f6")
        await until(pilot, lambda: "stopped; Compare continues" in shown(app))
        assert watching.newest(tmp_path) is None
        await pilot.press("f5")
        await until(pilot, lambda: bool(re.search("0 of 4 runs, [1-4] in progress", shown(app))))
        found = watching.newest(tmp_path)
        assert found is not None
        await pilot.press("f10")
        await until(pilot, lambda: "A comparison is in progress" in shown(app))
        await pilot.press("right", "enter")
        await until(pilot, lambda: not found[1].look())
    assert found[1].outcome == "stopped"


async def test_configurations_are_compared_on_the_runs_there_are(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare_without_processes(monkeypatch)
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        await pilot.press("shift+f5")
        await until(pilot, lambda: "Each run: 2 epochs" in shown(app))
        configurations, seeds = app.screen.query_one("#models", Input), app.screen.query_one("#seeds", Input)
        assert configurations.value == "RN_1 RN_2"
        configurations.value = "RN_1, RN_2, RN_2+lr"
        await until(pilot, lambda: "lr needs a value" in shown(app) and bool(app.screen.query("#field-models.wrong")))
        configurations.value += "=0.01"
        await until(pilot, lambda: "lr needs a value" not in shown(app) and not app.screen.query(".wrong"))
        seeds.value = "0"
        await pilot.press("enter")
        await until(pilot, lambda: "the number of seeds must be" in shown(app))
        seeds.value = "2"
        await pilot.press("enter")
        await until(pilot, lambda: "6 of 6 runs" in shown(app) and "Test accuracy" in shown(app))
        text = shown(app)
        app.screen.query_one("#answer").scroll_end(animate=False)
        await until(pilot, lambda: "McNemar" in shown(app))
        await pilot.press("f9")
        await until(pilot, lambda: "RN_1 ×2 seeds" in shown(app) and "RN_2+lr=0.01 ×2 seeds" in shown(app))
        assert "McNemar" not in shown(app)
    summaries = directory.Listing(finished).read()
    configs = [run.config for run in summaries if run.config]
    assert sorted((config.seed, config.lr) for config in configs if config.model == "RN_2") == [
        (0, 0.001),
        (0, 0.01),
        (1, 0.001),
        (1, 0.01),
    ]
    accuracies = [run.accuracy for run in summaries if run.config in configs and run.config.lr == 0.01 and run.accuracy]
    assert len(summaries) == 6  # seed 1 existed already for both networks
    assert len(accuracies) == 2
    assert f"{100 * sum(accuracies) / 2:.2f}%" in text
