"""What may stand at each place of the calculation of a layer's numbers, right or by a mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from core.exam.chain import Chains, Role, Way
from core.exam.mistakes import MOST_MISTAKES, NONE, Reasons, cost, is_slip, slip
from core.exam.sheet import Reason
from core.exam.sums import Term
from core.networks.layer_table import Layer, Settings


@dataclass(frozen=True)
class Alternative:
    """What may stand at a place of a calculation: its factors, and the mistakes in them."""

    factors: Term
    reasons: Reasons = NONE

    @cached_property
    def cost(self) -> int:
        return cost(self.reasons)


@dataclass(frozen=True)
class Place:
    """A row of the table that is being marked, and what was written in other cells that is wrong."""

    chains: Chains
    position: int
    carried: Mapping[int, Way]
    """Sizes that were given for earlier layers' outputs, by position."""
    outputs: Way | None = None
    """Number of outputs that was given in an earlier cell of this row."""
    inputs: Way | None = None
    """Number of inputs that was given in an earlier cell of this row."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.chains.layers

    @property
    def layer(self) -> Layer:
        return self.layers[self.position]

    @property
    def role(self) -> Role:
        return self.chains.roles[self.position]

    def before(self) -> Way | None:
        """Return the wrong size that was given for what this layer gets."""
        position = self.position - 1
        while position >= 0 and self.layers[position].output_shape == self.layers[position + 1].input_shape:
            if position in self.carried:
                return self.carried[position]
            if self.chains.roles[position] != "same":
                return None
            position -= 1
        return None


def outputs_choices(place: Place, settings: Settings) -> list[Alternative]:
    """Return what may be taken for the number of a layer's outputs, without slips."""
    choices = [Alternative((settings.outputs,))]
    if place.outputs is not None:
        choices.append(Alternative(place.outputs.shape[:1], place.outputs.reasons))
    return [*choices, *of_other_layers(place, choices)]


def inputs_choices(place: Place, settings: Settings) -> list[Alternative]:
    """Return what may be taken for the number of a layer's inputs, without slips."""
    if settings.kernel:
        choices = [Alternative((settings.inputs // settings.groups,))]
        if settings.groups > 1:
            choices.append(Alternative((settings.inputs,), frozenset((Reason("groups_ignored"),))))
        given = place.before()
        if given is not None and len(given.shape) == len(settings.kernel) + 1 and given.shape[0] != settings.inputs:
            choices.append(Alternative((given.shape[0] // settings.groups,), given.reasons))
        choices.append(Alternative((), frozenset((Reason("input_channels_forgotten"),))))
    else:
        choices = _features(place, settings)
    if place.inputs is not None:
        choices.append(Alternative(place.inputs.shape, place.inputs.reasons))
    return [*choices, *of_other_layers(place, choices)]


def _features(place: Place, settings: Settings) -> list[Alternative]:
    """Return what may be taken for the features that a linear layer gets: after `Flatten`, an image's size."""
    layers = place.layers
    choices = [Alternative((settings.inputs,))]
    given = place.before()
    if given is not None and len(given.shape) == 1:
        choices.append(Alternative(given.shape, given.reasons))
    flatten = _flatten_before(place)
    if flatten is None:
        return choices
    ways = [Way(layers[flatten].input_shape or ())]
    if flatten and layers[flatten].input_shape == layers[flatten - 1].output_shape:
        ways = place.chains.ways(flatten - 1, place.carried)
    choices = [Alternative(ways[0].shape), *(choice for choice in choices if choice.reasons)]
    for way in ways:
        channels, *sides = way.shape
        choices.append(Alternative(way.shape, way.reasons))
        choices.append(Alternative((channels,), frozenset((Reason("channels_for_flattened"),))))
        if channels > 1:
            choices.append(Alternative(tuple(sides), way.reasons | {Reason("image_for_flattened")}))
    return _distinct(choices)


def _distinct(choices: list[Alternative]) -> list[Alternative]:
    """Return the choices that differ from the first, each once, and of no more mistakes than can be told apart."""
    right = math.prod(choices[0].factors)
    found = dict.fromkeys(choices[1:])
    return [choices[0], *(each for each in found if each.cost <= MOST_MISTAKES and math.prod(each.factors) != right)]


def _flatten_before(place: Place) -> int | None:
    """Return the position of the `Flatten` whose output a linear layer gets, maybe through layers that keep it."""
    position = place.position - 1
    layers = place.layers
    while position >= 0 and layers[position].output_shape == layers[position + 1].input_shape:
        does = place.chains.roles[position]
        if does == "flatten":
            return position if len(layers[position].input_shape or ()) > 1 else None
        if does != "same":
            return None
        position -= 1
    return None


def of_other_layers(place: Place, known: Sequence[Alternative]) -> list[Alternative]:
    """Return the numbers of other layers' outputs that stand for nothing else here."""
    taken = {math.prod(choice.factors) for choice in known if choice.cost <= 1} | {0, 1}
    right = str(math.prod(known[0].factors))
    found = []
    for layer, does in zip(place.layers, place.chains.roles, strict=True):
        number = (layer.output_shape or (0,))[0]
        if number not in taken:
            factors = layer.input_shape if does == "flatten" and layer.input_shape else (number,)
            reason = Reason("other_layer", str(number), right, layer=layer.name)
            found.append(Alternative(factors, frozenset((reason,))))
    return found


def with_slips(choices: Sequence[Alternative], written: Sequence[int]) -> list[Alternative]:
    """Add the choices in which a number that is written is a slip for one of theirs, or for all of them multiplied."""
    found = list(choices)
    for choice in choices:
        if choice.cost >= MOST_MISTAKES:
            continue
        for factors in {choice.factors, (math.prod(choice.factors),)}:
            for place, factor in enumerate(factors):
                for other in written:
                    if is_slip(other, factor):
                        slipped = (*factors[:place], other, *factors[place + 1 :])
                        found.append(Alternative(slipped, choice.reasons | {slip(other, factor)}))
    return list(dict.fromkeys(found))
