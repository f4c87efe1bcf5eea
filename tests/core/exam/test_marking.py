"""Annexe 1 is marked: what is right in any usual way, and what is wrong with the mistake named."""

from __future__ import annotations

import pytest

from core.exam import feedback
from core.exam.marking import mark_sheet
from core.exam.sheet import COLUMNS, Column
from tests.core.exam.sheets import cell, exam_table, filled_in, kinds, marked_cell

_COPY_OF_RN_1 = """
flatten | appartinement |
fc1 | régrenon linéaire | Entrée: Image 28x28 Sortie: 572 neurones | 572 | 28x28x572
relu1 | activation |
fc2 | régrenon linéaire | Entrée: 572 neurones Sortie: 256 | 256 | 572x256
relu2 | activation |
fc3 | régrenon linéaire | Entrée: 256 neurones Sortie: 128 | 128 | 256x128
relu3 | activation |
fc4 | régrenon linéaire | Entrée: 128 neurones Sortie: 10 classes | 10 | 128x10
"""
_COPY_OF_RN_2 = """
conv1 | convolution | 1 canal d'entrée, 32 filtres, de sortie 32x3x3 | 32 | 1x32x3x3+32= 320
relu1 | activation |
pool1 | max pooling |
conv2 | convolution | Entrée: 32 ; Sortie: 64 filtres 3x3 | 64 | 32x64x3x3+64= 320
relu2 | activation |
pool2 | max pooling |
flatten | appartinement |
fc1 | couché entièrement connecté | Entrée: 64 neurones d'image réduite à 10 classes Sortie: 128 | 128 |64x128+128= 8192
relu3 | activation |
fc2 | couché entièrement connecté | Entrée: 128 neurones Sortie: 10 classes | 10 | 128x10
"""
_WRONG_IN_COPY: dict[str, dict[tuple[str, Column], list[str]]] = {
    "RN_1": {
        ("fc1", "specification"): ["slip"],
        ("fc1", "output"): ["slip"],
        ("fc1", "parameters"): ["bias_forgotten", "slip"],
        ("fc2", "specification"): ["slip"],
        ("fc2", "parameters"): ["bias_forgotten", "slip"],
        ("fc3", "parameters"): ["bias_forgotten"],
        ("fc4", "parameters"): ["bias_forgotten"],
    },
    "RN_2": {
        ("conv1", "output"): ["channels_alone"],
        ("conv2", "output"): ["channels_alone"],
        ("conv2", "parameters"): ["value_wrong"],
        ("fc1", "specification"): ["channels_for_flattened"],
        ("fc1", "parameters"): ["channels_for_flattened", "value_wrong"],
        ("fc2", "parameters"): ["bias_forgotten"],
    },
}


@pytest.mark.parametrize(("model", "copy"), [("RN_1", _COPY_OF_RN_1), ("RN_2", _COPY_OF_RN_2)])
def test_the_student_s_copy_is_marked_each_wrong_cell_by_its_reason(model: str, copy: str) -> None:
    table = exam_table(model)
    marked = mark_sheet(table, filled_in(table, copy))
    wrong = {(mark.layer, mark.column): kinds(mark) for mark in marked.marks if mark.state == "wrong"}
    assert wrong == _WRONG_IN_COPY[model]
    assert not [mark for mark in marked.marks if mark.state == "unreadable"]


def test_a_mistake_that_follows_from_another_cell_is_counted_once() -> None:
    table = exam_table("RN_1")
    marked = mark_sheet(table, filled_in(table, _COPY_OF_RN_1))
    origin = cell(marked, "fc1", "specification")
    assert (origin.reasons[0].carried_from, origin.points) == ("", 0.5)
    for layer, column, points in (("fc1", "output", 1.0), ("fc2", "specification", 1.0), ("fc2", "parameters", 0.5)):
        mark = cell(marked, layer, column)  # type: ignore[arg-type]
        slips = [reason for reason in mark.reasons if reason.kind == "slip"]
        assert [(slip.carried_from, slip.written, slip.expected) for slip in slips] == [("fc1", "572", "512")]
        assert mark.points == points


def test_a_wrong_size_is_carried_through_the_layers_behind_it() -> None:
    table = exam_table("RN_2")
    copy = """
    conv1 | | | 32x28x28
    relu1 | | | 32x28x28
    pool1 | | | 32x15x15
    conv2 | | | 64x15x15
    relu2 | | | 64x15x15
    pool2 | | | 64x7x7
    fc1 | | | | 3136x128+128
    """
    marked = mark_sheet(table, filled_in(table, copy))
    assert [(mark.layer, mark.state) for mark in marked.marks if mark.column == "output" and mark.answer] == [
        *(("conv1", "right"), ("relu1", "right"), ("pool1", "wrong")),
        *(("conv2", "wrong"), ("relu2", "wrong"), ("pool2", "right")),
    ]
    assert cell(marked, "pool1", "output").points == 0
    conv2 = cell(marked, "conv2", "output")
    assert [(reason.kind, reason.carried_from) for reason in conv2.reasons] == [("carried", "pool1")]
    assert conv2.points == 1
    assert cell(marked, "fc1", "parameters").state == "right"


@pytest.mark.parametrize(
    ("layer", "answer", "expected"),
    [
        ("conv2", "32x64x3x3", ["bias_forgotten"]),
        ("conv2", "18432", ["bias_forgotten"]),
        ("conv2", "32x64x3x3+64+64", ["bias_twice"]),
        ("conv2", "32x64x3x3+2x64", []),  # 128 is also the number of fc1's outputs
        ("conv2", "32x64x3x3+32x64x3x3", ["bias_per_weight"]),
        ("conv2", "32x64x3x3+32", ["bias_of_inputs"]),
        ("conv2", "32x64x3+64", ["kernel_side"]),
        ("conv2", "64x3x3+64", ["input_channels_forgotten"]),
        ("conv2", "32x64x3x3x14x14+64", ["image_multiplied"]),
        ("conv2", "(32x64x3x3+64)x14x14", ["image_multiplied"]),
        ("conv2", "1x32x3x3+32", ["other_layer"]),
        ("conv2", "320", ["other_layer"]),
        ("conv2", "32x64x3x3+64 = 18946", ["value_wrong"]),
        ("conv2", "32x46x3x3+64", ["slip"]),
        ("conv2", "64x3x3", ["bias_forgotten", "input_channels_forgotten"]),
        ("fc1", "64x128+128", ["channels_for_flattened"]),
        ("fc1", "64x128", ["bias_forgotten", "channels_for_flattened"]),
        ("fc1", "64x14x14x128+128", ["pool_not_applied"]),
        ("fc1", "49x128+128", ["image_for_flattened"]),
        ("fc1", "3136x128+3136", ["bias_of_inputs"]),
        ("fc2", "1280", []),  # the bias forgotten, or a slip of a digit
        ("fc2", "11", []),
        ("pool1", "320", ["other_layer"]),
    ],
)
def test_the_mistakes_in_a_number_of_parameters_are_named(layer: str, answer: str, expected: list[str]) -> None:
    mark = marked_cell(exam_table("RN_2"), layer, "parameters", answer)
    assert (mark.state, kinds(mark)) == ("wrong", expected)


def test_two_mistakes_in_a_cell_are_both_named() -> None:
    mark = marked_cell(exam_table("RN_1"), "fc1", "parameters", "28x28x572")
    assert kinds(mark) == ["bias_forgotten", "slip"]
    assert mark.points == 0.25


@pytest.mark.parametrize(
    ("layer", "answer", "expected"),
    [
        ("conv1", "32", ["channels_alone"]),
        ("conv1", "28x28", ["image_alone"]),
        ("conv1", "32x26x26", ["padding_forgotten"]),
        ("conv1", "(26, 26, 32)", ["padding_forgotten"]),
        ("pool1", "32x28x28", ["pool_not_applied"]),
        ("pool1", "32x7x7", ["pool_twice"]),
        ("pool1", "32x27x27", ["stride_forgotten"]),
        ("conv2", "64x28x28", ["pool_not_applied"]),
        ("conv2", "32x14x14", ["other_layer"]),
        ("conv2", "64x41x14", ["slip"]),
        ("conv2", "28x28", ["image_alone", "pool_not_applied"]),
        ("flatten", "64", ["channels_for_flattened"]),
        ("flatten", "64x14x14", ["pool_not_applied"]),
        ("flatten", "64x7x7 = 3163", ["value_wrong"]),
        ("fc1", "10", ["other_layer"]),
        ("fc1", "3", []),
    ],
)
def test_the_mistakes_in_a_size_are_named(layer: str, answer: str, expected: list[str]) -> None:
    mark = marked_cell(exam_table("RN_2"), layer, "output", answer)
    assert (mark.state, kinds(mark)) == ("wrong", expected)


@pytest.mark.parametrize(
    ("column", "layer", "answers", "state"),
    [
        (
            "type",
            "conv1",
            ["convolution", "Conv2d", "nn.Conv2d", "Couche de convolution", "convolutional layer"],
            "right",
        ),
        ("type", "fc1", ["linéaire", "Linear", "entièrement connectée", "Fully-connected", "dense"], "right"),
        ("type", "pool1", ["max pooling", "MaxPool2d", "sous-échantillonnage", "max-pooling"], "right"),
        ("type", "relu1", ["ReLU", "activation", "fonction d'activation", "Activation (ReLU)"], "right"),
        ("type", "flatten", ["flatten", "aplatissement", "mise à plat", "APLATISSEMENT"], "right"),
        ("type", "conv1", ["convollution", "konvolution"], "form"),
        ("type", "conv1", ["max pooling", "linéaire", "quelque chose"], "wrong"),
        ("type", "conv1", ["???", "3"], "unreadable"),
        ("specification", "conv1", ["1→32, 3×3, padding 1", "Conv2d(1, 32, kernel_size=3, padding=1)"], "right"),
        ("specification", "conv1", ["1 canal d'entrée, 32 filtres 3x3, marge 1"], "right"),
        ("specification", "conv1", ["1→32, 3×3", "32 filtres 3×3, padding 1"], "form"),
        ("specification", "conv1", ["1→23, 3×3, padding 1", "1→32, 5×5, padding 1", "1→32, 3×3, padding 0"], "wrong"),
        (
            "specification",
            "fc1",
            ["3136→128", "64·7·7 -> 128", "3 136 entrées, 128 sorties", "128 sorties, 3136 entrées"],
            "right",
        ),
        ("specification", "pool1", ["2×2, stride 2", "fenêtre 2x2, pas 2", "2", "kernel_size=2, stride=2"], "right"),
        ("specification", "pool1", ["3×3"], "wrong"),
        ("specification", "relu1", ["", "max(0, x)"], "right"),
        ("specification", "fc1", ["je ne sais pas"], "unreadable"),
        ("output", "conv1", ["32×28×28", "28 28 32", "(32, 28, 28)", "N×32×28×28"], "right"),
        ("output", "conv1", ["25088", "1×32×28×28", "(64, 32, 28, 28)"], "form"),
        ("output", "flatten", ["3136", "3 136", "64×7×7 = 3136"], "right"),
        ("output", "flatten", ["64×7×7", "1×3136"], "form"),
        ("output", "flatten", ["(64, 7, 7)"], "wrong"),
        ("output", "fc1", ["n"], "unreadable"),
        (
            "parameters",
            "conv2",
            ["18496", "18 496", "64x32x9+64", "64(32·9+1)", "64×289", "18432 + 64 = 18496"],
            "right",
        ),
        ("parameters", "pool1", ["0", "–", "aucun", "none"], "right"),
        ("parameters", "pool1", [""], "empty"),
        ("parameters", "fc1", ["many"], "unreadable"),
    ],
)
def test_answers_are_read_in_any_usual_way(column: Column, layer: str, answers: list[str], state: str) -> None:
    table = exam_table("RN_2")
    assert {answer: marked_cell(table, layer, column, answer).state for answer in answers} == dict.fromkeys(
        answers, state
    )


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_the_right_answers_as_they_are_shown_get_every_point(model: str) -> None:
    table = exam_table(model)
    answers = tuple({column: str(feedback.right_answer(layer, column)) for column in COLUMNS} for layer in table.layers)
    marked = mark_sheet(table, answers)
    assert [(mark.layer, mark.column, mark.answer) for mark in marked.marks if mark.state != "right"] == []
    assert marked.points == marked.out_of == sum(mark.out_of for mark in marked.marks)


def test_the_third_hint_of_a_number_is_right_and_no_verdict_gives_the_answer_away() -> None:
    table = exam_table("RN_2")
    for layer in table.layers:
        hints = feedback.hints(layer, "parameters")
        assert marked_cell(table, layer.name, "parameters", str(hints[2])).state == "right"
    for answer in ("32x64x3", "64", "18495", "32x46x3x3+64", "nonsense", "64x3x3"):
        mark = marked_cell(table, "conv2", "parameters", answer)
        assert not [text for text in map(str, feedback.verdict(mark)) if "18496" in text or "32" in text]


def test_a_sheet_may_lack_rows_and_cells_and_hold_anything() -> None:
    table = exam_table("RN_1")
    assert mark_sheet(table, ()).points == 0
    junk = ["\x1b[31m", "9" * 10_000, "(" * 5000, "x" * 5000, "1/0", "=" * 300, "\u202e", "🙂", "1\n2", "a|b"]
    for text in junk:
        marked = mark_sheet(table, tuple(dict.fromkeys(COLUMNS, text) for _layer in table.layers))
        assert all(mark.state != "right" or not mark.out_of for mark in marked.marks)
