"""Annexe 1 filled in by keys: marked cell by cell as practice, at the end as the exam, and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from textual.pilot import Pilot

from core.exam.kept_sheets import EXAM_S, Sheets, sheets_file
from core.messages import Problem
from tests.tui_app.driving import NARROW, WIDE, dashboard, shown, until
from tui_app import i18n
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.annexe_screen import AnnexeScreen


async def open_sheet(app: MnistTui, pilot: Pilot[int]) -> AnnexeScreen:
    """Open the sheet of RN_1 from the dashboard."""
    await pilot.press("shift+f1", "f8")
    await until(pilot, lambda: isinstance(app.screen, AnnexeScreen) and "flatten" in shown(app))
    assert isinstance(app.screen, AnnexeScreen)
    return app.screen


async def write(pilot: Pilot[int], text: str, then: str = "enter") -> None:
    await pilot.press(*("space" if char == " " else char for char in text), then)
    await pilot.pause()


def row(app: MnistTui, layer: str) -> str:
    return next((line for line in shown(app).splitlines() if line.strip().startswith(f"{layer} ")), "")


@pytest.mark.parametrize("size", [NARROW, pytest.param(WIDE, marks=pytest.mark.alike)])
async def test_a_cell_is_marked_as_it_is_written_with_its_mistake_named(tmp_path: Path, size: tuple[int, int]) -> None:
    async with dashboard(tmp_path, size) as (app, pilot):
        await open_sheet(app, pilot)
        await write(pilot, "flatten")  # right: the cursor goes on
        await pilot.press("tab", "tab")
        await write(pilot, "0")
        await write(pilot, "lineaire")
        await write(pilot, "784 572", "tab")
        await write(pilot, "572", "tab")
        await write(pilot, "28x28x572")
        assert "✓ flatten" in row(app, "flatten")
        assert "✗ 784 572" in row(app, "fc1")
        assert "✗ 28x28x572" in row(app, "fc1")
        text = " ".join(shown(app).split())
        assert "wrong · the bias is forgotten · a wrong digit: 572 · as in fc1, where it was counted" in text
        assert "5 of 28 points" in text  # 1 + 1 + 1 + 0.5 + 1 for what follows + 0.5


async def test_three_hints_lead_to_the_answer_and_the_key_shows_the_row(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW) as (app, pilot):
        await open_sheet(app, pilot)
        await pilot.press("down", "tab", "tab", "tab")
        await pilot.press("f2")
        await pilot.pause()
        assert "Which numbers of fc1 does the training change?" in shown(app)
        assert "784×512" not in shown(app)
        await pilot.press("f2", "f2")
        await pilot.pause()
        assert "784×512 + 512" in shown(app)
        await pilot.press("f7")
        await pilot.pause()
        assert "784×512 + 512 = 401,920" in shown(app)
        await pilot.press("f6")
        await until(pilot, lambda: "self.fc1 = nn.Linear(28 * 28, 512)" in shown(app))


async def test_every_letter_typed_in_a_burst_lands_in_its_cell(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW) as (app, pilot):
        screen = await open_sheet(app, pilot)
        for text, key in (("flatten", "tab"), ("", "tab"), ("784", "tab"), ("0", "tab"), ("Linear", "tab")):
            for char in text:
                screen._line.post_message(_key(char))
            screen._line.post_message(_key(key))
        await until(pilot, lambda: "Linear" in row(app, "fc1"))
        assert row(app, "flatten").split() == ["flatten", "✓", "flatten", "–", "✓", "784", "✓", "0"]


def _key(name: str):  # type: ignore[no-untyped-def]
    from textual.events import Key

    return Key(name, name if len(name) == 1 else None)


async def test_the_exam_is_marked_when_it_is_handed_in_and_practice_stays(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW) as (app, pilot):
        await open_sheet(app, pilot)
        await write(pilot, "flatten")
        await pilot.press("f4", "right", "enter")
        await until(pilot, lambda: "59 min" in shown(app) or "60 min" in shown(app))
        assert "flatten" not in row(app, "flatten").removeprefix(" flatten ")
        await write(pilot, "flaten")
        await pilot.press("f2")
        await pilot.pause()
        assert "Hint 1" not in shown(app)
        assert "≈" not in row(app, "flatten")
        await pilot.press("f5")
        await until(pilot, lambda: "Hand in? 63 of 64 cells are empty." in " ".join(shown(app).split()))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "handed in" in shown(app))
        assert "≈ flaten" in row(app, "flatten")
        assert "all sheets: 0.23 of 20" in " ".join(shown(app).split())
        await write(pilot, "x")  # nothing is changed any more
        assert "≈ flaten" in row(app, "flatten")
        await pilot.press("f4", "right", "enter")
        await until(pilot, lambda: "practice" in shown(app))
        assert "✓ flatten" in row(app, "flatten")


async def test_time_that_is_up_hands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with dashboard(tmp_path, NARROW, notifications=True) as (app, pilot):
        await open_sheet(app, pilot)
        await pilot.press("f4", "right", "enter")
        await until(pilot, lambda: " min " in shown(app))
        import time

        later = time.time() + EXAM_S + 1
        monkeypatch.setattr("core.exam.kept_sheets.time.time", lambda: later)
        await until(pilot, lambda: "Time is up" in shown(app))
        assert "handed in" in shown(app)


async def test_what_was_written_is_there_again_in_french(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW) as (app, pilot):
        await open_sheet(app, pilot)
        await write(pilot, "aplatissement", "tab")
        await pilot.press("f3")
        await until(pilot, lambda: "conv1" in shown(app))
        await write(pilot, "convolution")
        await pilot.press("escape")
    i18n.use("fr")
    try:
        async with dashboard(tmp_path, NARROW) as (app, pilot):
            await open_sheet(app, pilot)
            assert "✓ aplatissem" in row(app, "flatten")
            await pilot.press("f3")
            await until(pilot, lambda: "✓ convolution" in shown(app))
            assert "juste" in shown(app)
    finally:
        i18n.use("en")


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"format": 99}', b'{"practice": {"RN_1": [{"type": 5}]}}', b"\xff" * 99]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "annexe.json"
    path.write_bytes(content)
    kept = sheets_file(tmp_path)
    sheets, problem = kept.read()
    assert sheets.practice == {}
    assert problem is not None
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [content]
    kept.write(sheets.begun())
    assert sheets_file(tmp_path).read()[0].is_exam


def test_what_could_not_be_kept_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, other = sheets_file(tmp_path), sheets_file(tmp_path)
    kept.write(Sheets())
    other.write(Sheets().begun())
    assert kept.newest(Sheets()).is_exam  # of another dashboard
    full = Sheets().with_hint("RN_1/fc1/type")

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("core.files.replace", fail)
        with pytest.raises(Problem):
            kept.write(full)
    assert kept.newest(full) == full
    kept.write(full)
    other.write(Sheets())
    assert kept.newest(full) == Sheets()


async def test_a_folder_that_takes_nothing_is_told_and_the_sheet_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("MNIST_TUI_STATE", os.fspath(blocked / "state"))
    async with dashboard(tmp_path / "runs", NARROW, notifications=True) as (app, pilot):
        await open_sheet(app, pilot)
        await write(pilot, "flatten")
        await until(pilot, lambda: "progress" in shown(app))
        assert "✓ flatten" in row(app, "flatten")
