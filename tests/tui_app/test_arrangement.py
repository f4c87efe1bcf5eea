"""The main screen at every size, and what is chosen in it, as its users see them."""

from __future__ import annotations

import re
import shutil
import threading
from pathlib import Path

import pytest
from textual import events
from textual.widgets import Input, RadioSet, Static

from core.runs import directory
from core.runs.events import RunEnded, encode
from tests.core.runs.run_files import claim, new_run
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, focus, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import wording
from tui_app.dashboard import run_control
from tui_app.dashboard.widgets.loss_chart import LossChart
from tui_app.dashboard.widgets.run_form import RunForm

PANELS = ("form", "runs-panel", "chart", "progress", "layers", "result")


async def test_the_panels_use_the_room_there_is(finished: Path) -> None:
    async with dashboard(finished, WIDE, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        screen = app.screen

        def visible() -> list[str]:
            return [panel for panel in PANELS if screen.query_one(f"#{panel}").region.area]

        async def resize(columns: int, rows: int) -> None:
            await pilot.resize_terminal(columns, rows)
            await until(pilot, lambda: screen.size == (columns, rows))
            await pilot.pause()

        height = screen.query_one("#chart").size.height
        assert visible() == list(PANELS)
        await resize(120, 60)
        assert screen.query_one("#chart").size.height == height + 20
        for columns, rows in ((160, 50), (200, 60)):
            await resize(columns, rows)
            assert visible() == list(PANELS)
            regions = {panel: screen.query_one(f"#{panel}").region for panel in PANELS}
            assert regions["form"].right <= regions["chart"].x < regions["chart"].right <= regions["layers"].x
            assert regions["chart"].height > rows - 18
            assert regions["progress"].height <= 13
            assert "done · epoch 2/2 · batch 63/63" in shown(app)
            assert "32×64×3×3 + 64 = 18,496" in shown(app)
        for page in (("form", "runs-panel"), ("chart", "progress"), ("layers", "result")):
            await resize(100, 30)
            while screen.query_one("#tabs").query_one(f"#tab-{page[0]}").has_class("-active") is False:
                await pilot.press("f2")
                await pilot.pause()
            await until(pilot, lambda page=page: visible() == list(page))  # type: ignore[misc]
        await resize(80, 24)
        await until(pilot, lambda: visible() == ["layers"])
        await pilot.press("f2", "z")
        await until(pilot, lambda: visible() == ["result"] and screen.query_one("#result").size.width > 70)
        assert not screen.query_one("#tabs").region.area
        await resize(120, 40)
        assert visible() == ["result"]
        await resize(80, 24)
        await until(pilot, lambda: visible() == ["result"] and screen.query_one("#result").size.width > 70)
        await pilot.press("i")  # what another panel is needed for makes way for it
        await until(pilot, lambda: visible() == ["chart"] and screen.query_one("#tabs").region.area > 0)
        await resize(79, 24)
        await pilot.press("f5", "c")  # unseen
        await resize(120, 40)
        await until(pilot, lambda: visible() == list(PANELS) and app.screen is screen)
        assert len(directory.Listing(finished).read()) == 2


async def test_all_settings_fit_and_make_way_again(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        await until(pilot, lambda: "567,434" in shown(app))
        assert "test accuracy" in shown(app)
        await focus(pilot, app.screen.query_one("#more CollapsibleTitle"))
        await pilot.press("enter")
        await until(pilot, lambda: "Data folder" in shown(app))
        assert "Batch size" in shown(app)
        assert app.screen.query_one("#fields").max_scroll_y == 0
        await pilot.press("f5")
        await until(pilot, lambda: "Data folder" not in shown(app) and accuracy_on_show(app) != "–")


async def test_what_is_highlighted_is_what_trains(tmp_path: Path) -> None:
    async with dashboard(tmp_path, batch_norm=True) as (app, pilot):
        await until(pilot, lambda: "● RN_1  ○ RN_2  ○ custom" in shown(app))
        await focus(pilot, app.screen.query_one("#network", RadioSet))
        await pilot.press("right")
        await until(pilot, lambda: "○ RN_1  ● RN_2  ○ custom" in shown(app))
        await pilot.press("right")
        await until(pilot, lambda: "● custom" in shown(app))
        assert "unknown network" not in shown(app)  # nothing was typed yet
        await pilot.press("f5")
        await until(pilot, lambda: "unknown network" in shown(app))
        await focus(pilot, app.screen.query_one("#network", RadioSet))
        await pilot.press("left")
        await until(pilot, lambda: "422,090" in shown(app))  # with batch normalisation
        await pilot.press("f5")
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        assert directory.find(tmp_path).config().model == "RN_2"
        await focus(pilot, app.screen.query_one("#more CollapsibleTitle"))
        await pilot.press("enter")
        await until(pilot, lambda: "[x] Batch norm" in shown(app) and "[ ] Validation" in shown(app))
        app.screen.query_one("#threads", Input).value = "999"
        await until(pilot, lambda: "999 threads on" in shown(app))


async def test_a_run_that_starts_is_never_silent_and_a_slip_starts_no_second_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_run(tmp_path)  # nobody has taken it up yet
    workers = FakeWorkers(epochs=0)
    async with dashboard(tmp_path, NARROW, "rn1-0001", workers=workers, notifications=True) as (app, pilot):

        def said() -> str:
            return " ".join(line.rpartition("▌")[2].strip() for line in shown(app).splitlines())

        await until(pilot, lambda: re.search(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] rn1-0001 is starting…", said()) is not None)
        await pilot.press("f5")
        await until(pilot, lambda: re.search(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] rn1-0002: no batch is done yet", said()) is not None)
        await pilot.press("f5")
        await until(pilot, lambda: "rn1-0002 has just been started" in said())
        await pilot.press("f5", "f5")  # the key is held
        await pilot.pause()
        assert len(directory.Listing(tmp_path).read()) == 2
        monkeypatch.setattr(run_control, "_HELD_S", 0.0)
        await pilot.press("f5")
        await until(pilot, lambda: "rn1-0003 starts; " in said())
        await pilot.press("f6")
        await until(pilot, lambda: "rn1-0003 will stop" in said())


@pytest.mark.parametrize("arrows", [1, 3])
async def test_keys_that_come_in_a_burst_start_what_they_chose(arrows: int, tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        await until(pilot, lambda: "● RN_1  ○ RN_2  ○ custom" in shown(app))
        await focus(pilot, app.screen.query_one("#network", RadioSet))
        for key in (*["right"] * arrows, *["left"] * (arrows - 1), "f5"):
            app.post_message(events.Key(key, None))
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        assert directory.find(tmp_path).config().model == "RN_2"
        await until(pilot, lambda: "○ RN_1  ● RN_2  ○ custom" in shown(app) and "Layers of RN_2" in shown(app))


async def test_a_run_that_is_starting_has_its_own_layers(finished: Path) -> None:
    async with dashboard(finished, WIDE, "rn2-0002", workers=FakeWorkers(epochs=-1)) as (app, pilot):  # it says nothing
        await until(pilot, lambda: "Layers of RN_2" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: all(title in shown(app) for title in ("Progress of rn1-0003", "Layers of RN_1")))


async def test_who_comes_back_sees_the_newest_run_and_can_take_its_settings(finished: Path) -> None:
    async with dashboard(finished, NARROW, epochs=5) as (app, pilot):
        form = app.screen.query_one(RunForm)
        await until(pilot, lambda: accuracy_on_show(app) == "94.90")
        assert form.border_subtitle == "u: take rn2-0002's settings"
        await pilot.press("u")
        await until(pilot, lambda: form.border_subtitle == "settings of rn2-0002" and "● RN_2" in shown(app))
        assert form.config().epochs == 2
    claim(new_run(finished, seed=1, dataset="sample"))
    async with dashboard(finished, NARROW, "rn1-0001") as (app, pilot):
        await until(pilot, lambda: app.screen.query_one(LossChart).region.area > 0)  # not on the form
        state = app.screen.query_one("#progress-state", Static)
        await until(pilot, lambda: "done" in str(state.content))


@pytest.mark.slow
async def test_panels_without_a_result_say_what_comes_or_what_to_do(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = new_run(finished, seed=1, dataset="sample")
    stopped.events_path.write_bytes(encode(RunEnded(status="stopped")))
    may_read = threading.Event()
    read = directory.Listing.read
    monkeypatch.setattr(directory.Listing, "read", lambda listing: may_read.wait(60) and read(listing))
    async with dashboard(finished, WIDE, stopped.id) as (app, pilot):

        def said(panel: str) -> str:
            return " ".join(str(part.content) for part in app.screen.query(f"#{panel} Static").results(Static))

        assert all("Reading the runs…" in said(panel) for panel in ("runs-panel", "progress", "result"))
        assert "No run yet" not in shown(app)
        may_read.set()
        await until(pilot, lambda: "Not tested yet: F7 resumes the run." in said("result"))
        assert "There is no checkpoint yet: Resume starts the run anew." in said("progress")
        assert app.screen.query_one("#runs-panel").border_subtitle == "3 runs · * sample"
    (stopped.path / "checkpoint-0001-1-20.pt").touch()
    assert wording.resumption(stopped, "stopped") == "Resume continues from here."
    died = "The training process died. Resume continues from the last checkpoint."
    assert wording.resumption(stopped, "crashed") == died
    stopped.log_path.write_text("Killed\n")
    assert wording.resumption(stopped, "crashed") == f"{died} See the log."
    for run_dir in ("rn1-0001", "rn2-0002"):
        shutil.rmtree(finished / run_dir)
    claim(new_run(finished, seed=1, dataset="sample"))
    async with dashboard(finished, WIDE) as (app, pilot):
        await until(pilot, lambda: "The test accuracy comes when" in said("result"))
        assert app.screen.query_one("#runs-panel").border_subtitle == "2 runs"
