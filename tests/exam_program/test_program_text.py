"""The exam's program as text: what was mended, its stages, and its prepared changes."""

from __future__ import annotations

import ast

import pytest

from core.exam.program import CHANGES, MENDS, diff, line_of, printed, program, stage_of, stages, statements


def test_the_program_fits_in_70_columns_and_the_printed_one_is_no_python() -> None:
    assert max(map(len, program().splitlines())) <= 70
    ast.parse(program())
    with pytest.raises(SyntaxError):
        ast.parse(printed())


def test_the_printed_program_has_the_exam_s_four_errors_and_no_other_difference() -> None:
    places = diff(printed(), program(), around=0)
    removed = [line.text.strip() for place in places for line in place if line.sign == "-"]
    assert removed == [
        "super(MLP, self).__init__()",
        "super(CNN, self).__init__()",
        "transforms.Normalize((0, 1307.), (0.3081,))])",
        ".. predicted = torch.max(outputs, 1)",
    ]
    assert len(MENDS) == len(places)


def test_the_network_that_is_trained_is_one_line() -> None:
    [place] = diff(program("RN_1"), program("RN_2"), around=0)
    assert [(line.sign, line.text) for line in place] == [
        ("-", "model = RN_1().to(device)"),
        ("+", "model = RN_2().to(device)"),
    ]


def test_every_line_is_in_one_stage() -> None:
    source = program()
    parts = stages(source)
    covered = [line for part in parts for line in range(part.first, part.last + 1)]
    assert covered == list(range(1, source.count("\n") + 1))
    for start, stage in (("train_loader", 1), ("loss.backward", 2), ("correct +=", 3)):
        line = line_of(source, start, stage)
        assert source.split("\n")[line - 1].strip().startswith(start)
        assert stage_of(source, line).number == stage


def test_a_statement_of_several_lines_is_one() -> None:
    source = program()
    found = statements(source)
    first = line_of(source, "train_dataset", 1)
    assert found.of_line[first + 1] == first
    assert found.names[first] == ("train_dataset",)
    assert sorted(found.loaders.values()) == ["test_loader", "train_loader"]


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_every_change_is_one_place_of_python(model: str) -> None:
    assert [each.name for each in CHANGES] == ["lr", "batch_size", "zero_grad", "eval", "shuffle"]
    for each in CHANGES:
        original, changed = each.sources(model)
        ast.parse(changed)
        [place] = diff(original, changed, around=0)
        assert len([line for line in place if line.sign == "-"]) == 1
        assert f"model = {model}()" in changed
