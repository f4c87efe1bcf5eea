"""What a guess is held against, and whether it is right: numbers are read as people write them."""

from __future__ import annotations

import math
import re
from typing import Literal

import msgspec

from core.exam import facts, feedback, marking, sums
from core.exam.evidence import Evidence, SeenRun
from core.exam.output_sizes import rightness
from core.exam.sheet import Answers
from core.exam.sums import UnreadableAnswer, WrittenSize
from core.messages import Message

MAX_TYPED = 60
"""Characters of the longest guess."""
Value = float | str | tuple[int, ...]
"""A number, the key of a choice, or a size."""
Origin = Literal["seen", "known", "reference"]
"""Where an answer comes from: seen in tables and runs, known without looking, or measured once and for all."""

_BLANKS = str.maketrans(dict.fromkeys("\u202f\xa0\u2009~%", " ") | {"’": "'"})
_DECIMAL = re.compile(r"-?(?:\d{1,3}(?:[ ',.]\d{3})+|\d*)[.,]\d+")
_LOGARITHM = re.compile(r"(-?)\s*(?:log|ln)\s*\(?\s*(1\s*/\s*10|10|0[.,]1)\s*\)?", re.IGNORECASE)
_SIDE = r"\(([^()]+)\)|([^-+*/()⌈⌉⌊⌋]+)"
_QUOTIENT = re.compile(rf"(?:{_SIDE}|([^-+/()⌈⌉⌊⌋]+))/(?:{_SIDE})")
_ROUNDED_UP = re.compile(r"⌈([^⌈⌉/]+)/([^⌈⌉/]+)⌉")


class Truth(msgspec.Struct, frozen=True):
    """What a guess is held against, and where it was seen."""

    value: Value
    source: Message
    within: float = 0.0
    """Greatest distance at which a number still counts as right."""
    factor: float = 1.0
    """Greatest ratio, either way, at which a number still counts as right."""
    origin: Origin = "seen"
    runs: tuple[SeenRun, ...] = ()
    """User's runs that it was seen in."""


def truth(guess_id: str, evidence: Evidence) -> Truth:
    """Return what a guess is held against: seen in tables and runs where there is something to see."""
    match guess_id:
        case "winner" | "margin":
            return _of_the_pair(guess_id, evidence)
        case "first_loss":
            return _first_loss(evidence)
        case _:
            return _KNOWN[guess_id]()


def judge(typed: str, held_against: Truth) -> bool | None:
    """Tell whether a guess is right; None if it cannot be read."""
    typed = typed[:MAX_TYPED]
    try:
        match held_against.value:
            case str() as key:
                return typed == key
            case tuple() as size:
                return any(_is_size(way, size) for way in sums.read_size(typed))
            case value:
                return any(_is_near(one, value, held_against) for one in read_number(typed))
    except UnreadableAnswer:
        return None


def mistakes(guess_id: str, typed: str) -> list[Message]:
    """Say which mistakes a wrong number of parameters holds, where that is certain."""
    if guess_id not in _COUNTED:
        return []
    model, name = _COUNTED[guess_id]
    table = facts.table(model)
    position = next(position for position, each in enumerate(table.layers) if each.name == name)
    answers: Answers = (*({} for _row in range(position)), {"parameters": typed})
    mark = marking.mark_sheet(table, answers).mark(position, "parameters")
    return list(map(feedback.reason_text, mark.reasons))


def read_number(typed: str) -> set[float]:
    """Return every number that a text may mean: `2,303` is 2303 or 2.303; none if what it equates is not the same.

    Raises `UnreadableAnswer`.
    """
    text = sums.plain_signs(typed.translate(_BLANKS)).strip()
    text = _ROUNDED_UP.sub(lambda found: str(math.ceil(_quotient(*found.groups()))), text)
    parts = [part.strip() for part in re.split(r"[=≈→]", text) if part.strip()]
    if len(parts) > 1 and "/" not in text and (continued := _sum(text)):
        return continued
    readings = [_readings(part) for part in parts]
    if not readings or not all(readings):
        raise UnreadableAnswer
    *before, last = readings
    return {one for one in last if all(any(abs(one - other) < 1 for other in others) for others in before)}


def _readings(text: str) -> set[float]:
    """Return what one side of an equation may mean; nothing if it cannot be read."""
    if found := _LOGARITHM.fullmatch(text):
        return {(-1 if found[1] else 1) * math.log(10 if found[2] == "10" else 0.1)}
    if found := _QUOTIENT.fullmatch(text):
        dividend, divisor = filter(None, found.groups())
        return {_quotient(dividend, divisor)}
    if _DECIMAL.fullmatch(text):
        whole, rest = re.split(r"[.,](?=\d+$)", text)
        decimal = float(f"{re.sub(r'[^-0-9]', '', whole)}.{rest}")
        return {decimal} if abs(decimal) < 1 else {decimal, *_sum(text)}
    return _sum(text.replace("//", "/"))


def _sum(text: str) -> set[float]:
    """Return what a sum gives, quotients within it rounded down; nothing if it is none, or its value is wrong."""
    try:
        written = sums.read_number(text)
    except UnreadableAnswer:
        return set()
    return set() if written.says_otherwise or re.search(r"log|ln", text) else {float(written.value)}


def _quotient(dividend: str, divisor: str) -> float:
    """Divide as calculators do. Raises `UnreadableAnswer`."""
    above, below = (sums.read_number(text).value for text in (dividend, divisor))
    if below == 0:
        raise UnreadableAnswer
    return above / below


def _is_near(number: float, value: float, held_against: Truth) -> bool:
    if abs(number - value) <= held_against.within + 1e-9:
        return True
    low, high = sorted((value / held_against.factor, value * held_against.factor))
    return held_against.factor > 1 and low <= number <= high


def _is_size(written: WrittenSize, size: tuple[int, ...]) -> bool:
    """Tell whether a size is right as a whole, without its channels, or by its side alone."""
    if written.says_otherwise:
        return False
    layer = msgspec.structs.replace(facts.layer("RN_2", "pool1"), output_shape=size)
    return written.sides in (size[1:], size[1:2]) or rightness(layer, written) != "wrong"


def _of_the_pair(guess_id: str, evidence: Evidence) -> Truth:
    """Return which network wins, or by how much: from runs of the user's if they decide it."""
    first, second = (facts.REFERENCE[model] for model in ("RN_1", "RN_2"))
    errors, total = (float(first.errors), float(second.errors)), 10_000
    source = Message(
        "MNIST, 5 seeds, 5 epochs: {first} and {second} errors in {total}",
        {"first": first.errors, "second": second.errors, "total": total},
    )
    origin: Origin = "reference"
    runs: tuple[SeenRun, ...] = ()
    if (pair := evidence.pair) is not None and evidence.is_decisive:
        origin, runs = "seen", pair
        source = Message(
            "{run}: {errors} errors in {total}, {other}: {other_errors}",
            {
                "run": pair[0].run_id,
                "errors": pair[0].errors,
                "total": pair[0].total,
                "other": pair[1].run_id,
                "other_errors": pair[1].errors,
            },
        )
        errors = (pair[0].errors * 10_000 / pair[0].total, pair[1].errors * 10_000 / pair[1].total)
    if guess_id == "winner":
        return Truth("RN_1" if errors[0] < errors[1] else "RN_2", source, origin=origin, runs=runs)
    return Truth(float(round(abs(errors[0] - errors[1]))), source, factor=2, origin=origin, runs=runs)


def _first_loss(evidence: Evidence) -> Truth:
    seen = evidence.runs.get("RN_1")
    if seen is not None and seen.first_loss is not None:
        return Truth(seen.first_loss, Message("first epoch of {run}", {"run": seen.run_id}), factor=2, runs=(seen,))
    return Truth(facts.FIRST_LOSS, Message("MNIST, seed 0, first epoch"), factor=2, origin="reference")


def _parameters(guess_id: str) -> Truth:
    model, name = _COUNTED[guess_id]
    return Truth(facts.layer(model, name).parameters, _table_of(model))


def _weights(model: str, name: str) -> Truth:
    return Truth(facts.weights_of_a_value(facts.layer(model, name)), _table_of(model))


def _formula(formula: str) -> Message:
    return Message("{name}", {"name": formula})


def _table_of(model: str) -> Message:
    return Message("layer table of {model}", {"model": model})


def _known(value: Value, source: Message, within: float = 0.0) -> Truth:
    return Truth(value, source, within, origin="known")


_BY_DEFINITION = Message("by definition")
_COUNTED = {"rn1_fc1": ("RN_1", "fc1"), "rn2_conv2": ("RN_2", "conv2")}
"""Layers whose parameters are guessed."""
_KNOWN = {
    "rn1_fc1": lambda: _parameters("rn1_fc1"),
    "rn2_conv2": lambda: _parameters("rn2_conv2"),
    "rn2_conv1_weights": lambda: _weights("RN_2", "conv1"),
    "rn1_fc1_weights": lambda: _weights("RN_1", "fc1"),
    "relu_negative": lambda: _known(max(0, -2), _formula("max(0, −2)")),
    "relu_positive": lambda: _known(max(0, 3), _formula("max(0, 3)")),
    "pool1_size": lambda: Truth(facts.layer("RN_2", "pool1").output_shape or (), _table_of("RN_2")),
    "largest": lambda: Truth(facts.largest_layer("RN_2").name, _table_of("RN_2")),
    "dropout_in_test": lambda: _known("none", _BY_DEFINITION),
    "norm_in_test": lambda: _known("running", _BY_DEFINITION),
    "stage": lambda: _known("2", Message("optimizer.step() is in no other")),
    "batches": lambda: _known(facts.batches(), _formula("⌈60000/64⌉")),
    "last_batch": lambda: _known(facts.last_batch(), _formula("60000 − 937·64")),
    "know_nothing": lambda: _known(math.log(10), _formula("−log(1/10)"), within=0.01),
    "printed": lambda: _known("mean", _formula("running_loss / len(train_loader)")),
    "steps": lambda: _known(facts.steps(), _formula("5 × 938")),
    "result": lambda: _known("test", _formula("100 · correct / total")),
    "proves": lambda: _known("nothing", Message("one seed of each, one set of test images")),
    "chosen_on": lambda: _known("validation", Message("the test images serve once, at the end")),
}
