"""Marking the size of a layer's output."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Literal

from core.exam.chain import Chains, Shape
from core.exam.choices import Place, of_other_layers, outputs_choices
from core.exam.mistakes import MOST_MISTAKES, NONE, Attempt, Reasons, certain, cost, is_slip, slip
from core.exam.sheet import Reason
from core.exam.sums import WrittenSize
from core.networks.layer_table import Layer
from core.networks.shapes import times

_BATCHES = (1, 64)
"""Sizes that a batch has where people write one down: of one image, and the exam's."""


_PARTS = ("channels_alone", "image_alone", "channels_for_flattened", "image_for_flattened")
"""Mistakes that only the size of an image can have, and then those of an image that is flattened."""


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


def _matching(answered: Attempt, written: Shape, may_be_product: bool) -> Iterator[Reasons]:
    most_slips = MOST_MISTAKES - answered.cost
    for sides in _spellings(answered.numbers):
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


def _answered(place: Place, may_be_product: bool) -> Iterator[Attempt]:
    """Yield the sizes that up to two mistakes lead to.

    That of another layer may have a mistake of its own. It is none that this layer's own calculation gives.
    """
    is_image = len(place.layer.output_shape or ()) > 1
    parts = () if is_image else _PARTS[:2] if place.role == "flatten" else _PARTS
    own = [*_own(place), *(_as_sides(place) if may_be_product else ())]
    yield from own
    known = {each.numbers for each in own if each.cost <= 1 and not _has_other(each.reasons)}
    for position, layer in enumerate(place.layers):
        shape = layer.output_shape or ()
        is_known = shape in known or (may_be_product and (math.prod(shape),) in known)
        if not shape or is_known:
            continue
        reason = Reason("other_layer", times(shape), layer=layer.name)
        for each in _of_other(place.chains, position):
            if each.numbers not in known and not any(one.kind in parts for one in each.reasons):
                yield Attempt(each.numbers, each.reasons | {reason})


@lru_cache(maxsize=256)
def _of_other(chains: Chains, position: int) -> tuple[Attempt, ...]:
    """Return the sizes that at most one mistake leads to in another layer's row."""
    return tuple(each for each in _own(Place(chains, position, {})) if each.cost < MOST_MISTAKES)


def _has_other(reasons: Reasons) -> bool:
    return any(reason.kind == "other_layer" for reason in reasons)


def _own(place: Place) -> Iterator[Attempt]:
    layer = place.layer
    does = place.role
    settings = layer.settings
    if does == "linear" and settings is not None and len(layer.output_shape or ()) == 1:
        yield from (Attempt((math.prod(each.numbers),), each.reasons) for each in outputs_choices(place, settings))
        return
    if does == "other":
        yield Attempt(layer.output_shape or (), NONE)
        return
    for way in place.chains.ways(place.position, place.carried):
        yield from _with_channels(place, way)
    if does == "flatten":
        yield from _unflattened(place)


def _with_channels(place: Place, way: Attempt) -> Iterator[Attempt]:
    """Yield a size with the number of channels there is, and with others; also without the image's size."""
    channels, *image = way.numbers
    choices = [Attempt((channels,))]
    if image and place.outputs is not None:
        choices.append(Attempt(place.outputs.numbers[:1], place.outputs.reasons))
    if place.role != "flatten":
        choices += of_other_layers(place, choices)
    for choice in choices:
        reasons = way.reasons | choice.reasons
        number = (math.prod(choice.numbers),)
        if cost(reasons) <= MOST_MISTAKES:
            yield Attempt((*number, *image), reasons)
        alone = reasons | {Reason("channels_alone")}
        if image and cost(alone) <= MOST_MISTAKES:
            yield Attempt(number, alone)
    alone = way.reasons | {Reason("image_alone")}
    if image and cost(alone) <= MOST_MISTAKES:
        yield Attempt(tuple(image), alone)


def _as_sides(place: Place) -> Iterator[Attempt]:
    """Yield the sizes of a flattened image that are written as its sides, also without a single channel."""
    if place.role == "flatten":
        for way in place.chains.ways_into(place.position, place.carried):
            channels, *image = way.numbers
            right = [Attempt((channels,))]
            for choice in [*right, *(each for each in of_other_layers(place, right) if len(each.numbers) == 1)]:
                reasons = way.reasons | choice.reasons
                if cost(reasons) <= MOST_MISTAKES:
                    yield Attempt((*choice.numbers, *image), reasons)
            if channels == 1:
                yield Attempt(tuple(image), way.reasons)


def _unflattened(place: Place) -> Iterator[Attempt]:
    """Yield what may be taken for the size of a flattened image."""
    for way in place.chains.ways_into(place.position, place.carried):
        channels, *image = way.numbers
        for sides, kind in (((channels,), "channels_for_flattened"), ((math.prod(image),), "image_for_flattened")):
            reasons = way.reasons | {Reason(kind)}  # type: ignore[arg-type]
            if image and channels > 1 and cost(reasons) <= MOST_MISTAKES:
                yield Attempt(sides, reasons)
