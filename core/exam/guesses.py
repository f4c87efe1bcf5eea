"""What a guess is held against, and whether it is right: numbers are read as people write them."""

from __future__ import annotations

import math
import re
from itertools import product

import msgspec

from core.exam import facts
from core.exam.evidence import Evidence
from core.messages import Message

MAX_TYPED = 60
"""Characters of the longest guess."""
Value = float | str | tuple[int, ...]
"""A number, the key of a choice, or a size."""

_NUMBER = r"-?\d[\d .,']*"
_SPACES = str.maketrans(
    {"\u202f": " ", "\xa0": " ", "\u2009": " ", "’": "'", "−": "-", "–": "-", "≈": " ", "~": " ", "%": " "}
)
_LOGARITHM = re.compile(r"-?\s*(?:log|ln)\s*\(?\s*(1\s*/\s*10|10|0[.,]1)\s*\)?", re.IGNORECASE)


class Truth(msgspec.Struct, frozen=True):
    """What a guess is held against, and where it was seen."""

    value: Value
    source: Message
    within: float = 0.0
    """Greatest distance at which a number still counts as right."""
    factor: float = 1.0
    """Greatest ratio, either way, at which a number still counts as right."""


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
    match held_against.value:
        case str() as key:
            return typed == key
        case tuple() as size:
            return _is_size(typed, size)
        case value:
            readings = read_number(typed)
            return any(_is_near(one, value, held_against) for one in readings) if readings else None


def read_number(typed: str) -> set[float]:
    """Return every number that a text may mean: `2,303` is 2303 or 2.303. Sums of products are worked out."""
    text = typed.translate(_SPACES).strip()
    if _LOGARITHM.fullmatch(text):
        return {math.log(10)}
    text = text.rpartition("=")[2]
    terms = [_of_product(term) for term in re.split(r"(?<=\S)\s*\+", text)]
    return {sum(parts) for parts in product(*terms)}


def _of_product(text: str) -> set[float]:
    factors = [_of_number(factor) for factor in re.split(r"[×*·⋅]|(?<=[\d\s])[xX](?=[\d\s])", text)]
    return {math.prod(parts) for parts in product(*factors)}


def _of_number(text: str) -> set[float]:
    """Return the readings of one number, with a word after it or not."""
    found = re.fullmatch(rf"\s*({_NUMBER})\s*[^\W\d]*\s*", text)
    if found is None:
        return set()
    digits = found[1].strip(" .,'").replace(" ", "").replace("'", "")
    readings = set()
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+|-?\d{1,3}(?:\.\d{3})+|-?\d+", digits):
        readings.add(float(digits.replace(",", "").replace(".", "")))
    decimal = digits.replace(",", ".")
    whole, _point, rest = decimal.rpartition(".")
    if rest != decimal:
        readings.add(float(f"{whole.replace('.', '')}.{rest}"))
    return readings


def _is_near(number: float, value: float, held_against: Truth) -> bool:
    if abs(number - value) <= held_against.within + 1e-9:
        return True
    low, high = sorted((value / held_against.factor, value * held_against.factor))
    return held_against.factor > 1 and low <= number <= high


def _is_size(typed: str, size: tuple[int, ...]) -> bool | None:
    """Tell whether a size is right as a whole, without its channels, or by its side alone."""
    numbers = tuple(int(each) for each in re.findall(r"\d+", typed))
    if not numbers:
        return None
    return numbers in (size, size[1:], size[1:2], (1, *size))


def _of_the_pair(guess_id: str, evidence: Evidence) -> Truth:
    """Return which network wins, or by how much: from runs of the user's if they decide it."""
    first, second = (facts.REFERENCE[model] for model in ("RN_1", "RN_2"))
    errors, total = (float(first.errors), float(second.errors)), 10_000
    source = Message(
        "MNIST, 5 seeds, 5 epochs: {first} and {second} errors in {total}",
        {"first": first.errors, "second": second.errors, "total": total},
    )
    if (pair := evidence.pair) is not None and evidence.is_decisive:
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
        return Truth("RN_1" if errors[0] < errors[1] else "RN_2", source)
    return Truth(float(round(abs(errors[0] - errors[1]))), source, factor=2)


def _first_loss(evidence: Evidence) -> Truth:
    seen = evidence.runs.get("RN_1")
    if seen is not None and seen.first_loss is not None:
        return Truth(seen.first_loss, Message("first epoch of {run}", {"run": seen.run_id}), factor=2)
    return Truth(facts.FIRST_LOSS, Message("MNIST, seed 0, first epoch"), factor=2)


def _parameters(model: str, name: str) -> Truth:
    return Truth(facts.layer(model, name).parameters, _table_of(model))


def _weights(model: str, name: str) -> Truth:
    return Truth(facts.weights_of_a_value(facts.layer(model, name)), _table_of(model))


def _formula(formula: str) -> Message:
    return Message("{name}", {"name": formula})


def _table_of(model: str) -> Message:
    return Message("layer table of {model}", {"model": model})


_BY_DEFINITION = Message("by definition")
_KNOWN = {
    "rn1_fc1": lambda: _parameters("RN_1", "fc1"),
    "rn2_conv2": lambda: _parameters("RN_2", "conv2"),
    "rn2_conv1_weights": lambda: _weights("RN_2", "conv1"),
    "rn1_fc1_weights": lambda: _weights("RN_1", "fc1"),
    "relu_negative": lambda: Truth(max(0, -2), _formula("max(0, −2)")),
    "relu_positive": lambda: Truth(max(0, 3), _formula("max(0, 3)")),
    "pool1_size": lambda: Truth(facts.layer("RN_2", "pool1").output_shape or (), _table_of("RN_2")),
    "largest": lambda: Truth(facts.largest_layer("RN_2").name, _table_of("RN_2")),
    "dropout_in_test": lambda: Truth("none", _BY_DEFINITION),
    "norm_in_test": lambda: Truth("running", _BY_DEFINITION),
    "stage": lambda: Truth("2", Message("optimizer.step() is in no other")),
    "batches": lambda: Truth(facts.batches(), _formula("⌈60000/64⌉")),
    "last_batch": lambda: Truth(facts.last_batch(), _formula("60000 − 937·64")),
    "know_nothing": lambda: Truth(math.log(10), _formula("−log(1/10)"), within=0.01),
    "printed": lambda: Truth("mean", _formula("running_loss / len(train_loader)")),
    "steps": lambda: Truth(facts.steps(), _formula("5 × 938")),
    "result": lambda: Truth("test", _formula("100 · correct / total")),
    "proves": lambda: Truth("nothing", Message("one seed of each, one set of test images")),
    "chosen_on": lambda: Truth("validation", Message("the test images serve once, at the end")),
}
