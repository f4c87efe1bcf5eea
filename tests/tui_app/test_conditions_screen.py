"""The screen that tests trained networks under harder conditions, with a real worker."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from textual.widgets import Input

from core.config import RunConfig
from core.data.conditions import Condition
from core.data.distortions import robustness
from core.runs import directory
from core.runs.directory import Run
from core.training.load_trained import Datasets
from core.worker.carry_out import carry_out
from tests.tui_app.test_dashboard import NARROW, WIDE, accuracy_on_show, dashboard, shown, until
from tui_app import i18n
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.conditions_screen import ConditionsScreen


def accuracies(run: Run, *conditions: Condition) -> list[str]:
    """As the table shows them."""
    kept = Datasets(lambda _m: None, lambda _m, _f: None, lambda: False)
    found = robustness(run, conditions, kept, torch.device("cpu"), lambda: None)
    return [i18n.percent(tested.accuracy) for tested in found.tested]


def rows(app: MnistTui) -> dict[str, list[str]]:
    """The table: what stands behind each condition, without the curve beside it."""
    width = app.screen.query_one("#conditions-table").region.right
    found = {}
    for line in shown(app).split("\n"):
        name, *cells = re.split(r"\s{2,}", line[:width].strip())
        found[name] = [cell.replace("\u202f", " ") for cell in cells]
    return found


async def open_screen(app: MnistTui, pilot: Any, *overlaid: str) -> ConditionsScreen:
    await until(pilot, lambda: accuracy_on_show(app) != "–")
    for run_id in overlaid:
        app.screen._toggle_overlay(run_id)  # type: ignore[attr-defined]
    await until(pilot, lambda: all(each.replay.ended for each in app.screen._book.shown))  # type: ignore[attr-defined]
    await pilot.press("shift+f6")
    await until(pilot, lambda: isinstance(app.screen, ConditionsScreen))
    assert isinstance(app.screen, ConditionsScreen)
    return app.screen


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("fr", NARROW)])
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
        screen.query_one("#noise").focus()
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
    folder = Path(shutil.copytree(finished, tmp_path / "runs"))
    net = tmp_path / "my_net.py"
    net.write_text(
        "from torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
    )
    settings: dict[str, Any] = {"dataset": "sample", "epochs": 1, "threads": 1, "seed": 1}
    carry_out(directory.create(folder, RunConfig(model=f"{net}:Net", **settings)), lambda _event: None, lambda: False)
    carry_out(directory.create(folder, RunConfig(model="RN_1", **settings)), lambda _event: None, lambda: True)
    net.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    (folder / "rn2-0002" / "weights.safetensors").write_bytes(b"\0" * 64)
    async with dashboard(folder, NARROW, "rn1-0001") as (app, pilot):
        screen = await open_screen(app, pilot, "rn2-0002", "net-0003", "rn1-0004")
        text = "the weights of run rn2-0002 cannot be read"
        await until(pilot, lambda: not screen.is_waiting and text in shown(app))
        await until(pilot, lambda: "–" not in rows(app).get("shifted by 1 px", "–")[:1])
        assert shown(app).count("rn2-0002 cannot") == 1
        assert "net-0003 has a custom network: mnist-tui conditions net-0003" in shown(app)
        assert "rn1-0004 is not finished" in shown(app)
        assert "SAMPLE: 5,000 images" in shown(app)
    assert not (tmp_path / "sprung").exists()


async def test_without_a_finished_run_it_says_so(tmp_path: Path) -> None:
    app = MnistTui(tmp_path, {"dataset": "sample"})
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("shift+f6")
        await until(pilot, lambda: "no run to test yet" in shown(app))


async def test_leaving_ends_the_tests_and_a_run_starts_at_once(finished: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(finished, tmp_path / "runs"))
    async with dashboard(folder, run_id="rn2-0002") as (app, pilot):
        screen = await open_screen(app, pilot)
        before = app._dashboard._standby
        assert before is not None
        assert screen.is_waiting
        await pilot.press("escape")
        await until(pilot, lambda: before.process.poll() is not None)
        await pilot.press("f5")
        await until(pilot, lambda: "Result of rn1-0003" in shown(app) and accuracy_on_show(app) != "–")


async def test_a_worker_that_is_killed_is_replaced_when_asked(finished: Path) -> None:
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        screen = await open_screen(app, pilot)
        assert app._dashboard._standby is not None
        app._dashboard._standby.process.kill()
        await until(pilot, lambda: "stopped; F5 continues" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: not screen.is_waiting and rows(app)["noise 0.5"] != ["–"])


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_screens_beside_the_dashboard_offer_their_own_keys(size: tuple[int, int], finished: Path) -> None:
    async with dashboard(finished, size, "rn1-0001") as (app, pilot):
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
            await pilot.press("ctrl+t", "f9", "f1")
            await until(pilot, lambda: "Back to the dashboard" in shown(app))
            assert "Start a run" not in shown(app)
            await pilot.press("escape", "escape")
            await until(pilot, lambda: "F5 Train" in shown(app).splitlines()[-1])
            assert directory.Listing(finished).read() == before
