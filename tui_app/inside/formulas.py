"""How a value comes about, written out with its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from core.inspecting.views import Formula, Term
from tui_app.i18n import _, ngettext, number

_FEWEST, _FINE, _MOST = 2, 4, 8
"""Decimals of a number; `_FINE` are those that a small one has beside large ones."""


class Written:
    """A number as it is written: rounded, with so many decimals."""

    def __init__(self, value: float, decimals: int) -> None:
        if not math.isfinite(value):
            self.value = Decimal(0)
            self._text = "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
            return
        text = f"{value:.{decimals}f}"
        self.value = Decimal(text)
        if not self.value:
            text = text.lstrip("-")
        self._text = text.replace("-", "−").replace(".", _("."))

    def __str__(self) -> str:
        return self._text

    @property
    def in_product(self) -> str:
        """Text behind a sign: a negative number is in brackets."""
        return f"({self})" if self.value < 0 else str(self)


def decimals_for(values: Sequence[float]) -> int:
    """Return how many decimals show three digits of the greatest of some values."""
    greatest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return _FEWEST if not greatest else min(_MOST, max(_FEWEST, 2 - math.floor(math.log10(greatest))))


def value_text(value: float) -> str:
    """Return a single value as it is written where it stands alone."""
    return str(Written(value, decimals_for([value])))


def share_text(probability: float) -> str:
    """Return a probability, rounded; beside 0 and 1 with as many digits as it takes not to look like them."""
    least = min(probability, 1 - probability)
    decimals = 4 if least >= 0.0001 or not least > 0 else min(9, 1 - math.floor(math.log10(least)))
    return str(Written(probability, decimals))


def written(formula: Formula, value: float, most: int) -> tuple[str, list[str]]:
    """Write a formula with its numbers and the value that it gives, with at most so many terms, and explain its parts.

    `=` means that the written numbers give exactly the written value, `≈` that they do so up to their rounding.
    """
    match formula.kind:
        case "sum":
            return _sum(formula, value, most)
        case "mean":
            return _mean(formula, value, most)
        case "max":
            return _maximum(formula, value, most)
        case "relu":
            given = Written(formula.terms[0].value, decimals_for([formula.terms[0].value]))
            result = Written(value, decimals_for([formula.terms[0].value]))
            return f"max(0, {given}) = {result if result.value else 0}", []
        case "same":
            shown = value_text(value)
            return f"{value_text(formula.terms[0].value)} = {shown}", [_("The value is passed on as it is.")]
        case "norm":
            return _norm(formula, value)
        case _:
            return _softmax(formula, value, most)


def _sum(formula: Formula, value: float, most: int) -> tuple[str, list[str]]:
    terms, rest, others = _shortened(formula, most)
    products = [term.contribution for term in terms]
    for_weights, for_inputs = (
        decimals_for([term.weight or 0.0 for term in terms]),
        decimals_for([t.value for t in terms]),
    )
    for_result = decimals_for([value, *products, formula.bias or 0.0])
    parts: list[tuple[str, Decimal]] = []
    for term in terms:
        weight, given = Written(term.weight or 0.0, for_weights), Written(term.value, for_inputs)
        sign = "−" if weight.value < 0 else "+"
        parts.append(
            (f"{sign} {Written(abs(term.weight or 0.0), for_weights)}·{given.in_product}", weight.value * given.value)
        )
    notes = []
    if others:
        parts.append(_signed(rest, for_result))
        text = ngettext("{value}: {count} other term", "{value}: the sum of the other {count} terms", others)
        notes.append(text.format(value=Written(rest, for_result), count=number(others)))
    if formula.bias is not None:
        decimals = min(max(_FINE, for_result), decimals_for([formula.bias]))
        parts.append(_signed(formula.bias, decimals))
        notes.append(_("{value}: the bias b").format(value=Written(formula.bias, decimals)))
    if formula.num_padded:
        text = ngettext(
            "{count} place of the window lies in the padding and adds 0",
            "{count} places of the window lie in the padding and add 0",
            formula.num_padded,
        )
        notes.append(text.format(count=number(formula.num_padded)))
    return _joined(parts) + _result(sum((part for _text, part in parts), Decimal(0)), Written(value, for_result)), notes


def _mean(formula: Formula, value: float, most: int) -> tuple[str, list[str]]:
    divisor = round(1 / (formula.terms[0].weight or 1.0))
    terms, rest, others = _shortened(formula, most)
    decimals = decimals_for([value, *(term.value for term in terms)])
    parts = [_signed(term.value, decimals) for term in terms]
    notes = []
    if others:
        parts.append(_signed(rest * divisor, decimals))
        text = ngettext("{value}: {count} other value", "{value}: the sum of the other {count} values", others)
        notes.append(text.format(value=Written(rest * divisor, decimals), count=number(others)))
    total = sum((part for _text, part in parts), Decimal(0))
    shown = Written(value, decimals)
    sign = "=" if shown.value * divisor == total else "≈"
    return f"({_joined(parts)})/{divisor} {sign} {shown}", notes


def _maximum(formula: Formula, value: float, most: int) -> tuple[str, list[str]]:
    decimals = decimals_for([term.value for term in formula.terms])
    terms = sorted(formula.terms, key=lambda term: -term.value)[:most] if len(formula.terms) > most else formula.terms
    texts = [str(Written(term.value, decimals)) for term in terms]
    if formula.num_terms > len(terms):
        texts.append("…")
    return f"max({_list(texts)}) = {Written(value, decimals)}", []


def _norm(formula: Formula, value: float) -> tuple[str, list[str]]:
    mean, variance, epsilon, gamma, beta = formula.norm or (0.0,) * 5
    given = formula.terms[0].value
    decimals = decimals_for([value, given, mean])
    shown = [Written(each, decimals) for each in (given, mean)]
    spread, scale = (Written(each, max(4, decimals_for([each]))) for each in (variance, gamma))
    numerator = f"{shown[0]} {'+' if shown[1].value < 0 else '−'} {Written(abs(mean), decimals)}"
    text = f"{scale}·({numerator})/√({spread} + {f'{epsilon:.12f}'.rstrip('0').replace('.', _('.'))})"
    text += f" {_signed(beta, max(4, decimals_for([beta])))[0]} ≈ {Written(value, decimals)}"
    return text, [_("γ·(x − μ)/√(σ² + ε) + β with the running mean and variance, as in every test.")]


def _softmax(formula: Formula, value: float, most: int) -> tuple[str, list[str]]:
    decimals = decimals_for([term.value for term in formula.terms])
    shown = formula.terms[:most]
    powers = [f"e^{Written(term.value, decimals).in_product}" for term in shown]
    left = formula.num_terms - len(shown)
    below = " + ".join([*powers, *(["…"] if left else [])])
    result = Written(value, max(4, decimals_for([value])))
    if formula.kind == "log_softmax":
        return f"log({powers[0]}/({below})) ≈ {result}", []
    return f"{powers[0]}/({below}) ≈ {result}", []


def _shortened(formula: Formula, most: int) -> tuple[Sequence[Term], float, int]:
    """Return the terms to write out, the sum of the others, and their number."""
    terms = formula.terms
    if len(terms) <= most and formula.num_terms == len(terms):
        return terms, 0.0, 0
    ordered = sorted(terms, key=lambda term: -abs(term.contribution))
    left_out = math.fsum(term.contribution for term in ordered[most:])
    return ordered[:most], formula.rest + left_out, formula.num_terms - min(most, len(ordered))


def _signed(value: float, decimals: int) -> tuple[str, Decimal]:
    shown = Written(value, decimals)
    return f"{'−' if shown.value < 0 else '+'} {Written(abs(value), decimals)}", shown.value


def _joined(parts: Sequence[tuple[str, Decimal]]) -> str:
    text = " ".join(part for part, _value in parts) or "0"
    return text.removeprefix("+ ") if not text.startswith("− ") else f"−{text[2:]}"


def _result(total: Decimal, shown: Written) -> str:
    return f" {'=' if total == shown.value else '≈'} {shown}"


def _list(texts: Sequence[str]) -> str:
    return ("; " if _(".") == "," else ", ").join(texts)
