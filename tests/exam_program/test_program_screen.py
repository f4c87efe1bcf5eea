"""The screen of the exam's program, with a worker that executes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.exam.program import CHANGES
from tests.inside.same_process import WorkerInProcess
from tests.tui_app.driving import NARROW, WIDE, dashboard, hard_to_read, shown, until
from tui_app import i18n
from tui_app.dashboard import worker_link
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.program_screen import ProgramScreen


async def press_until(app: MnistTui, pilot: Pilot[int], keys: str, text: str) -> str:
    """Press keys, wait for a text, and return the screen."""
    await pilot.press(*keys.split())
    await until(pilot, lambda: text in shown(app))
    return shown(app)


async def open_steps(app: MnistTui, pilot: Pilot[int]) -> ProgramScreen:
    await pilot.press("y")
    await until(pilot, lambda: isinstance(app.screen, ProgramScreen))
    await press_until(app, pilot, "right", "▸  1")
    assert isinstance(app.screen, ProgramScreen)
    return app.screen


@pytest.fixture(
    params=[pytest.param(("en", WIDE), marks=pytest.mark.alike), ("fr", NARROW)], ids=["en-120x40", "fr-80x24"]
)
def size(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    language, size = request.param
    i18n.use(language)
    yield size
    i18n.use("en")


async def test_the_program_is_gone_through_by_keyboard(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(tmp_path, size, workers=WorkerInProcess) as (app, pilot):
        await open_steps(app, pilot)
        await press_until(app, pilot, "enter", "▸  2")
        await press_until(app, pilot, "b", "▸ 86")
        text = await press_until(app, pilot, "b", "64×1×28×28")
        assert re.search(r"90.+loss = criterion\(outputs, labels\) ← 2[.,]3", text)
        assert i18n._("SAMPLE") in text
        assert "1/63" in text
        text = await press_until(app, pilot, "up", "Adam")
        assert "567" in text
        text = await press_until(app, pilot, "up up", "logit")
        assert "softmax" in text
        await press_until(app, pilot, "up up up up", "float32")
        assert len(re.findall("▀{10}", shown(app))) >= 5 * 3  # pictures of the batch
        assert max(map(len, shown(app).splitlines())) <= size[0]
        assert list(hard_to_read(app)) == []
        await press_until(app, pilot, "e", "Perte: 0.")
        await press_until(app, pilot, "r", "▸  1")
        await press_until(app, pilot, "m", "RN_2")
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ProgramScreen))


async def test_the_mended_errors_and_a_mistake_beside_the_original(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW, workers=WorkerInProcess) as (app, pilot):
        await open_steps(app, pilot)
        text = await press_until(app, pilot, "right", "super(MLP")
        assert re.search(r"7 - +super\(MLP, self\).+\n +7 \+ +super\(RN_1, self\)", text)
        await pilot.press(*(20 * ("down",)))
        await until(pilot, lambda: ".. predicted" in shown(app))
        await press_until(app, pilot, "right", i18n._(CHANGES[0].title))
        for change in CHANGES[1:4]:
            await press_until(app, pilot, "down", i18n._(change.title))
        assert "- model.eval()" in shown(app)
        assert list(hard_to_read(app)) == []
        await pilot.press("enter")
        await until(pilot, lambda: i18n._("changed") + ":" in shown(app))
        right = [int(each) for each in re.findall(r"\b(\d{3})\b of", shown(app))]
        assert right[1] < right[0]
        assert len(re.findall("[⠁-⣿]", shown(app))) > 30
        assert max(map(len, shown(app).splitlines())) <= NARROW[0]


async def test_a_key_that_can_do_nothing_says_why(tmp_path: Path) -> None:
    async with dashboard(tmp_path, workers=WorkerInProcess, notifications=True) as (app, pilot):
        await pilot.press("y")
        await until(pilot, lambda: "No run is shown" in shown(app))
        await press_until(app, pilot, "b", "Left and")


async def test_quick_keys_are_kept_and_a_reader_keeps_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[WorkerInProcess] = []

    def launched() -> WorkerInProcess:
        workers.append(WorkerInProcess())
        return workers[-1]

    async with dashboard(tmp_path, WIDE, workers=launched, notifications=True) as (app, pilot):
        screen = await open_steps(app, pilot)
        monkeypatch.setattr(worker_link, "IDLE_S", 0.01)
        screen.action_step("line")
        assert screen.why_not("go") == screen.why_not("step") == ""
        screen.action_go()
        await until(pilot, lambda: "▸  5" in shown(app))
        await pilot.pause(0.05)  # several times what an idle worker is given
        assert [each.is_alive for each in workers] == [True]
