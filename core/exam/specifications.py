"""Reading and marking a layer's specification, which people write in many ways."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.exam.choices import Alternative, Place, inputs_choices, outputs_choices, with_slips
from core.exam.mistakes import certain
from core.exam.sheet import Reason, State
from core.exam.sums import Term, plain_signs
from core.exam.vocabulary import without_accents
from core.networks.layer_table import Layer, Settings

_QUANTITY = r"\d+(?:\s*\*\s*\d+)*"
_KEYWORDS = {
    "padding": r"padding|marge|pad|bordure|rembourrage|remplissage|p",
    "stride": r"stride|pas|foulee|deplacement|s",
    "dilation": r"dilation|d",
    "groups": r"groups?|groupes?|g",
    "kernel": r"kernel(?:[ _]?size)?|noyaux?|fenetres?|window|taille(?: du noyau)?|k",
}
_IN = r"entrees?|inputs?|in(?:[ _]features|[ _]channels)?|recoit"
_OUT = r"sorties?|outputs?|out(?:[ _]features|[ _]channels)?|filtres?|filters?|vers|to|>"
_PIECE = re.compile(rf"(?P<quantity>{_QUANTITY})|\b(?P<ins>{_IN})\b|(?P<outs>\b(?:{_OUT})\b|>)|(?P<stop>[,;\n|])")
_MOST_KERNEL = 15
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class WrittenSpecification:
    """What a specification says, as far as it was understood."""

    inputs: Term = ()
    outputs: Term = ()
    kernel: Term = ()
    padding: Term = ()
    stride: Term = ()

    @property
    def is_empty(self) -> bool:
        return not (self.inputs or self.outputs or self.kernel or self.padding or self.stride)


def read_specification(text: str, settings: Settings) -> WrittenSpecification:
    """Return what a specification says of a layer with such settings."""
    found = WrittenSpecification()
    text = _plain(text)
    if settings.kernel:
        text = _take_keywords(text, found)
    if settings.kernel and not settings.inputs:  # a pooling has nothing else
        numbers = [_factors(each) for each in re.findall(_QUANTITY, text)]
        if numbers and not found.kernel:
            found.kernel = numbers.pop(0)
        if numbers and not found.stride:
            found.stride = numbers.pop(0)
        return found
    pieces = [(piece.lastgroup or "", piece[0]) for piece in _PIECE.finditer(text)]
    unlabelled = []
    is_oblong = len(set(settings.kernel)) > 1
    for quantity, label in _labelled(pieces):
        factors = _factors(quantity)
        is_window = len(factors) > 1 and max(factors[-2:]) <= _MOST_KERNEL
        if settings.kernel and is_window and (is_oblong or factors[-1] == factors[-2]):
            found.kernel = found.kernel or factors[-2:]
            before = factors[:-2]
            if len(before) == 2:
                found.inputs, found.outputs = found.inputs or before[:1], found.outputs or before[1:]
            elif before and not found.outputs:
                unlabelled.append(before)
        elif label == "ins" and not found.inputs:
            found.inputs = factors
        elif label == "outs" and not found.outputs:
            found.outputs = factors
        elif not label:
            unlabelled.append(factors)
    for factors in unlabelled:
        if not found.inputs and (len(unlabelled) > 1 or found.outputs):
            found.inputs = factors
        elif not found.outputs:
            found.outputs = factors
        elif not found.kernel and settings.kernel and len(factors) == 1:
            found.kernel = factors
    return found


def _plain(text: str) -> str:
    text = without_accents(plain_signs(text).lower())
    text = re.sub(r"\b(?:nn\.)?[a-z]+[1-3]d\b|\b(?:fc|conv|relu|pool)\d+\b", " ", text)
    text = re.sub(r"(?<=\d)\s*x\s*(?=\d)", "*", text).replace("->", ">").replace("→", ">")
    text = re.sub(rf"({_QUANTITY})\s*=\s*\d[\d ]*", r"\1", text)  # a product with its value
    text = re.sub(r"=\s*\((\d+)\s*,\s*(\d+)\)", r"=\1*\2", text)  # a setting in two dimensions
    return re.sub(r"(?<![\d*])(\d{1,3})[ .'](\d{3})(?!\d)", r"\1\2", text)


def _take_keywords(text: str, found: WrittenSpecification) -> str:
    """Take the numbers that a word explains out of a text, and return what is left."""
    for name, words in _KEYWORDS.items():
        pattern = rf"\b(?:{words})(?:\b|(?=\d))\s*(?:de|of|=|:|egale? a)?\s*(same|{_QUANTITY})(?![a-z])"
        match = re.search(pattern, text)
        if match is None:
            continue
        if hasattr(found, name) and match[1] != "same":
            setattr(found, name, _factors(match[1]))
        text = f"{text[: match.start()]} , {text[match.end() :]}"
    return text


def _labelled(pieces: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each quantity with its word, `ins` or `outs`: the one before it or else after it, in its clause."""
    for place, (kind, text) in enumerate(pieces):
        if kind != "quantity":
            continue
        before = pieces[place - 1][0] if place else ""
        after = pieces[place + 1][0] if place + 1 < len(pieces) else ""
        if before in ("ins", "outs"):
            yield text, before
        elif after in ("ins", "outs") and not _is_arrow(pieces[place + 1][1]):
            then = pieces[place + 2][0] if place + 2 < len(pieces) else ""
            yield text, "" if then == "quantity" else after
        else:
            yield text, "ins" if after and _is_arrow(pieces[place + 1][1]) else ""


def _is_arrow(word: str) -> bool:
    return word in (">", "vers", "to")


def _factors(quantity: str) -> Term:
    return tuple(int(digits[:9]) for digits in re.findall(r"\d+", quantity))


def missing(written: WrittenSpecification, settings: Settings) -> list[str]:
    """Return the settings that a specification does not say and that do not go without saying."""
    needed = []
    if settings.inputs:
        needed += ["inputs", "outputs"]
    if settings.kernel:
        needed.append("kernel")
        if any(settings.padding):
            needed.append("padding")
        if settings.stride != (settings.kernel if not settings.inputs else (1,) * len(settings.stride)):
            needed.append("stride")
    return [name for name in needed if not getattr(written, name)]


def wrong(written: WrittenSpecification, settings: Settings) -> list[str]:
    """Return the settings that a specification says wrongly."""
    right: dict[str, Term] = {
        "inputs": (settings.inputs,),
        "outputs": (settings.outputs,),
        "kernel": settings.kernel,
        "padding": tuple(width // 2 for width in settings.padding),
        "stride": settings.stride,
    }
    return [
        name for name, terms in right.items() if getattr(written, name) and not _same(getattr(written, name), terms)
    ]


def _same(written: Term, right: Term) -> bool:
    if len(right) <= 1:
        return math.prod(written) == math.prod(right)
    return written == right or (len(written) == 1 and set(right) == set(written))


def explain_specification(place: Place, written: WrittenSpecification, settings: Settings) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a specification that is wrong."""
    reasons: list[Reason] = []
    faults = wrong(written, settings)
    for name in ("inputs", "outputs"):
        if name in faults:
            reasons += explain_number(place, name, getattr(written, name), settings)
    if "padding" in faults and not any(written.padding):
        reasons.append(Reason("padding_forgotten"))
    if "stride" in faults and set(written.stride) == {1}:
        reasons.append(Reason("stride_forgotten"))
    if "kernel" in faults:
        reasons += _certain_in([Alternative(settings.kernel)], written.kernel)
    return tuple(dict.fromkeys(reasons))


def explain_number(place: Place, name: str, written: Term, settings: Settings) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in the number of a layer's `inputs` or `outputs`."""
    choices = inputs_choices(place, settings) if name == "inputs" else outputs_choices(place, settings)
    return _certain_in(choices, written)


def _certain_in(choices: Sequence[Alternative], written: Term) -> tuple[Reason, ...]:
    number = math.prod(written)
    tried = with_slips(choices, sorted({*written, number}))
    return certain(each.reasons for each in tried if each.factors and math.prod(each.factors) == number)


def mark_in_words(layer: Layer, answer: str) -> tuple[State, tuple[Reason, ...], str]:
    """Mark the specification of a layer that is neither linear, a convolution nor a pooling: by its numbers."""
    wanted = _NUMBER.findall(without_accents(str(layer.specification)))
    given = _NUMBER.findall(without_accents(answer.lower()).replace(",", "."))
    if not wanted:
        same = without_accents(answer.lower()).split() == without_accents(str(layer.specification).lower()).split()
        return ("right" if same else "wrong"), (), ""
    if not given:
        return "unreadable", (), ""
    return ("right" if {*map(float, wanted)} <= {*map(float, given)} else "wrong"), (), ""
