"""Reading and marking a layer's specification, which people write in many ways."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.exam.choices import Place, inputs_choices, outputs_choices, with_slips
from core.exam.mistakes import MOST_MISTAKES, Attempt, certain
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
_PIECE = re.compile(rf"(?P<quantity>{_QUANTITY})|\b(?P<ins>{_IN})\b|(?P<outs>\b(?:{_OUT})\b|>)")
_ARROWS = (">", "vers", "to")
_NO_BIAS = re.compile(r"\bbias ?= ?false\b|\b(?:sans|pas de|aucun) biais\b|\b(?:no|without) bias\b")
_NO_PADDING = re.compile(r"\b(?:sans|no|without|aucune?|pas de) (?:padding|marge|bordure)\b|\bpadding ?=? ?.?valid.?")
_MOST_KERNEL = 15
_BETWEEN_GROUPS, _GROUP = r"(?<=\d)", r"(?=\d{3}(?!\d))"
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class WrittenSpecification:
    """What a specification says, as far as it was understood."""

    inputs: Term = ()
    outputs: Term = ()
    kernel: Term = ()
    padding: Term = ()
    stride: Term = ()
    dilation: Term = ()
    groups: Term = ()
    has_bias: bool | None = None
    """True or False if it is said."""

    @property
    def is_empty(self) -> bool:
        return not (self.inputs or self.outputs or self.kernel or self.padding or self.stride)


def read_specification(text: str, settings: Settings) -> WrittenSpecification:
    """Return what a specification says of a layer with such settings.

    A blank or comma before three digits may group them, or not: what makes more sense is meant.
    """
    separators = ("", "[ .'\u00a0\u2009\u202f]", ",")
    texts = [re.sub(rf"{_BETWEEN_GROUPS}{each}{_GROUP}", "", text) if each else text for each in separators]
    read = [_read(each, settings) for each in texts]
    return min(read, key=lambda found: len(wrong(found, settings)) + len(missing(found, settings)))


def _read(text: str, settings: Settings) -> WrittenSpecification:
    found = WrittenSpecification()
    text = _plain(text)
    if _NO_BIAS.search(text):
        found.has_bias = False
    if settings.kernel:
        text = _take_keywords(_NO_PADDING.sub(" padding 0 ", text), found, settings)
    if settings.kernel and not settings.inputs:  # a pooling has nothing else
        numbers = [_factors(each) for each in re.findall(_QUANTITY, text)]
        if numbers and not found.kernel:
            found.kernel = numbers.pop(0)
        if numbers and not found.stride:
            found.stride = numbers.pop(0)
        return found
    quantities = [(_factors(quantity), label) for quantity, label in _labelled(text)]
    if settings.kernel:
        quantities = _without_kernel(quantities, found, settings)
    elif len(quantities) == 1 and len(quantities[0][0]) > 1:  # as in `784×512`, or the weight's shape
        factors = quantities[0][0]
        if factors[-1] == settings.outputs:
            quantities = [(factors[:-1], "ins"), (factors[-1:], "outs")]
        elif factors[0] == settings.outputs:
            quantities = [(factors[1:], "ins"), (factors[:1], "outs")]
    _give_roles(quantities, found, settings)
    return found


def _without_kernel(
    quantities: list[tuple[Term, str]], found: WrittenSpecification, settings: Settings
) -> list[tuple[Term, str]]:
    """Take the kernel out of a convolution's quantities: a product of two small numbers, maybe with others before."""
    products = [factors for factors, _label in quantities if len(factors) > 1 and max(factors[-2:]) <= _MOST_KERNEL]
    window = next((each for each in products if each[-2:] == settings.kernel), products[0] if products else ())
    left = []
    for factors, label in quantities:
        if not window or factors != window:
            left += [(channels, label)] if (channels := _channels(factors)) else []
            continue
        found.kernel = found.kernel or factors[-2:]
        before, window = factors[:-2], ()
        if len(before) == 2:
            is_shape_of_weight = before == (settings.outputs, settings.inputs)
            left += [(before[is_shape_of_weight:][:1], "ins"), (before[not is_shape_of_weight :][:1], "outs")]
        elif before:
            left.append((before, "repeated"))
    return left


def _channels(factors: Term) -> Term:
    """Return the channels of an image's size, with the channels first or last; nothing of one without channels."""
    if len(factors) == 3 and factors[1] == factors[2]:
        return factors[:1]
    if len(factors) == 3 and factors[0] == factors[1]:
        return factors[2:]
    return () if len(factors) == 2 and min(factors) > _MOST_KERNEL else factors


def _give_roles(quantities: list[tuple[Term, str]], found: WrittenSpecification, settings: Settings) -> None:
    """Give each quantity its role: that of its word, and in their order to those that have none."""
    unlabelled = []
    for place, (factors, label) in enumerate(quantities):
        joins = not settings.kernel and label == "ins" and found.inputs and place and quantities[place - 1][1] == "ins"
        if joins and len(found.inputs) == 1 and len(factors) == 2:
            found.inputs = (*found.inputs, *factors)  # channels, then the image's size
        elif label == "ins" and not found.inputs:
            found.inputs = factors
        elif label == "outs" and not found.outputs:
            found.outputs = factors
        elif not label or (label == "repeated" and not any(each == "outs" for _factors_of, each in quantities)):
            unlabelled.append(factors)
    for factors in unlabelled:
        if not found.inputs and (len(unlabelled) > 1 or found.outputs):
            found.inputs = factors
        elif not found.outputs:
            found.outputs = factors
        elif not found.kernel and settings.kernel and len(factors) == 1:
            found.kernel = factors


def _plain(text: str) -> str:
    text = re.sub("[\"']", " ", without_accents(plain_signs(text).lower()))
    text = re.sub(r"\b(?:nn\.)?(?:[a-z]+[1-3]d|linear(?=\())|\b(?:fc|conv|relu|pool)\d+\b", " ", text)
    text = re.sub(r"(?<=\d)\s*(?:x|par|by)\s*(?=\d)", "*", text).replace("->", ">").replace("→", ">")
    text = re.sub(rf"({_QUANTITY})\s*=\s*\d[\d ]*", r"\1", text)  # a product with its value
    return re.sub(r"(?<=[=,:a-z])\s*\((\d+)\s*,\s*(\d+)\)", r" \1*\2", text)  # a setting in two dimensions


def _take_keywords(text: str, found: WrittenSpecification, settings: Settings) -> str:
    """Take the numbers that a word explains out of a text, and return what is left."""
    for name, words in _KEYWORDS.items():
        pattern = rf"\b(?:{words})(?:\b|(?=\d))\s*(?:de|of|=|:|egale? a)?\s*(same|{_QUANTITY})(?![a-z])"
        match = re.search(pattern, text)
        if match is None:
            continue
        same = tuple(width // 2 for width in settings.padding)
        setattr(found, name, same if match[1] == "same" else _factors(match[1]))
        text = f"{text[: match.start()]} , {text[match.end() :]}"
    return text


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """Yield each quantity with its word, `ins` or `outs`; each word serves once, and only in its clause.

    Where the first word comes before its quantity, the others do, too.
    """
    for clause in re.split(r"[,;\n|]", text):
        pieces = [(piece.lastgroup or "", piece[0]) for piece in _PIECE.finditer(clause)]
        if arrow := next((place for place, piece in enumerate(pieces) if piece[1] in _ARROWS), 0):
            for place, (kind, quantity) in enumerate(pieces):
                if kind == "quantity":
                    yield quantity, "ins" if place < arrow else "outs" if place == arrow + 1 else ""
            continue
        words_first = bool(pieces) and pieces[0][0] != "quantity"
        used: set[int] = set()
        for place, (kind, quantity) in enumerate(pieces):
            if kind != "quantity":
                continue
            beside = (place - 1,) if words_first else (place + 1, place - 1)
            free = [at for at in beside if 0 <= at < len(pieces) and pieces[at][0] != "quantity" and at not in used]
            used.update(free[:1])
            repeats = not free and words_first and place and pieces[place - 1][0] == "quantity"
            yield quantity, pieces[free[0]][0] if free else "ins" if repeats and _is_in(pieces, place) else ""


def _is_in(pieces: Sequence[tuple[str, str]], place: int) -> bool:
    """Tell if a quantity follows another one that the same word for inputs explains."""
    return place > 1 and pieces[place - 2][0] == "ins"


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
        if settings.groups > 1:
            needed.append("groups")
        if set(settings.dilation) != {1}:
            needed.append("dilation")
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
        "dilation": settings.dilation,
        "groups": (settings.groups,),
    }
    faults = [
        name for name, terms in right.items() if getattr(written, name) and not _same(getattr(written, name), terms)
    ]
    return [*faults, "bias"] if settings.inputs and settings.bias and written.has_bias is False else faults


def _same(written: Term, right: Term) -> bool:
    if len(right) <= 1:
        return math.prod(written) == math.prod(right)
    return written == right or (len(written) == 1 and set(right) == set(written))


def explain_specification(place: Place, written: WrittenSpecification, settings: Settings) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a specification that is wrong."""
    reasons: list[Reason] = []
    faults = wrong(written, settings)
    for name in faults:
        found: tuple[Reason, ...] = ()
        if name in ("inputs", "outputs"):
            found = explain_number(place, name, getattr(written, name), settings)
        elif name == "padding" and not any(written.padding):
            found = (Reason("padding_forgotten"),)
        elif name == "stride" and set(written.stride) == {1}:
            found = (Reason("stride_forgotten"),)
        elif name == "kernel":
            found = _certain_in([Attempt(settings.kernel)], written.kernel)
        if not found:
            return ()  # no set of mistakes yields the cell
        reasons += found
    certain_ones = tuple(dict.fromkeys(reasons))
    return certain_ones if sum(not reason.carried_from for reason in certain_ones) <= MOST_MISTAKES else ()


def explain_number(place: Place, name: str, written: Term, settings: Settings) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in the number of a layer's `inputs` or `outputs`."""
    choices = inputs_choices(place, settings) if name == "inputs" else outputs_choices(place, settings)
    return _certain_in(choices, written)


def _certain_in(choices: Sequence[Attempt], written: Term) -> tuple[Reason, ...]:
    number = math.prod(written)
    tried = with_slips(choices, sorted({*written, number}))
    return certain(each.reasons for each in tried if each.numbers and math.prod(each.numbers) == number)


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
