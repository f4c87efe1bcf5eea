"""The screen that tests trained networks under harder conditions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from core.config import RunConfig
from core.data.conditions import Condition
from core.messages import Problem
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import RunEnded, encode
from core.worker.protocol import Measure
from tests.tui_app import fake_answers
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, dot, focus, shown, tick, until
from tests.tui_app.fake_worker import FakeProcess, FakeWorker, FakeWorkers
from tui_app import i18n
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.conditions_screen import ConditionsScreen


def accuracies(run: Run, *conditions: Condition) -> list[str]:
    """Return the accuracies as the table shows them, starting with that on the unchanged images."""
    return [i18n.percent(fake_answers.accuracy_under(run, condition)) for condition in (None, *conditions)]


def rows(app: MnistTui) -> dict[str, list[str]]:
    """Return the cells of each row of the table, without the curve beside it."""
    width = app.screen.query_one("#conditions-table").region.right
    found = {}
    for line in shown(app).split("\n"):
        name, *cells = re.split(r"\s{2,}", line[:width].strip())
        found[name] = [cell.replace("\u202f", " ") for cell in cells]
    return found


def y_ticks(app: MnistTui) -> dict[str, int]:
    """Return the row of each tick of the y axis."""
    found = [(re.search(r"(\d+%)┤", line), row) for row, line in enumerate(shown(app).splitlines())]
    return {tick[1]: row for tick, row in found if tick}


async def open_screen(
    app: MnistTui, pilot: Pilot[int], *overlaid: str, ticked: tuple[str, ...] = ()
) -> ConditionsScreen:
    """Add runs to the chart, and open the screen once they are read; `ticked` runs have nothing to read."""
    await until(pilot, lambda: accuracy_on_show(app) != "–")
    await tick(app, pilot, *overlaid, *ticked)
    await until(pilot, lambda: all(dot(app, run_id) for run_id in overlaid))
    await pilot.press("shift+f6")
    await until(pilot, lambda: isinstance(app.screen, ConditionsScreen))
    assert isinstance(app.screen, ConditionsScreen)
    return app.screen


@pytest.mark.parametrize(("language", "size"), [pytest.param("en", WIDE, marks=pytest.mark.alike), ("fr", NARROW)])
async def test_accuracy_against_strength_of_all_runs_in_the_chart(
    language: str, size: tuple[int, int], finished: Path, request: pytest.FixtureRequest
) -> None:
    i18n.use(language)
    request.addfinalizer(lambda: i18n.use("en"))
    async with dashboard(finished, size, "rn1-0001") as (app, pilot):
        screen = await open_screen(app, pilot, "rn2-0002")
        await until(pilot, lambda: not screen.is_waiting and "–" not in "".join(map("".join, rows(app).values())))
        table, text = rows(app), shown(app)
        expected = zip(
            *(
                accuracies(Run(finished / run_id), Condition("shift", 2), Condition("turn", 30))
                for run_id in ("rn1-0001", "rn2-0002")
            ),
            strict=True,
        )
        names = {"en": ("as they are", "shifted by 2 px", "rotated by 30°")}
        names["fr"] = ("telles quelles", "décalées de 2 px", "tournées de 30°")
        for name, values in zip(names[language], expected, strict=True):
            assert table[name] == [value.replace("\u202f", " ") for value in values]
        assert len([name for name in table if re.search(r"\d", name) and table[name]]) >= 11
        assert len(re.findall("[\u2801-\u28ff]", text)) > 20
        assert "●" in text
        assert "■" in text
        assert i18n._("pixels") in text
        assert max(map(len, text.splitlines())) <= size[0]
        await pilot.press("right")
        await until(pilot, lambda: i18n._("degrees") in shown(app))
        assert re.search(r" 0 .* 30 +45", shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: accuracy_on_show(app) != "–")


async def test_strengths_are_typed_and_what_is_known_stays(finished: Path) -> None:
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        screen = await open_screen(app, pilot)
        for kind, text in (("shift", "4"), ("turn", ""), ("noise", "0.25,0.9")):
            screen.query_one(f"#{kind}", Input).value = text
        await focus(pilot, screen.query_one("#noise"))
        await pilot.press("enter")
        await until(pilot, lambda: not screen.is_waiting and list(rows(app).get("noise 0.9", ["–"])) != ["–"])
        plain, shift, quarter, ninth = accuracies(
            Run(finished / "rn1-0001"), Condition("shift", 4), Condition("noise", 0.25), Condition("noise", 0.9)
        )
        table = rows(app)
        assert [table[name] for name in ("as they are", "shifted by 4 px", "noise 0.25", "noise 0.9")] == [
            [plain],
            [shift],
            [quarter],
            [ninth],
        ]
        assert "rotated by 5°" not in table
        screen.query_one("#noise", Input).value = "2"
        await until(pilot, lambda: "noise must be a number above 0" in shown(app))
        assert screen.query_one("#noise").has_class("wrong")
        await pilot.click("#start")
        await pilot.pause()
        assert not screen.is_waiting
        await pilot.press("escape")
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("h")
        await until(pilot, lambda: rows(app).get("shifted by 4 px") == [shift])


async def test_runs_that_cannot_be_tested_get_one_line_each(finished: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"dataset": "sample", "epochs": 1, "threads": 1, "seed": 1}
    own = directory.create(finished, RunConfig(model=f"{tmp_path}/my_net.py:Net", **settings))
    assert not FakeProcess([own]).is_busy
    unfinished = directory.create(finished, RunConfig(model="RN_1", **settings))
    unfinished.events_path.write_bytes(encode(RunEnded(status="stopped")))
    workers = FakeWorkers()
    text = "the weights of run rn2-0002 cannot be read"
    workers.refusals["rn2-0002"] = Problem("{reason}", reason=text)
    async with dashboard(finished, NARROW, "rn1-0001", workers=workers) as (app, pilot):
        screen = await open_screen(app, pilot, "rn2-0002", "net-0003", ticked=("rn1-0004",))
        await until(pilot, lambda: not screen.is_waiting and text in shown(app))
        await until(pilot, lambda: "–" not in rows(app).get("shifted by 1 px", ["–"])[:1])
        assert shown(app).count("rn2-0002 cannot") == 1
        assert "net-0003 has a custom network: mnist-tui conditions net-0003" in shown(app)
        assert "rn1-0004 is not finished" in shown(app)
        assert "SAMPLE: 5,000 images" in shown(app)
    asked = {Path(question.run_dir).name for question in workers.asked if isinstance(question, Measure)}
    assert asked == {"rn1-0001", "rn2-0002"}  # the file of net-0003 is not executed


async def test_leaving_ends_the_tests_and_a_run_starts_at_once(finished: Path) -> None:
    workers = FakeWorkers(holds=(Measure,))
    async with dashboard(finished, run_id="rn2-0002", workers=workers) as (app, pilot):
        screen = await open_screen(app, pilot)
        before = workers.newest
        assert before.is_alive
        assert screen.is_waiting
        await pilot.press("escape")
        await until(pilot, lambda: not before.is_alive)
        await pilot.press("f5")
        await until(pilot, lambda: "Result of rn1-0003" in shown(app) and accuracy_on_show(app) != "–")


async def test_a_worker_that_is_killed_is_replaced_when_asked(finished: Path) -> None:
    """The axis of the curve stays where it was while it was empty."""
    workers = FakeWorkers(holds=(Measure,))
    async with dashboard(finished, run_id="rn1-0001", workers=workers) as (app, pilot):
        screen = await open_screen(app, pilot)
        workers.newest.kill()
        await until(pilot, lambda: "stopped; F5 continues" in shown(app))
        workers.holds = ()
        ticks = y_ticks(app)
        assert list(ticks) == ["100%", "80%", "60%", "40%", "20%", "0%"]
        await pilot.press("f5")
        await until(pilot, lambda: not screen.is_waiting and rows(app)["noise 0.5"] != ["–"])
        assert y_ticks(app) == ticks


async def test_a_worker_that_cannot_be_started_is_asked_again_by_the_same_key(finished: Path) -> None:
    workers = FakeWorkers(holds=(Measure,))
    can_start = True

    def launch() -> FakeWorker:
        if not can_start:
            raise Problem("the worker process could not start: {reason}", reason="no memory")
        return workers()

    async with dashboard(finished, run_id="rn1-0001", workers=launch) as (app, pilot):
        screen = await open_screen(app, pilot)
        workers.newest.kill()
        can_start, workers.holds = False, ()
        await until(pilot, lambda: "stopped; F5 continues" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: not screen.is_waiting)
        can_start = True
        await pilot.press("f5")
        await until(pilot, lambda: rows(app)["noise 0.5"] != ["–"])


async def test_screens_beside_the_dashboard_offer_their_own_keys(finished: Path) -> None:
    async with dashboard(finished, NARROW, "rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        for key in ("shift+f5", "shift+f6", "f3", "f12"):
            await until(pilot, lambda: "F5 Train" in shown(app).splitlines()[-1])
            await pilot.press(key)
            await until(pilot, lambda: "Esc Back" in shown(app).splitlines()[-1])
            footer = shown(app).splitlines()[-1]
            for word in ("Train", "Resume", "Log scale", "Overlay"):
                assert word not in footer
            assert "F10 Quit" in footer
            before = directory.Listing(finished).read()
            await pilot.press("ctrl+t", "f9", "f1", "end")
            await until(pilot, lambda: "Back to the dashboard" in shown(app))
            assert "Start a run" not in shown(app)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: "F5 Train" in shown(app).splitlines()[-1])
            assert directory.Listing(finished).read() == before
