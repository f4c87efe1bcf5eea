"""The screen of the exam's program beside a run; stepping has tests of its own, which load torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import RunConfig
from core.exam.program import program
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import EpochEnded, Evaluated, Progress
from core.runs.record import Record
from tests.recorded import started
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import i18n
from tui_app.dashboard.screens.program_screen import ProgramScreen
from tui_app.program import run_text


def line(text: str, start: str) -> str:
    """Return what is on the screen in the last line of the source that begins so."""
    found = [each for each in text.splitlines() if each[5:].strip().startswith(start)]
    assert found, f"{start} is not in\n{text}"
    return found[-1]


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("fr", NARROW)], indirect=["language"])
async def test_values_of_a_run_stand_beside_the_lines_that_make_them(
    finished: Path, size: tuple[int, int], language: str
) -> None:
    events = list(Run(finished / "rn2-0002").reader().read_new())
    progress = [each for each in events if isinstance(each, Progress)][-1]
    epoch = [each for each in events if isinstance(each, EpochEnded)][-1]
    result = next(each for each in events if isinstance(each, Evaluated))
    assert progress.loss is not None
    async with dashboard(finished, size, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ProgramScreen) and "correct +=" in shown(app))
        text = shown(app)
        assert f"← {result.correct}" in line(text, "correct +=")
        assert f"← {i18n.number(result.total)}" in line(text, "total +=")
        assert i18n.percent(result.accuracy) in line(text, "print(f'Résultat")
        assert f"running_loss/len(train_loader){'' if language == 'en' else ' '}: {i18n.number(epoch.loss, 4)}" in (
            text.replace("\u202f", " ")
        )
        await pilot.press(*(12 * ("up",)))
        await until(pilot, lambda: "loss = criterion" in shown(app))
        text = shown(app)
        decimal = "." if language == "en" else ","
        assert f"← {progress.losses[-1]:.4g}".replace(".", decimal) in line(text, "loss = criterion")
        assert f"← {63 * progress.loss:.4g}".replace(".", decimal) in line(text, "running_loss +=")
        assert "▸" not in text  # no line of the program is marked as the run's
        assert max(map(len, text.splitlines())) <= size[0]


async def test_a_run_in_progress_goes_from_stage_to_stage(tmp_path: Path) -> None:
    workers = FakeWorkers(epochs=1)
    async with dashboard(tmp_path, workers=workers, epochs=3) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        await pilot.press("y")
        await until(pilot, lambda: "Stage 2: the training · epoch 1/3, batch 63/63" in shown(app))
        assert "← epoch 1/3" in line(shown(app), "for epoch")
        assert "line moves here" in shown(app)
        workers.advance()
        await until(pilot, lambda: "Stage 3: the test" in shown(app) and "← 1,000" in line(shown(app), "total +="))


async def test_without_a_run_the_screen_says_so(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        await pilot.press("y")
        await until(pilot, lambda: "No run is shown" in shown(app))


async def test_a_worker_that_is_gone_is_replaced_by_the_same_key(finished: Path) -> None:
    from core.worker.protocol import StepProgram

    workers = FakeWorkers(holds=(StepProgram,))
    async with dashboard(finished, run_id="rn1-0001", workers=workers, notifications=True) as (app, pilot):
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, ProgramScreen))
        await pilot.press("right")
        await until(pilot, lambda: any(isinstance(each, StepProgram) for each in workers.asked))
        workers.newest.kill()
        await until(pilot, lambda: "is gone: r begins anew" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: "has not begun" in shown(app))
        asked = len(workers.asked)
        await pilot.press("enter")
        await until(pilot, lambda: len(workers.asked) > asked)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ProgramScreen))
        assert [each.action for each in workers.asked if isinstance(each, StepProgram)] == ["start", "start", "leave"]


def test_every_difference_of_the_settings_is_told() -> None:
    config = RunConfig(validate=True, patience=7, permute=True, precision="bf16", lr=0.02, batch_size=32)
    record = Record()
    record.apply([started(config)])
    text = "\n".join(run_text.details(program("RN_1"), record, "running"))
    for told in ("validation", "patience 7", "pixels permuted", "bf16", "lr 0.02", "batch 32"):
        assert told in text
