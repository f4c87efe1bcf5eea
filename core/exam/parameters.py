"""Marking a layer's number of parameters: the sums that mistakes lead to, and those that an answer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from core.exam.chain import Chains
from core.exam.choices import Place, inputs_choices, of_other_layers, outputs_choices
from core.exam.matching import is_grouped, matches
from core.exam.mistakes import MOST_MISTAKES, NONE, Attempt, Reasons, certain, cost, is_slip, slip
from core.exam.sheet import Reason
from core.exam.sums import Term, Terms, UnreadableAnswer, read_number, value_of
from core.networks.layer_table import Layer, Settings

_BIAS_FORGOTTEN, _BIAS_TWICE, _BIAS_OF_INPUTS, _BIAS_PER_WEIGHT, _BIAS_ADDED, _MULTIPLIED = (
    frozenset((Reason(kind),))
    for kind in (
        *("bias_forgotten", "bias_twice", "bias_of_inputs", "bias_per_weight", "bias_added", "image_multiplied"),
    )
)
_VALUE_WRONG = frozenset((Reason("value_wrong"),))


@dataclass(frozen=True)
class Draft:
    """A sum that a student may have worked out, with the mistakes in it."""

    terms: Terms
    reasons: Reasons = NONE
    has_two: bool = False
    """True if it is only meant where a factor 2 is written."""
    is_exact: bool = False
    """True if no slip is looked for in it."""
    is_odd: bool = False
    """True if nobody would think of it first: it is only considered lest another reason is taken for certain."""


def right_sum(layer: Layer) -> Terms:
    """Return the terms of a layer's number of parameters."""
    if not layer.parameters:
        return ()
    try:
        return read_number(layer.parameter_sum).terms or ((layer.parameters,),)
    except UnreadableAnswer:
        return ((layer.parameters,),)


def is_right_sum(layer: Layer, terms: Terms) -> bool:
    """Tell if a sum is the right one, however its factors are put together, also as outputs × (inputs + 1)."""
    right = right_sum(layer)
    if not layer.parameters:
        return value_of(terms) == 0
    doubled = [term[1:] for term in right if term[:1] == (2,)]
    if _products(terms) in (_products(right), _products((*doubled, *doubled)) if len(right) == 1 else []):
        return True
    settings = layer.settings
    if settings is None or not settings.outputs or not settings.bias:
        return False
    together = (settings.outputs, layer.parameters // settings.outputs)
    return len(terms) == 1 and is_grouped(together, terms[0])


def explain_sum(place: Place, terms: Terms, stated: Sequence[int]) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a sum that is wrong; `stated` are the values beside it.

    They are certain if they are so whether factors may only be put together, or any terms of the same products count.
    """
    found: dict[bool, list[Reasons]] = {True: [], False: []}
    odd: dict[bool, list[Reasons]] = {True: [], False: []}
    has_two = any(2 in term for term in terms)
    for draft in drafts(place):
        if draft.has_two and not has_two:
            continue
        agrees = {*stated} <= {value_of(terms)} or {*stated} <= {value_of(draft.terms)}
        reasons = draft.reasons if agrees else draft.reasons | _VALUE_WRONG
        most_slips = 0 if draft.is_exact else MOST_MISTAKES - cost(draft.reasons)
        for by_value in (False, True):
            explained = [reasons | slips for slips in matches(draft.terms, terms, most_slips, by_value=by_value)]
            (odd if draft.is_odd else found)[by_value].extend(explained)
    kinds = {reason.kind for reason in certain(found[True], odd[True])}
    return tuple(reason for reason in certain(found[False], odd[False]) if reason.kind in kinds)


def explain_value(place: Place, value: int) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a number of parameters that is wrong."""
    found: list[Reasons] = []
    odd: list[Reasons] = []
    for draft in drafts(place):
        sets = odd if draft.is_odd else found
        gives = value_of(draft.terms)
        if gives == value:
            sets.append(draft.reasons)
        elif is_slip(value, gives) and cost(draft.reasons) < MOST_MISTAKES:
            sets.append(draft.reasons | {slip(value, gives)})
    return certain(found, odd)


def drafts(place: Place) -> Iterator[Draft]:
    """Yield the sums that up to two mistakes lead to, the right one among them; slips of digits come on top."""
    known = set()
    for draft in _own_drafts(place, MOST_MISTAKES):
        if cost(draft.reasons) <= 1:
            known.add(value_of(draft.terms))
        yield draft
    for position, layer in enumerate(place.layers):
        if layer.parameters and layer.parameters not in known:
            reason = Reason("other_layer", layer=layer.name)
            for draft in _of_other(place.chains, position):
                yield replace(draft, reasons=draft.reasons | {reason})


@lru_cache(maxsize=256)
def _of_other(chains: Chains, position: int) -> tuple[Draft, ...]:
    """Return the sums that at most one mistake leads to in another layer's row."""
    return tuple(_own_drafts(Place(chains, position, {}), MOST_MISTAKES - 1))


def _own_drafts(place: Place, most: int) -> Iterator[Draft]:
    """Yield the sums that up to `most` mistakes in a layer's own calculation lead to."""
    yield Draft(right_sum(place.layer))
    settings = place.layer.settings
    if settings is None or not settings.outputs:
        return
    inputs, outputs = inputs_choices(place, settings), outputs_choices(place, settings)
    kernels = [Attempt(settings.kernel)]
    if len(settings.kernel) > 1:
        sides = dict.fromkeys(settings.kernel)
        kernels += [Attempt((side,), frozenset((Reason("kernel_side"),))) for side in sides]
    images = _images(place)
    for kernel, one, other in product(kernels, inputs, outputs):
        left = most - kernel.cost - one.cost - other.cost
        if left >= 0:
            weight = _Weight(place, settings, one.numbers, other.numbers, kernel.numbers)
            yield from _with_image(weight, images, kernel.reasons | one.reasons | other.reasons, left)


@dataclass(frozen=True)
class _Weight:
    """The factors of a layer's weight, as they were taken."""

    place: Place
    settings: Settings
    inputs: Term
    outputs: Term
    kernel: Term

    @property
    def factors(self) -> Term:
        return (*self.inputs, *self.outputs, *self.kernel)

    def biases(self, left: int) -> Iterator[tuple[Terms, Reasons, bool]]:
        """Yield what may be taken for the bias, with a mistake only if one is left, and whether that is odd.

        It is what stands in the weight, or right, or from another cell; anything else beside it is odd.
        """
        settings, carried = self.settings, self.place.outputs
        right = (settings.outputs,)
        if not settings.bias:
            yield (), NONE, False
            for outputs in dict.fromkeys((self.outputs, right)) if left else ():
                yield (outputs,), _BIAS_ADDED, outputs != self.outputs
            return
        yield (self.outputs,), NONE, False
        if carried is not None:
            yield (carried.numbers[:1],), carried.reasons, False
        if not left:
            if self.outputs != right:
                yield (right,), NONE, carried is None
            return
        yield (), _BIAS_FORGOTTEN, False
        yield (self.inputs,), _BIAS_OF_INPUTS, False
        for outputs in dict.fromkeys((self.outputs, right)):
            is_odd = outputs != self.outputs
            yield (outputs, outputs), _BIAS_TWICE, is_odd
            if is_odd:
                yield (right,), NONE, False
        whole = ((settings.inputs // settings.groups), settings.outputs, *settings.kernel)
        for weight in dict.fromkeys((self.factors, (*self.inputs, *self.outputs), whole)):
            yield (weight,), _BIAS_PER_WEIGHT, weight == whole != self.factors
        if self.outputs != right:
            known = [Attempt(right), Attempt(self.outputs), Attempt(self.inputs)]
            for other in of_other_layers(self.place, known):
                yield (other.numbers,), other.reasons, True


def _with_image(weight: _Weight, images: Sequence[Attempt], reasons: Reasons, left: int) -> Iterator[Draft]:
    """Yield the sums of a weight with its bias, also with the image's size multiplied in, and up to `left` mistakes."""
    for bias, more, is_odd in weight.biases(left):
        both = reasons | more
        yield Draft((weight.factors, *bias), both, is_odd=is_odd)
        for image in images:
            if left > cost(more) + image.cost:
                multiplied, odd = both | image.reasons | _MULTIPLIED, is_odd or image.cost > 0
                yield Draft(((*weight.factors, *image.numbers), *bias), multiplied, is_odd=odd)
                all_terms = ((*weight.factors, *image.numbers), *((*term, *image.numbers) for term in bias))
                yield Draft(all_terms, multiplied, is_odd=odd)
    if weight.settings.bias and left:
        yield from _in_other_forms(weight, reasons)


def _in_other_forms(weight: _Weight, reasons: Reasons) -> Iterator[Draft]:
    """Yield the sums with a wrong bias that are written with a factor 2, or with bias and weight put together."""
    inputs, outputs = math.prod((*weight.inputs, *weight.kernel)), math.prod(weight.outputs)
    yield Draft((weight.factors, (2, *weight.outputs)), reasons | _BIAS_TWICE, has_two=True)
    yield Draft(((2, *weight.factors),), reasons | _BIAS_PER_WEIGHT, has_two=True)
    yield Draft(((inputs + 1, outputs), weight.outputs), reasons | _BIAS_TWICE, is_exact=True)
    yield Draft(((inputs + 2, outputs),), reasons | _BIAS_TWICE, is_exact=True)
    if weight.inputs:
        others = math.prod((*weight.outputs, *weight.kernel))
        yield Draft(((*weight.inputs, others + 1),), reasons | _BIAS_OF_INPUTS, is_exact=True)


def _images(place: Place) -> list[Attempt]:
    """Return the image's sizes that may be multiplied into a number of parameters, after a mistake, too."""
    if place.role != "convolution":
        return []
    sizes = [Attempt(place.layer.input_shape or ()), *place.chains.ways(place.position, place.carried)]
    return list(dict.fromkeys(Attempt(way.numbers[1:], way.reasons) for way in sizes if way.cost < MOST_MISTAKES))


def _products(terms: Terms) -> list[int]:
    return sorted(math.prod(term) for term in terms)
