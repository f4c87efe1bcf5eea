"""Marking a layer's number of parameters: the sums that mistakes lead to, and those that an answer may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.exam.chain import role
from core.exam.choices import Alternative, Place, inputs_choices, outputs_choices, with_slips
from core.exam.mistakes import MOST_MISTAKES, NONE, Reasons, certain, cost, is_slip, slip
from core.exam.sheet import Kind, Reason
from core.exam.sums import Term, Terms, UnreadableAnswer, product, read_number
from core.networks.layer_table import Layer, Settings


@dataclass(frozen=True)
class Draft:
    """A sum that a student may have worked out, with the mistakes in it."""

    terms: Terms
    reasons: Reasons = NONE


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
    if _products(terms) == _products(right):
        return True
    settings = layer.settings
    if settings is None or not settings.outputs or not settings.bias:
        return False
    together = (settings.outputs, layer.parameters // settings.outputs)
    return len(terms) == 1 and _groups(_bare(together), _bare(terms[0]))


def explain_sum(place: Place, terms: Terms) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a sum that is wrong."""
    numbers = sorted({factor for term in terms for factor in term})
    wanted = _products(terms)
    alike = [each for each in drafts(place, numbers) if _products(each.terms) == wanted]
    same = [each for each in alike if _is_grouped(each.terms, terms)]
    return certain(each.reasons for each in same or alike)


def explain_value(place: Place, value: int) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a number of parameters that is wrong."""
    found = []
    for draft in drafts(place, ()):
        gives = product(draft.terms)
        if gives == value:
            found.append(draft.reasons)
        elif is_slip(value, gives) and cost(draft.reasons) < MOST_MISTAKES:
            found.append(draft.reasons | {slip(value, gives)})
    return certain(found)


def drafts(place: Place, written: Sequence[int]) -> Iterator[Draft]:
    """Yield the sums that up to two mistakes lead to, the right one among them.

    `written` are the numbers of the answer, among which slips are looked for.
    """
    yield from _plain_drafts(place)
    settings = place.layer.settings
    if settings is None or not settings.outputs:
        return
    inputs = with_slips(inputs_choices(place, settings), written)
    outputs = with_slips(outputs_choices(place, settings), written)
    kernels = [Alternative(settings.kernel)]
    if len(settings.kernel) > 1 and len(set(settings.kernel)) == 1:
        kernels.append(Alternative(settings.kernel[:1], frozenset((Reason("kernel_side"),))))
    for kernel in with_slips(kernels, written):
        for one in inputs:
            if cost(kernel.reasons | one.reasons) > MOST_MISTAKES:
                continue
            for other in outputs:
                reasons = kernel.reasons | one.reasons | other.reasons
                if cost(reasons) <= MOST_MISTAKES:
                    weight = _Weight(place, settings, one.factors, other.factors, kernel.factors)
                    yield from _with_image(weight, reasons, written)


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

    def biases(self, written: Sequence[int]) -> Iterator[tuple[Terms, Reasons]]:
        """Yield what may be taken for the bias: first what is right, with what stands in the weight."""
        if not self.settings.bias:
            yield (), NONE
            yield (self.outputs,), frozenset((Reason("bias_added"),))
            return
        right = (self.settings.outputs,)
        yield (self.outputs,), NONE
        if self.outputs != right:
            yield (right,), NONE
        if self.place.outputs is not None:
            yield (self.place.outputs.shape[:1],), self.place.outputs.reasons
        wrong: list[tuple[Kind, Terms]] = [
            ("bias_forgotten", ()),
            ("bias_twice", (self.outputs, self.outputs)),
            ("bias_of_inputs", (self.inputs,)),
            ("bias_per_weight", (self.factors,)),
            ("bias_per_weight", ((*self.inputs, *self.outputs),)),
        ]
        yield from ((terms, frozenset((Reason(kind),))) for kind, terms in wrong)
        slips = (each for each in written if is_slip(each, *right))
        yield from ((((other,),), frozenset((slip(other, *right),))) for other in slips)


def _with_image(weight: _Weight, reasons: Reasons, written: Sequence[int]) -> Iterator[Draft]:
    """Yield the sums of a weight with its bias, also with the image's size multiplied in."""
    images = _images(weight.place.layer)
    multiplied = frozenset((Reason("image_multiplied"),))
    for bias, more in weight.biases(written):
        both = reasons | more
        if cost(both) > MOST_MISTAKES:
            continue
        yield Draft((weight.factors, *bias), both)
        if cost(both | multiplied) <= MOST_MISTAKES:
            for image in images:
                yield Draft(((*weight.factors, *image), *bias), both | multiplied)
                yield Draft(((*weight.factors, *image), *((*term, *image) for term in bias)), both | multiplied)


def _images(layer: Layer) -> list[Term]:
    """Return the image's sizes that may be multiplied into a convolution's number of parameters."""
    if role(layer) != "convolution":
        return []
    return list(dict.fromkeys(shape[1:] for shape in (layer.output_shape, layer.input_shape) if shape))


def _plain_drafts(place: Place) -> Iterator[Draft]:
    """Yield the right sum as the table writes it, and those of the other layers, also without their last terms."""
    right = right_sum(place.layer)
    yield Draft(right)
    seen = {product(right)}
    for layer in place.layers:
        if layer.parameters and layer.parameters not in seen:
            seen.add(layer.parameters)
            reason = Reason("other_layer", layer.parameter_sum, layer=layer.name)
            terms = right_sum(layer)
            yield Draft(terms, frozenset((reason,)))
            if len(terms) > 1:
                yield Draft(terms[:-1], frozenset((reason, Reason("bias_forgotten"))))


def _products(terms: Terms) -> list[int]:
    return sorted(math.prod(term) for term in terms)


def _is_grouped(drafted: Terms, written: Terms) -> bool:
    """Tell if a sum is another one with some factors multiplied: `784·512` for `28·28·512`."""
    left = list(written)
    for term in drafted:
        match = next((each for each in left if _groups(_bare(term), _bare(each))), None)
        if match is None:
            return False
        left.remove(match)
    return not left


def _bare(term: Term) -> Term:
    return tuple(sorted(factor for factor in term if factor != 1))


def _groups(factors: Term, wanted: Term) -> bool:
    """Tell if factors can be put into groups whose products are those wanted."""
    if not wanted:
        return not factors
    target, rest = wanted[-1], wanted[:-1]
    fitting = (chosen for chosen in _subsets(factors) if math.prod(chosen) == target)
    return any(_groups(_without(factors, chosen), rest) for chosen in fitting)


def _subsets(factors: Term) -> Iterator[Term]:
    for number in range(1, 1 << len(factors)):
        yield tuple(factor for place, factor in enumerate(factors) if number >> place & 1)


def _without(factors: Term, chosen: Term) -> Term:
    left = list(factors)
    for factor in chosen:
        left.remove(factor)
    return tuple(left)
