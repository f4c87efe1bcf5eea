"""Marking a layer's number of parameters: the sums that mistakes lead to, and those that an answer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product as product_of

from core.exam.chain import Chains
from core.exam.choices import Alternative, Place, inputs_choices, outputs_choices
from core.exam.matching import is_grouped, matches
from core.exam.mistakes import MOST_MISTAKES, NONE, Reasons, certain, cost, is_slip, slip
from core.exam.sheet import Reason
from core.exam.sums import Term, Terms, UnreadableAnswer, product, read_number
from core.networks.layer_table import Layer, Settings

_BIAS_FORGOTTEN, _BIAS_TWICE, _BIAS_OF_INPUTS, _BIAS_PER_WEIGHT, _BIAS_ADDED, _MULTIPLIED = (
    frozenset((Reason(kind),))
    for kind in (
        *("bias_forgotten", "bias_twice", "bias_of_inputs", "bias_per_weight", "bias_added", "image_multiplied"),
    )
)


@dataclass(frozen=True)
class Draft:
    """A sum that a student may have worked out, with the mistakes in it."""

    terms: Terms
    reasons: Reasons = NONE
    has_two: bool = False
    """True if it is only meant where a factor 2 is written."""


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
        return product(terms) == 0
    doubled = [term[1:] for term in right if term[:1] == (2,)]
    if _products(terms) in (_products(right), _products((*doubled, *doubled)) if len(right) == 1 else []):
        return True
    settings = layer.settings
    if settings is None or not settings.outputs or not settings.bias:
        return False
    together = (settings.outputs, layer.parameters // settings.outputs)
    return len(terms) == 1 and is_grouped(together, terms[0])


def explain_sum(place: Place, terms: Terms, stated: Sequence[int]) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a sum that is wrong; `stated` are the values beside it."""
    has_two = any(2 in term for term in terms)
    found = []
    for draft in drafts(place):
        if draft.has_two and not has_two:
            continue
        for slips in matches(draft.terms, terms, MOST_MISTAKES - cost(draft.reasons)):
            agrees = {*stated} <= {product(terms)} or {*stated} <= {product(draft.terms)}
            more = NONE if agrees else frozenset((Reason("value_wrong"),))
            found.append(draft.reasons | slips | more)
    return certain(found)


def explain_value(place: Place, value: int) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a number of parameters that is wrong."""
    found = []
    for draft in drafts(place):
        gives = product(draft.terms)
        if gives == value:
            found.append(draft.reasons)
        elif is_slip(value, gives) and cost(draft.reasons) < MOST_MISTAKES:
            found.append(draft.reasons | {slip(value, gives)})
    return certain(found)


def drafts(place: Place) -> Iterator[Draft]:
    """Yield the sums that up to two mistakes lead to, the right one among them; slips of digits come on top."""
    known = set()
    for draft in _own_drafts(place, MOST_MISTAKES):
        if cost(draft.reasons) <= 1:
            known.add(product(draft.terms))
        yield draft
    for position, layer in enumerate(place.layers):
        if layer.parameters and layer.parameters not in known:
            reason = Reason("other_layer", layer.parameter_sum, layer=layer.name)
            for draft in _of_other(place.chains, position):
                yield Draft(draft.terms, draft.reasons | {reason}, draft.has_two)


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
    kernels = [Alternative(settings.kernel)]
    if len(settings.kernel) > 1:
        sides = dict.fromkeys(settings.kernel)
        kernels += [Alternative((side,), frozenset((Reason("kernel_side"),))) for side in sides]
    images = _images(place)
    for kernel, one, other in product_of(kernels, inputs, outputs):
        left = most - kernel.cost - one.cost - other.cost
        if left >= 0:
            weight = _Weight(place, settings, one.factors, other.factors, kernel.factors)
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

    def biases(self, left: int) -> Iterator[tuple[Terms, Reasons]]:
        """Yield what may be taken for the bias, first what is right; with a mistake only if one is left."""
        if not self.settings.bias:
            yield (), NONE
            if left:
                yield (self.outputs,), _BIAS_ADDED
            return
        right = (self.settings.outputs,)
        yield (self.outputs,), NONE
        if self.outputs != right:
            yield (right,), NONE
        if self.place.outputs is not None:
            yield (self.place.outputs.shape[:1],), self.place.outputs.reasons
        if left:
            yield (), _BIAS_FORGOTTEN
            yield (self.outputs, self.outputs), _BIAS_TWICE
            yield (self.inputs,), _BIAS_OF_INPUTS
            yield (self.factors,), _BIAS_PER_WEIGHT
            if self.kernel:
                yield ((*self.inputs, *self.outputs),), _BIAS_PER_WEIGHT


def _with_image(weight: _Weight, images: Sequence[Term], reasons: Reasons, left: int) -> Iterator[Draft]:
    """Yield the sums of a weight with its bias, also with the image's size multiplied in, and up to `left` mistakes."""
    for bias, more in weight.biases(left):
        both = reasons | more
        yield Draft((weight.factors, *bias), both)
        if left > cost(more):
            for image in images:
                yield Draft(((*weight.factors, *image), *bias), both | _MULTIPLIED)
                yield Draft(((*weight.factors, *image), *((*term, *image) for term in bias)), both | _MULTIPLIED)
    if weight.settings.bias and left:  # written with a factor 2
        yield Draft((weight.factors, (2, *weight.outputs)), reasons | _BIAS_TWICE, has_two=True)
        yield Draft(((2, *weight.factors),), reasons | _BIAS_PER_WEIGHT, has_two=True)


def _images(place: Place) -> list[Term]:
    """Return the image's sizes that may be multiplied into a convolution's number of parameters."""
    shapes = (place.layer.output_shape, place.layer.input_shape)
    return list(dict.fromkeys(shape[1:] for shape in shapes if shape)) if place.role == "convolution" else []


def _products(terms: Terms) -> list[int]:
    return sorted(math.prod(term) for term in terms)
