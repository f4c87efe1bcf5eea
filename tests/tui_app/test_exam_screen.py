"""The fourteen questions on the screen: guessed, seen, answered, kept, and asked again where they were missed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Select

from core.exam import guesses
from core.exam.evidence import Evidence
from core.exam.progress import FILE, Answered, Guessed, progress_file
from core.exam.questions import PLACES
from core.runs import directory
from core.runs.directory import Run
from tests.tui_app.driving import NARROW, WIDE, dashboard, hard_to_read, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import i18n, question_text
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.annexe_screen import AnnexeScreen
from tui_app.dashboard.screens.compare_screen import CompareScreen
from tui_app.dashboard.screens.conditions_screen import ConditionsScreen
from tui_app.dashboard.screens.digits_screen import DigitsScreen
from tui_app.dashboard.screens.exam_screen import ExamScreen
from tui_app.dashboard.screens.inside_screen import InsideScreen
from tui_app.dashboard.screens.layers_screen import LayersScreen
from tui_app.dashboard.screens.program_screen import ProgramScreen

IDS = [question.id for question in question_text.all_questions()]


async def open_exam(app: MnistTui, pilot: Pilot[int], runs: int = 2) -> ExamScreen:
    """Open the questions once the folder of runs is read."""
    await until(pilot, lambda: len(app.screen._book.summaries) == runs)  # type: ignore[attr-defined]
    await pilot.press("shift+f1")
    await until(pilot, lambda: isinstance(app.screen, ExamScreen) and "I.1  " in shown(app))
    screen = app.screen
    assert isinstance(screen, ExamScreen)
    return screen


async def go_to(app: MnistTui, pilot: Pilot[int], question_id: str) -> None:
    while f" {question_id}  " not in shown(app):
        await pilot.press("ctrl+right")
        await pilot.pause()


async def back_to(exam: ExamScreen, app: MnistTui, pilot: Pilot[int]) -> None:
    while app.screen is not exam:
        await pilot.press("escape")
        await pilot.pause()


async def enter(pilot: Pilot[int], typed: str) -> None:
    await pilot.press(*("full_stop" if char == "." else "space" if char == " " else char for char in typed), "enter")
    await pilot.pause()


def the_map(app: MnistTui) -> str:
    return " ".join(line[:42] for line in shown(app).splitlines()[1:3])


def spaced(text: str) -> str:
    return " ".join(text.replace("\u202f", " ").split())


# A question, from its guess to its answer


@pytest.mark.parametrize(
    ("size", "language"), [(NARROW, "fr"), pytest.param(WIDE, "en", marks=pytest.mark.alike)], indirect=["language"]
)
async def test_a_whole_question(size: tuple[int, int], language: str, finished: Path, tmp_path: Path) -> None:
    """Guessed, one number wrong, seen, answered, and kept for the next time."""
    question = question_text.all_questions()[0]
    async with dashboard(finished, size) as (app, pilot):
        await open_exam(app, pilot)
        assert spaced(question.text) in spaced(shown(app))
        assert question.guesses[0].prompt.split()[0] in shown(app)
        await enter(pilot, "512")
        await enter(pilot, "18 496")
        assert "401" not in shown(app)  # nothing is told before it is seen
        assert spaced(question.look_for) in spaced(shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LayersScreen))
        await until(pilot, lambda: f"784×512 + 512 = {spaced(i18n.number(401_920))}" in spaced(shown(app)))
        await pilot.press("escape")
        await until(
            pilot, lambda: isinstance(app.screen, ExamScreen) and "✗ " + question.guesses[0].prompt[:20] in shown(app)
        )
        text = spaced(shown(app))
        assert f"✓ {spaced(question.guesses[1].prompt)}" in text
        assert spaced(i18n.number(401_920)) in text
        assert "1 ✗" in the_map(app)
        if size == WIDE:
            assert f"784×512 + 512 = {spaced(i18n.number(401_920))}" in text
            assert not list(hard_to_read(app))
    kept, problem = progress_file(tmp_path / "state").read()
    assert (problem, kept.standing(question)) == (None, "missed")


def test_the_answer_about_the_tables_names_each_layers_settings() -> None:
    answer = question_text.filled(question_text.all_questions()[0].answer)
    assert "conv2    32→64, 3×3, p 1  64×14×14  32×64×3×3 + 64 = 18,496" in answer
    assert "Layer    Settings           Output  Parameters" in answer


def test_what_needs_no_looking_is_not_called_seen() -> None:
    guess = question_text.all_questions()[6].guesses[0]
    missed = Guessed("share", is_right=False, against=guesses.truth(guess.id, Evidence()))
    assert question_text.verdict_line(guess, missed).endswith("· answer: nothing (by definition)")


async def test_progress_is_there_again_the_next_time(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        await open_exam(app, pilot)
        await enter(pilot, "784x512+512")
        await enter(pilot, "18.496")
        await pilot.press("s", "escape", "enter")
        await until(pilot, lambda: " I.2  " in shown(app))
    async with dashboard(finished, NARROW) as (app, pilot):
        await until(pilot, lambda: "rn2-0002" in shown(app) or bool(app.screen._book.summaries))  # type: ignore[attr-defined]
        await pilot.press("g")
        await until(pilot, lambda: " I.2  " in shown(app))
        assert "1 ✓  2 ·" in the_map(app)


async def test_choices_are_made_with_the_arrows_and_what_is_no_number_is_asked_again(finished: Path) -> None:
    async with dashboard(finished, NARROW, notifications=True) as (app, pilot):
        await open_exam(app, pilot)
        await enter(pilot, "+")
        await until(pilot, lambda: "not read as a number" in shown(app))
        assert "your guess" not in shown(app)
        await go_to(app, pilot, "I.6")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: "your guess: fc1" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, LayersScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "6 ✓" in the_map(app))
        assert "95.23% of the parameters" in spaced(shown(app))


async def test_letters_are_typed_not_commands(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        exam = await open_exam(app, pilot)
        await go_to(app, pilot, "II.3")
        await pilot.press(*"strap", *["backspace"] * 5, *"ln", "space", *"10")
        assert (app.screen, exam.query_one("#exam-number", Input).value) == (exam, "ln 10")
        assert "F5 Show me" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "your guess: ln 10" in shown(app))
        assert "s Show me" in shown(app)


async def test_what_is_typed_is_judged_before_the_answer_is_shown(finished: Path) -> None:
    async with dashboard(finished, NARROW, notifications=True) as (app, pilot):
        exam = await open_exam(app, pilot)
        await go_to(app, pilot, "I.4")
        await pilot.press(*"idea", "f5")
        await until(pilot, lambda: "not read as a number" in shown(app))
        assert app.screen is exam
        await pilot.press(*["backspace"] * 4, *"14", "f5")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await back_to(exam, app, pilot)
        await until(pilot, lambda: "4 ✓" in the_map(app))


async def test_pages_scroll_a_long_answer_and_arrows_turn(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        exam = await open_exam(app, pilot)
        await pilot.press("right")  # the field is empty
        await until(pilot, lambda: " I.2  " in shown(app))
        await pilot.press("9", "right")
        assert exam.question.id == "I.2"
        await pilot.press("left", "backspace", "delete", "f5")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await back_to(exam, app, pilot)
        await until(pilot, lambda: "(1 of 2 seen)" in spaced(shown(app)))
        assert "○ Inside rn2-0002: conv1 · Inside rn1-0001: fc1" in spaced(shown(app))
        await pilot.press("pagedown")
        await until(pilot, lambda: " I.2  " not in shown(app))
        assert exam.question.id == "I.2"
        for _page in range(9):
            await pilot.press("pagedown")
            await pilot.pause()
            if exam.question.id != "I.2":
                break
        assert exam.question.id == "I.3"
    async with dashboard(finished, NARROW) as (app, pilot):
        await until(pilot, lambda: len(app.screen._book.summaries) == 2)  # type: ignore[attr-defined]
        await pilot.press("g")
        await until(pilot, lambda: " I.3  " in shown(app))


# Where the answers are seen


SCREENS: dict[str, list[type[Any]]] = {
    "I.1": [LayersScreen, LayersScreen],
    "I.2": [InsideScreen, InsideScreen],
    "I.3": [InsideScreen],
    "I.4": [InsideScreen],
    "I.5": [ConditionsScreen, CompareScreen],
    "I.6": [LayersScreen, CompareScreen],
    "II.1": [ProgramScreen],
    "II.2": [ProgramScreen, InsideScreen],
    "II.3": [InsideScreen],
    "II.4": [ProgramScreen],
    "II.5": [ProgramScreen],
    "II.6": [ProgramScreen, DigitsScreen],
    "II.7": [CompareScreen],
}


async def test_each_question_opens_its_screens(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        exam = await open_exam(app, pilot)
        for question_id, screens in SCREENS.items():
            await go_to(app, pilot, question_id)
            for screen in screens:
                await pilot.press("f5")
                await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
                await back_to(exam, app, pilot)
            assert exam._progress.of(question_id).is_seen


async def test_the_sheet_and_the_program_are_a_key_away(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        exam = await open_exam(app, pilot)
        for keys, screen in ((["f8"], AnnexeScreen), (["f9"], ProgramScreen), (["tab", "a"], AnnexeScreen)):
            await pilot.press(*keys)
            await until(pilot, lambda screen=screen: isinstance(app.screen, screen))  # type: ignore[misc]
            await back_to(exam, app, pilot)


async def test_a_run_that_is_needed_is_trained(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    async with dashboard(runs, NARROW, workers=FakeWorkers()) as (app, pilot):
        exam = await open_exam(app, pilot, runs=0)
        await go_to(app, pilot, "I.3")
        await enter(pilot, "0")
        await enter(pilot, "3")
        assert "No trained RN_2 yet: t trains one." in spaced(shown(app))
        await go_to(app, pilot, "I.4")
        await pilot.press("1", "f6")
        await until(pilot, lambda: [summary.state for summary in directory.Listing(runs).read()] == ["done"])
        await until(pilot, lambda: exam._places.runs_for(PLACES["I.4"][0]) == ["rn2-0001"])
        await enter(pilot, "4")  # what was typed before is still there
        await until(pilot, lambda: "your guess: 14" in shown(app))
        await until(pilot, lambda: "s shows you: Inside rn2-0001: pool1" in shown(app))
        assert Run(runs / "rn2-0001").config().model == "RN_2"
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))


async def test_values_of_a_run_need_one_and_a_reference_is_called_one(tmp_path: Path) -> None:
    async with dashboard(tmp_path / "runs", NARROW) as (app, pilot):
        exam = await open_exam(app, pilot, runs=0)
        await go_to(app, pilot, "II.4")
        await pilot.press("down", "enter")
        await enter(pilot, "9")
        assert "No trained RN_1 yet: t trains one." in spaced(shown(app))
        await pilot.press("s")
        assert app.screen is exam
        await pilot.press("enter")
        await until(pilot, lambda: "reference: 0.2258" in shown(app))


async def test_the_program_is_shown_beside_a_finished_run(finished: Path) -> None:
    async with dashboard(finished, WIDE, run_id="rn2-0002") as (app, pilot):
        await open_exam(app, pilot)
        await go_to(app, pilot, "II.6")
        await pilot.press("enter")
        await until(pilot, lambda: "the program beside rn1-0001" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ProgramScreen) and "rn1-0001" in shown(app))
        await until(pilot, lambda: "epoch 2/2" in shown(app))
        app.screen.query_one("#program-source").scroll_end(animate=False)
        await until(pilot, lambda: any("correct +=" in line and "910" in line for line in shown(app).splitlines()))


async def test_a_batch_is_shown_where_the_program_is_executed(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        await open_exam(app, pilot)
        await go_to(app, pilot, "II.2")
        await pilot.press("f5")
        await until(pilot, lambda: isinstance(app.screen, ProgramScreen) and app.screen.has_class("-steps"))


async def test_a_verdict_names_the_runs_that_it_was_held_against(finished: Path) -> None:
    async with dashboard(finished, WIDE) as (app, pilot):
        await open_exam(app, pilot)
        await go_to(app, pilot, "I.5")
        await pilot.press("down", "enter", "9", "f5")
        await until(pilot, lambda: isinstance(app.screen, ConditionsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "seen: 390" in shown(app))
    shutil.rmtree(finished / "rn1-0001")
    async with dashboard(finished, WIDE) as (app, pilot):
        await until(pilot, lambda: len(app.screen._book.summaries) == 1)  # type: ignore[attr-defined]
        await pilot.press("g")
        await until(pilot, lambda: isinstance(app.screen, ExamScreen))
        await go_to(app, pilot, "I.5")
        await until(pilot, lambda: "seen: 390" in shown(app))
        assert "differ (rn1-0001, rn2-0002, SAMPLE)" in spaced(shown(app))


async def test_the_second_run_of_a_pair_is_trained_on_the_images_of_the_first(finished: Path) -> None:
    shutil.rmtree(finished / "rn2-0002")
    async with dashboard(finished, NARROW) as (app, pilot):
        app.screen.query_one("#dataset", Select).value = "fashion-mnist"
        exam = await open_exam(app, pilot, runs=1)
        assert [each.dataset for each in exam._places.missing(PLACES["I.5"][0])] == ["sample"]
        assert [each.dataset for each in exam._places.missing(PLACES["I.3"][0])] == ["auto"]


async def test_dropout_and_batch_normalisation_need_a_run_of_their_own(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        await open_exam(app, pilot)
        await go_to(app, pilot, "I.7")
        await pilot.press("down", "down", "enter", "down", "enter")
        await until(pilot, lambda: "No trained RN_2, dropout 0.3, batch norm yet" in spaced(shown(app)))
        await pilot.press("enter")
        await until(pilot, lambda: "7 ✓" in the_map(app))


async def test_guesses_are_held_against_the_users_own_runs(finished: Path) -> None:
    async with dashboard(finished, WIDE) as (app, pilot):
        await open_exam(app, pilot)
        await go_to(app, pilot, "I.5")
        await pilot.press("down", "enter")
        await enter(pilot, "133")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, ConditionsScreen))
        await pilot.press("escape")
        await until(pilot, lambda: "seen: " in shown(app))
        assert "seen: 390 (rn1-0001: 90 errors in 1,000, rn2-0002: 51)" in spaced(shown(app))


# The end, and what was missed


async def test_what_was_missed_comes_back_until_it_is_right(finished: Path) -> None:
    async with dashboard(finished, NARROW) as (app, pilot):
        exam = await open_exam(app, pilot)
        progress = exam._progress
        for question_id in IDS:
            progress = progress.with_seen(question_id)
        exam._progress = msgspec.structs.replace(progress, answered={**progress.answered, "I.4": Answered()})
        await go_to(app, pilot, "I.4")
        await enter(pilot, "28")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await back_to(exam, app, pilot)
        await until(pilot, lambda: "To guess again: I.4" in shown(app))
        await go_to(app, pilot, "II.7")
        await pilot.press("enter")
        await until(pilot, lambda: " I.4  " in shown(app) and "or the side alone" in shown(app))
        assert "4 ✗" in the_map(app)  # until the new guess is judged
        assert "14 of 14" in shown(app)
        await enter(pilot, "14")
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen))
        await back_to(exam, app, pilot)
        await until(pilot, lambda: "4 ✓" in the_map(app) and "To guess again" not in shown(app))


# The file


async def test_a_damaged_file_is_told_and_set_aside(finished: Path, tmp_path: Path) -> None:
    content = b'{"format":9}'
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE).write_bytes(content)
    async with dashboard(finished, WIDE, notifications=True) as (app, pilot):
        await open_exam(app, pilot)
        await until(pilot, lambda: "anew" in shown(app))
    assert (tmp_path / "state" / "questions.old.json").read_bytes() == content


async def test_a_folder_that_takes_nothing_is_told_once(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MNIST_TUI_STATE", str(tmp_path / "file" / "state"))
    async with dashboard(finished, WIDE, notifications=True) as (app, pilot):
        await open_exam(app, pilot)
        await enter(pilot, "401920")
        await until(pilot, lambda: "kept." in shown(app))
        await enter(pilot, "18496")
        await pilot.press("s", "escape")
        await until(pilot, lambda: "1 ✓" in the_map(app))
        assert shown(app).count("kept.") <= 1


def test_the_state_of_the_tests_is_not_the_users(tmp_path: Path) -> None:
    assert os.environ["MNIST_TUI_STATE"].startswith(str(tmp_path))
