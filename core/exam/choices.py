"""What may stand at each place of the calculation of a layer's numbers, right or by a mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.exam.chain import Chains, Role
from core.exam.mistakes import MOST_MISTAKES, Attempt, is_slip, slip
from core.exam.sheet import Reason
from core.networks.layer_table import Layer, Settings


@dataclass(frozen=True)
class Place:
    """A row of the table that is being marked, and what was written in other cells that is wrong."""

    chains: Chains
    position: int
    carried: Mapping[int, Attempt]
    """Sizes that were given for earlier layers' outputs, by position."""
    outputs: Attempt | None = None
    """Number of outputs that was given in an earlier cell of this row."""
    inputs: Attempt | None = None
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

    def before(self) -> Attempt | None:
        """Return the wrong size that was given for what this layer gets."""
        sources = self.chains.sources(self.position)
        return next((self.carried[source] for source in sources if source in self.carried), None)


def outputs_choices(place: Place, settings: Settings) -> list[Attempt]:
    """Return what may be taken for the number of a layer's outputs, without slips."""
    choices = [Attempt((settings.outputs,))]
    if place.outputs is not None:
        choices.append(Attempt(place.outputs.numbers[:1], place.outputs.reasons))
    return [*choices, *of_other_layers(place, choices)]


def inputs_choices(place: Place, settings: Settings) -> list[Attempt]:
    """Return what may be taken for the number of a layer's inputs, without slips."""
    if settings.kernel:
        choices = [Attempt((settings.inputs // settings.groups,))]
        if settings.groups > 1:
            choices.append(Attempt((settings.inputs,), frozenset((Reason("groups_ignored"),))))
        given = place.before()
        if given is not None and len(given.numbers) == len(settings.kernel) + 1 and given.numbers[0] != settings.inputs:
            choices.append(Attempt((given.numbers[0] // settings.groups,), given.reasons))
        choices.append(Attempt((), frozenset((Reason("input_channels_forgotten"),))))
    else:
        choices = _features(place, settings)
    if place.inputs is not None:
        choices.append(Attempt(place.inputs.numbers, place.inputs.reasons))
    return [*choices, *of_other_layers(place, choices)]


def _features(place: Place, settings: Settings) -> list[Attempt]:
    """Return what may be taken for the features that a linear layer gets: after `Flatten`, an image's size."""
    given = place.before()
    carried = [given] if given is not None and len(given.numbers) == 1 else []
    flatten = _flatten_before(place)
    if flatten is None:
        return [Attempt((settings.inputs,)), *carried]
    right, *_others = ways = place.chains.ways_into(flatten, place.carried)
    choices = [Attempt(right.numbers), *carried]
    for way in ways:
        channels, *sides = way.numbers
        choices += (way, Attempt((channels,), frozenset((Reason("channels_for_flattened"),))))
        if channels > 1:
            choices.append(Attempt(tuple(sides), way.reasons | {Reason("image_for_flattened")}))
    return _distinct(choices)


def _distinct(choices: list[Attempt]) -> list[Attempt]:
    """Return the choices that differ from the first, each once, and of no more mistakes than can be told apart."""
    right = math.prod(choices[0].numbers)
    found = dict.fromkeys(choices[1:])
    return [choices[0], *(each for each in found if each.cost <= MOST_MISTAKES and math.prod(each.numbers) != right)]


def _flatten_before(place: Place) -> int | None:
    """Return the position of the `Flatten` whose output a linear layer gets, maybe through layers that keep it."""
    chains = place.chains
    found = next((each for each in chains.sources(place.position) if chains.roles[each] == "flatten"), None)
    return found if found is not None and len(chains.layers[found].input_shape or ()) > 1 else None


def of_other_layers(place: Place, known: Sequence[Attempt]) -> list[Attempt]:
    """Return the numbers of other layers' outputs that stand for nothing else here."""
    taken = {math.prod(choice.numbers) for choice in known if choice.cost <= 1} | {0, 1}
    right = str(math.prod(known[0].numbers))
    found = []
    for layer, does in zip(place.layers, place.chains.roles, strict=True):
        number = (layer.output_shape or (0,))[0]
        if number not in taken:
            factors = layer.input_shape if does == "flatten" and layer.input_shape else (number,)
            reason = Reason("other_layer", str(number), right, layer=layer.name)
            found.append(Attempt(factors, frozenset((reason,))))
    return found


def with_slips(choices: Sequence[Attempt], written: Sequence[int]) -> list[Attempt]:
    """Add the choices in which a number that is written is a slip for one of theirs, or for all of them multiplied."""
    found = list(choices)
    for choice in choices:
        if choice.cost >= MOST_MISTAKES:
            continue
        for factors in {choice.numbers, (math.prod(choice.numbers),)}:
            for place, factor in enumerate(factors):
                for other in written:
                    if is_slip(other, factor):
                        slipped = (*factors[:place], other, *factors[place + 1 :])
                        found.append(Attempt(slipped, choice.reasons | {slip(other, factor)}))
    return list(dict.fromkeys(found))
