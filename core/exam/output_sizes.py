"""Marking the size of a layer's output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from core.exam.chain import Chains, Shape, Way
from core.exam.choices import Alternative, Place, of_other_layers, outputs_choices
from core.exam.mistakes import MOST_MISTAKES, NONE, Reasons, certain, cost, is_slip, slip
from core.exam.sheet import Reason
from core.exam.sums import WrittenSize
from core.networks.layer_table import Layer

_BATCHES = (1, 64)
"""Sizes that a batch has where people write one down: of one image, and the exam's."""


_PARTS = ("channels_alone", "image_alone", "channels_for_flattened", "image_for_flattened")
"""Mistakes that only the size of an image can have, and then those of an image that is flattened."""


@dataclass(frozen=True)
class _Answered:
    """A size that a student may have arrived at, with the mistakes in it."""

    sides: Shape
    reasons: Reasons


Rightness = Literal["right", "one_number", "batch", "sides", "wrong"]
"""Whether a size is right, or which form it should have."""


def rightness(layer: Layer, size: WrittenSize) -> Rightness:
    """Return whether a size is that of a layer's output, written in a usual way or otherwise."""
    right = layer.output_shape or ()
    if size.says_otherwise:
        return "wrong"
    if size.sides in _spellings(right):
        return "right"
    with_batch = len(size.sides) == len(right) + 1 and size.sides[0] in _BATCHES
    if with_batch and size.sides[1:] in _spellings(right):
        return "batch"
    if len(right) == 1 and size.is_product and math.prod(size.sides) == right[0]:
        return "right" if size.has_value else "one_number"
    flat = len(right) > 1 and size.sides in ((math.prod(right),), (right[0], math.prod(right[1:])))
    if len(right) == 1 and size.sides in ((*right, 1), (*right, 1, 1)):
        return "batch"
    return "sides" if flat else "wrong"


def explain_size(place: Place, sizes: Sequence[WrittenSize]) -> tuple[Reason, ...]:
    """Return the mistakes that are certain in a size that is wrong, as it is most likely meant."""
    if sizes[0].says_otherwise and rightness(place.layer, WrittenSize(sizes[0].sides, True, True)) != "wrong":
        return (Reason("value_wrong"),)
    for size in sizes:
        may_be_product = size.is_product and place.role == "flatten"
        answered = _answered(place, may_be_product)
        found = [reasons for each in answered for reasons in _matching(each, size.sides, may_be_product)]
        if found:
            more = frozenset((Reason("value_wrong"),)) if size.says_otherwise else NONE
            odd = [reasons | more for reasons in found if _is_odd(reasons)]
            return certain([reasons | more for reasons in found if not _is_odd(reasons)], odd)
    return ()


def _is_odd(reasons: Reasons) -> bool:
    """Tell if nobody would think of these mistakes first: two slips, or one in the size of another layer."""
    slips = sum(reason.kind == "slip" and not reason.carried_from for reason in reasons)
    return slips > 1 or (slips == 1 and _has_other(reasons))


def _spellings(shape: Shape) -> tuple[Shape, ...]:
    """Return a size with the channels first, as torch has them, and last."""
    return (shape, (*shape[1:], *shape[:1])) if len(shape) > 2 else (shape,)


def _matching(answered: _Answered, written: Shape, may_be_product: bool) -> Iterator[Reasons]:
    most_slips = MOST_MISTAKES - cost(answered.reasons)
    for sides in _spellings(answered.sides):
        if written == sides or (may_be_product and sides == (math.prod(written),)):
            yield answered.reasons
        elif len(written) == len(sides):
            wrong = [pair for pair in zip(written, sides, strict=True) if pair[0] != pair[1]]
            if len(wrong) <= most_slips and all(is_slip(*pair) for pair in wrong):
                yield answered.reasons | _slips(wrong)


def _slips(wrong: Sequence[tuple[int, int]]) -> Reasons:
    """Return a slip for each side that is wrong: the same one twice counts twice."""
    found = {slip(*pair) for pair in wrong}
    if len(found) < len(wrong):
        written, right = wrong[0]
        found.add(Reason("slip", f"{written}×{written}", f"{right}×{right}"))
    return frozenset(found)


def _answered(place: Place, may_be_product: bool) -> Iterator[_Answered]:
    """Yield the sizes that up to two mistakes lead to.

    That of another layer may have a mistake of its own. It is none that this layer's own calculation gives.
    """
    is_image = len(place.layer.output_shape or ()) > 1
    parts = () if is_image else _PARTS[:2] if place.role == "flatten" else _PARTS
    own = [*_own(place), *(_as_sides(place) if may_be_product else ())]
    yield from own
    known = {each.sides for each in own if cost(each.reasons) <= 1 and not _has_other(each.reasons)}
    for position, layer in enumerate(place.layers):
        shape = layer.output_shape or ()
        is_known = shape in known or (may_be_product and (math.prod(shape),) in known)
        if not shape or is_known:
            continue
        reason = Reason("other_layer", "×".join(map(str, shape)), layer=layer.name)
        for each in _of_other(place.chains, position):
            if each.sides not in known and not any(one.kind in parts for one in each.reasons):
                yield _Answered(each.sides, each.reasons | {reason})


@lru_cache(maxsize=256)
def _of_other(chains: Chains, position: int) -> tuple[_Answered, ...]:
    """Return the sizes that at most one mistake leads to in another layer's row."""
    return tuple(each for each in _own(Place(chains, position, {})) if cost(each.reasons) < MOST_MISTAKES)


def _has_other(reasons: Reasons) -> bool:
    return any(reason.kind == "other_layer" for reason in reasons)


def _own(place: Place) -> Iterator[_Answered]:
    layer = place.layer
    does = place.role
    settings = layer.settings
    if does == "linear" and settings is not None and len(layer.output_shape or ()) == 1:
        yield from (_Answered((math.prod(each.factors),), each.reasons) for each in outputs_choices(place, settings))
        return
    if does == "other":
        yield _Answered(layer.output_shape or (), NONE)
        return
    for way in place.chains.ways(place.position, place.carried):
        yield from _with_channels(place, way)
    if does == "flatten":
        yield from _unflattened(place)


def _with_channels(place: Place, way: Way) -> Iterator[_Answered]:
    """Yield a size with the number of channels there is, and with others; also without the image's size."""
    channels, *image = way.shape
    choices = [Alternative((channels,))]
    if image and place.outputs is not None:
        choices.append(Alternative(place.outputs.shape[:1], place.outputs.reasons))
    if place.role != "flatten":
        choices += of_other_layers(place, choices)
    for choice in choices:
        reasons = way.reasons | choice.reasons
        number = (math.prod(choice.factors),)
        if cost(reasons) <= MOST_MISTAKES:
            yield _Answered((*number, *image), reasons)
        alone = reasons | {Reason("channels_alone")}
        if image and cost(alone) <= MOST_MISTAKES:
            yield _Answered(number, alone)
    alone = way.reasons | {Reason("image_alone")}
    if image and cost(alone) <= MOST_MISTAKES:
        yield _Answered(tuple(image), alone)


def _before(place: Place) -> list[Way]:
    """Return the ways to the size of the image that is flattened."""
    if place.position and place.layer.input_shape == place.layers[place.position - 1].output_shape:
        return place.chains.ways(place.position - 1, place.carried)
    return [Way(place.layer.input_shape or ())]


def _as_sides(place: Place) -> Iterator[_Answered]:
    """Yield the sizes of a flattened image that are written as its sides, also without a single channel."""
    if place.role == "flatten":
        for way in _before(place):
            channels, *image = way.shape
            right = [Alternative((channels,))]
            for choice in [*right, *(each for each in of_other_layers(place, right) if len(each.factors) == 1)]:
                reasons = way.reasons | choice.reasons
                if cost(reasons) <= MOST_MISTAKES:
                    yield _Answered((*choice.factors, *image), reasons)
            if channels == 1:
                yield _Answered(tuple(image), way.reasons)


def _unflattened(place: Place) -> Iterator[_Answered]:
    """Yield what may be taken for the size of a flattened image."""
    for way in _before(place):
        channels, *image = way.shape
        for sides, kind in (((channels,), "channels_for_flattened"), ((math.prod(image),), "image_for_flattened")):
            reasons = way.reasons | {Reason(kind)}  # type: ignore[arg-type]
            if image and channels > 1 and cost(reasons) <= MOST_MISTAKES:
                yield _Answered(sides, reasons)
