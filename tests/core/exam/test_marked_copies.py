"""Copies against the teacher's networks: which is meant, which rows, and how often each mistake was made."""

from __future__ import annotations

import pytest

from core.exam import copies, marked_copies
from core.exam.examined import Examined
from core.exam.marked_copies import CountedCell, MarkedCopy
from core.messages import Problem
from tests.core.exam import copies_written
from tests.core.exam.copies_written import HANDWRITTEN, RN_1

ONLY_RN_1 = ("RN_1",)


def marked(text: str, models: tuple[str, ...] = (), seed: int | None = None) -> MarkedCopy:
    return marked_copies.mark_copy("copy.md", copies.parse(text), Examined(models, seed))


def test_a_copy_without_mistakes_has_full_marks() -> None:
    copy = marked(copies_written.markdown(RN_1), ONLY_RN_1)
    assert [mark for mark in copy.sheets[0].marks if mark.state != "right"] == []
    assert (copy.mark, copy.student, copy.remarks) == (20, "Dupont", ())


@pytest.mark.parametrize("network", ["RN_1", "rn 1", "Réseau de neurones n°1 (RN 1)", "Network 1", "Notes", ""])
def test_ways_to_name_a_network(network: str) -> None:
    """Where it is not named, the layers tell it."""
    assert [sheet.model for sheet in marked(copies_written.markdown(RN_1, network=network)).sheets] == ["RN_1", "RN_2"]


def test_rows_go_by_their_names_and_those_left_out_are_empty() -> None:
    rows = {"FC 4": RN_1["fc4"], "Relu1": RN_1["relu1"], "fc9": ("linear", "", "1", "2")}
    copy = marked(copies_written.markdown(rows) + "| fc4 | convolution | | 3 | |\n", ONLY_RN_1)
    states = {(mark.layer, mark.column): mark.state for mark in copy.sheets[0].marks}
    assert {state for (layer, _column), state in states.items() if layer in ("fc4", "relu1")} == {"right"}
    assert states["fc1", "type"] == states["fc2", "parameters"] == "empty"
    assert [str(remark) for remark in copy.remarks] == [
        "there is no row fc9 in the table of this network",
        "the row fc4 is there twice: the first is marked",
    ]


def test_a_network_that_is_missing_counts_as_empty() -> None:
    copy = marked(copies_written.markdown(RN_1))
    second = copy.sheets[1]
    assert (second.points, {mark.state for mark in second.marks if mark.out_of}) == (0, {"empty"})
    assert copy.points == copy.sheets[0].points > 0
    assert [str(remark) for remark in copy.remarks] == ["RN_2 is not in the copy: its cells count as empty"]


def test_networks_that_are_not_asked_for() -> None:
    text = copies_written.markdown(RN_1) + "\n## RN_7\n\n" + copies_written.table(RN_1)
    assert [str(each) for each in marked(text, ONLY_RN_1).remarks] == [
        "RN_7 is not among the networks that are marked here"
    ]
    with pytest.raises(Problem, match="is not among"):
        marked(copies_written.markdown(RN_1, network="evil.py:Net"))
    with pytest.raises(Problem, match="is not among"):
        marked(copies_written.markdown(RN_1, network="exercise 3-01"), seed=4)
    with pytest.raises(Problem, match="is not among"):
        marked(copies_written.markdown(RN_1, network="Exercise 999999999999-1"))


def test_an_exercise_is_regenerated_from_its_name() -> None:
    rows = {"conv1": ("convolution", "1→32, 5×5, padding 2", "32×28×28", "1×32×5×5 + 32 = 832")}
    for seed in (None, 3):
        (sheet,) = marked(copies_written.markdown(rows, network="exercise 3-01"), seed=seed).sheets
        assert (sheet.model, [mark.state for mark in sheet.marks[:4]]) == ("exercise 3-01", ["right"] * 4)


def exercise_tables(*labels: str) -> str:
    """Return tables of exercises, each with a row of the right answers of `exercise 3-01`."""
    rows = {"conv1": ("convolution", "1→32, 5×5, padding 2", "32×28×28", "1×32×5×5 + 32 = 832")}
    return "".join(f"\n## {label}\n\n{copies_written.table(rows)}" for label in labels)


@pytest.mark.parametrize("models", [(), ONLY_RN_1])
def test_exercises_that_nobody_set_raise_no_mark(models: tuple[str, ...]) -> None:
    sheet = copies_written.markdown(RN_1)
    copy = marked(sheet + exercise_tables("exercise 3-01", "exercise 3-02"), models)
    assert copy.sheets == marked(sheet, models).sheets
    assert [str(remark) for remark in copy.remarks][:2] == [
        "exercise 3-01 is not marked: here exercises count only with --seed",
        "exercise 3-02 is not marked: here exercises count only with --seed",
    ]


@pytest.mark.parametrize(
    ("labels", "models"), [(("exercise 3-01", "exercise 3-02"), ()), (("exercise 3-01",), ONLY_RN_1)]
)
def test_a_copy_of_nothing_but_such_exercises_is_not_marked(labels: tuple[str, ...], models: tuple[str, ...]) -> None:
    with pytest.raises(Problem, match="count only with --seed"):
        marked("Name: Dupont\n" + exercise_tables(*labels), models)


def test_with_a_seed_its_exercises_count_and_no_others() -> None:
    text = copies_written.markdown(RN_1) + exercise_tables("exercise 3-01", "exercise 4-01")
    copy = marked(text, ONLY_RN_1, seed=3)
    assert [(sheet.model, sheet.points > 0) for sheet in copy.sheets] == [("RN_1", True), ("exercise 3-01", True)]
    assert [str(each) for each in copy.remarks] == ["exercise 4-01 is not among the networks that are marked here"]


@pytest.mark.parametrize("again", ["RN_1", "Network 1"])
def test_of_the_same_network_twice_the_first_counts(again: str) -> None:
    empty = dict.fromkeys(RN_1, ("", "", "", ""))
    copy = marked(copies_written.markdown(empty) + f"\n## {again}\n\n" + copies_written.table(RN_1), ONLY_RN_1)
    assert copy.points == 0
    assert all("is there twice: the first" in str(each) for each in copy.remarks)
    assert copy.remarks


def test_the_exam_s_own_copy() -> None:
    copy = marked(HANDWRITTEN)
    found = {
        (sheet.model, mark.layer, mark.column): {reason.kind for reason in mark.reasons}
        for sheet in copy.sheets
        for mark in sheet.marks
    }
    assert found["RN_1", "fc1", "parameters"] == {"bias_forgotten", "slip"}
    assert found["RN_2", "conv1", "output"] == {"channels_alone"}


def test_mistakes_are_counted_once_where_they_were_made() -> None:
    twice = {**RN_1, "fc1": ("linear", "784→512", "512", "784x512"), "fc2": ("linear", "", "256", "512×256")}
    once = {**RN_1, "fc1": ("linear", "784→572", "572", "784×572+572")}
    counted = marked_copies.count_mistakes([marked(copies_written.markdown(rows), ONLY_RN_1) for rows in (twice, once)])
    assert [(each.kind, each.times, each.copies) for each in counted] == [
        ("bias_forgotten", 2, 1),
        ("slip", 1, 1),
        ("empty", 1, 1),
    ]
    assert counted[0].cells == (
        CountedCell("RN_1", "fc1", "parameters", 1),
        CountedCell("RN_1", "fc2", "parameters", 1),
    )
