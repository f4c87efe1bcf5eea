"""The texts of the fourteen questions, the numbers in them, and what guesses are held against."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.config import Architecture
from core.exam import evidence, facts, guesses, questions
from core.exam.evidence import Evidence, SeenRun
from core.exam.questions import Question
from core.runs import directory
from tests.core.comparing.finished_runs import config_of, finished
from tests.tui_app import recorded

EXAM = ["I.1", "I.2", "I.3", "I.4", "I.5", "I.6", "I.7", "II.1", "II.2", "II.3", "II.4", "II.5", "II.6", "II.7"]


def shape(question: Question) -> tuple[object, ...]:
    """Return what is the same in every language."""
    asked = [(guess.id, [choice.key for choice in guess.choices]) for guess in question.guesses]
    return question.id, bool(question.mended), asked, sorted(places(question))


def places(question: Question) -> set[str]:
    prompts = " ".join(guess.prompt for guess in question.guesses)
    return set(re.findall(r"\{(\w+)\}", f"{question.text} {question.look_for} {question.answer} {prompts}"))


def test_the_fourteen_questions_are_there_in_both_languages() -> None:
    assert [question.id for question in questions.load("fr")] == EXAM == list(questions.IDS)
    assert list(map(shape, questions.load("en"))) == list(map(shape, questions.load("fr")))
    assert questions.load("xx") == questions.load("en")
    for language in ("en", "fr"):
        for question in questions.load(language):
            assert all((question.text, question.look_for, question.answer, question.guesses)), question.id


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_number_in_the_texts_is_known(language: str) -> None:
    known = {*facts.facts(), "subject", "pair"}
    for question in questions.load(language):
        assert places(question) <= known, question.id


@pytest.mark.parametrize("path", sorted(Path(questions.__file__).with_name("question_texts").glob("*.toml")))
def test_the_files_of_texts_are_evenly_wrapped(path: Path) -> None:
    assert [line for line in path.read_text(encoding="utf-8").splitlines() if len(line) > 120] == []


def test_french_texts_have_their_narrow_spaces() -> None:
    for question in questions.load("fr"):
        text = "\n".join(
            (question.text, question.look_for, question.answer, *(each.prompt for each in question.guesses))
        )
        assert not re.findall(r"\w [:;?!»%]|« |\d \d{3}\b", text), question.id


def test_numbers_are_those_of_the_networks() -> None:
    """A smaller network's number is that of its table, which torch has counted."""
    half = recorded.layer_tables()[Architecture(model="RN_2", dropout=0.5, width=0.5)]
    known = facts.facts()
    assert known["half_total"] == half.total
    assert (known["rn1_macs"], known["rn2_macs"]) == (566_528, 4_241_152)  # as a run's events tell them
    assert (known["batches"], known["last_batch"], known["steps"]) == (938, 32, 4690)
    reference = (Path(__file__).parents[3] / "docs" / "EXAM.md").read_text(encoding="utf-8")
    assert f"{known['ref_errors_1']} ± {known['ref_spread_1']} | {known['ref_errors_2']} ±" in reference


@pytest.mark.parametrize("guess", [guess for question in questions.load("en") for guess in question.guesses])
def test_every_guess_has_a_truth_that_can_be_met(guess: questions.Guess) -> None:
    truth = guesses.truth(guess.id, Evidence())
    if guess.choices:
        assert [guesses.judge(choice.key, truth) for choice in guess.choices].count(True) == 1
    else:
        value = "x".join(map(str, truth.value)) if isinstance(truth.value, tuple) else f"{truth.value}"
        assert guesses.judge(value, truth)
        assert guesses.judge("no idea", truth) is None
        assert guesses.judge("123456789", truth) is False


# Guesses as people write them


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "401920",
            "401 920",
            "401\u202f920",
            "401,920",
            "401.920",
            "401'920",
            "784×512 + 512",
            "784x512+512 = 401 920",
        ),
        *("28²*512+512", "28^2*512 + 512", "512*(784+1)", "(28·28 + 1)·512", "784*512 = 401408 + 512 = 401920"),
    ],
)
def test_a_count_is_read_however_it_is_written(typed: str) -> None:
    assert guesses.judge(typed, guesses.truth("rn1_fc1", Evidence()))


@pytest.mark.parametrize(
    "typed", ["401408", "784x512", "512", "-401920", "4019200", "784×512 + 512 = 401408", "784×512 = 401920"]
)
def test_another_count_is_a_miss(typed: str) -> None:
    assert guesses.judge(typed, guesses.truth("rn1_fc1", Evidence())) is False


@pytest.mark.parametrize(
    ("guess_id", "typed", "said"),
    [
        ("rn1_fc1", "784x512", ["the bias is forgotten"]),
        ("rn2_conv2", "32*64*3*3", ["the bias is forgotten"]),
        ("rn2_conv2", "64·3·3 + 64", ["the input channels are forgotten"]),
        ("rn2_conv2", "7", []),
        ("steps", "938", []),
    ],
)
def test_a_wrong_count_is_told_its_mistake(guess_id: str, typed: str, said: list[str]) -> None:
    assert [str(each) for each in guesses.mistakes(guess_id, typed)] == said


@pytest.mark.parametrize("typed", ["2.303", "2,303", "2,30", "2.3", "ln 10", "log(10)", "−log(1/10)", "-ln 0,1"])
def test_a_loss_is_read_however_it_is_written(typed: str) -> None:
    assert guesses.judge(typed, guesses.truth("know_nothing", Evidence()))


@pytest.mark.parametrize(
    ("typed", "is_right"),
    [
        ("14", True),
        ("14×14", True),
        ("32 14 14", True),
        ("(32,14,14)", True),
        ("14x14x32", True),
        ("14 14 32", True),
        ("(14,14,32)", True),
        ("(1, 32, 14, 14)", True),
        ("32×14×14 = 6272", True),
        ("14²", True),
        ("28/2", True),
        ("32×14×14 = 6273", False),
        ("32", False),
        ("28x28", False),
        ("32x28x28", False),
        ("", None),
    ],
)
def test_a_size_is_read_however_it_is_written(typed: str, is_right: bool | None) -> None:
    assert guesses.judge(typed, guesses.truth("pool1_size", Evidence())) is is_right


@pytest.mark.parametrize(
    ("guess_id", "typed", "is_right"),
    [
        ("batches", "60000/64", False),  # 937.5
        ("batches", "60 000 / 64 = 937,5", False),
        ("batches", "60000/64 = 937.5 = 938", True),
        ("batches", "60000/64 ≈ 938", True),
        ("batches", "60000/64 = 940", False),
        ("batches", "⌈60000/64⌉", True),
        ("batches", "(60000 - 32)/64 + 1", True),
        ("batches", "60000//64 + 1", True),
        ("batches", "1/0", None),
        ("last_batch", "60000-937*64", True),
        ("steps", "5*⌈60000/64⌉", True),
        ("steps", "5·60000/64", False),
        ("margin", "226 - 93", True),
        ("first_loss", "1/4", True),
        ("first_loss", "0.226", True),
        ("first_loss", "226", False),
        ("know_nothing", "-log(1/10) = ln 10 ≈ 2,303", True),
        ("know_nothing", "23/10", True),
        ("know_nothing", "-log(10)", False),
    ],
)
def test_sums_are_worked_out(guess_id: str, typed: str, is_right: bool | None) -> None:
    assert guesses.judge(typed, guesses.truth(guess_id, Evidence())) is is_right


@pytest.mark.parametrize("typed", ["9" * 4000, "1e400", "x" * 99, "+", "--2", "2 +", "=", "1x", "٣", "\0"])
def test_no_guess_breaks_it(typed: str) -> None:
    for guess_id in ("rn1_fc1", "pool1_size", "winner"):
        assert guesses.judge(typed, guesses.truth(guess_id, Evidence())) is not True


# What the user's runs have shown


def seen(model: str, errors: int, total: int = 1000) -> SeenRun:
    return SeenRun(f"{model}-run", model, "sample", errors, total, 0.75)


def test_the_users_runs_decide_where_they_can() -> None:
    decisive = Evidence({"RN_1": seen("RN_1", 93), "RN_2": seen("RN_2", 52)}, are_alike=True)
    truth = guesses.truth("margin", decisive)
    assert (truth.value, truth.source.values["run"]) == (410, "RN_1-run")
    assert [guesses.judge(typed, truth) for typed in ("205", "820", "200", "830")] == [True, True, False, False]
    assert guesses.truth("winner", decisive).value == "RN_2"
    assert guesses.truth("first_loss", decisive).value == 0.75


@pytest.mark.parametrize(
    "undecided",
    [
        Evidence({"RN_1": seen("RN_1", 50), "RN_2": seen("RN_2", 52)}, are_alike=True),
        Evidence({"RN_1": seen("RN_1", 52), "RN_2": seen("RN_2", 93)}, are_alike=False),
        Evidence({"RN_2": seen("RN_2", 93)}),
    ],
)
def test_what_was_measured_before_counts_where_the_users_runs_decide_nothing(undecided: Evidence) -> None:
    assert guesses.truth("winner", undecided).value == "RN_2"
    assert guesses.truth("margin", undecided).value == 226 - 93


def test_evidence_is_the_newest_runs_that_are_alike(tmp_path: Path) -> None:
    for model, seed, wrong, settings in (
        ("RN_1", 0, 80, {}),
        ("RN_2", 0, 40, {}),
        ("RN_2", 1, 30, {}),
        ("RN_2", 2, 20, {"epochs": 9}),
        ("RN_2", 2, 10, {"dropout": 0.3}),
        ("RN_1", 2, 10, {"permute": True}),
    ):
        finished(tmp_path, config_of(model, seed, **settings), range(wrong))
    found = gathered(tmp_path)
    assert {run.model: run.errors for run in found.runs.values()} == {"RN_1": 80, "RN_2": 30}
    assert found.pair is not None
    assert found.is_decisive


def test_runs_that_are_not_alike_are_evidence_each_for_itself(tmp_path: Path) -> None:
    finished(tmp_path, config_of("RN_1", 0), range(80))
    finished(tmp_path, config_of("RN_2", 0, epochs=9), range(40))
    found = gathered(tmp_path)
    assert set(found.runs) == {"RN_1", "RN_2"}
    assert found.pair is None


def test_places_show_runs_of_digits_and_two_of_the_same_images(tmp_path: Path) -> None:
    for model, dataset in (("RN_1", "mnist"), ("RN_2", "mnist"), ("RN_1", "fashion-mnist"), ("RN_2", "sample")):
        finished(tmp_path, config_of(model, 0), range(9), dataset=dataset)
    runs = directory.Listing(tmp_path).read()
    pair, alone = questions.PLACES["I.5"][0], questions.PLACES["II.6"][1]
    assert evidence.runs_for(pair, runs) == ["rn1-0001", "rn2-0002"]
    assert evidence.runs_for(alone, runs) == ["rn1-0001"]
    assert evidence.runs_for(pair, runs[1:3]) == ["rn2-0002"]


def gathered(folder: Path) -> Evidence:
    run_ids, are_alike = evidence.chosen(directory.Listing(folder).read())
    return evidence.gather(run_ids, [directory.Run(folder / each) for each in run_ids.values()], are_alike=are_alike)
