"""The mistakes of thought that can be made in a cell of Annexe 1, one after the other; no code of the marker is used.

A mistake is a small step on the record of a layer's numbers; what a record amounts to is worked out at the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from core.exam.sheet import Kind
from core.networks.layer_table import Layer, LayerTable
from tests.core.exam.sizes_on_the_way import Sizes, made_by_itself, on_the_way, sizes

Terms = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Mistake:
    """A mistake, with what tells it from others of its kind."""

    kind: Kind
    layer: str = ""
    """Layer in which it is made, or that something is taken from; for a slip, what is written."""
    what: str = ""
    """What is mistaken; for a slip, what should be written."""


Mistakes = frozenset[Mistake]


@dataclass(frozen=True)
class Written:
    """An answer: a sum with or without its value, a number alone, or the sides of a size."""

    terms: Terms = ()
    value: int | None = None
    sides: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        return sum(map(math.prod, self.terms))

    @property
    def text(self) -> str:
        written = "×".join(map(str, self.sides)) or " + ".join("×".join(map(str, term)) for term in self.terms)
        beside = "" if self.value is None else str(self.value)
        return " = ".join(part for part in (written, beside) if part)


@dataclass(frozen=True)
class Record:
    """What somebody believes of a layer."""

    place: int
    astray: frozenset[tuple[Kind, int]] = frozenset()
    """Mistakes on the way to the layer, with the places of the layers in which they are made."""
    inputs: tuple[int, ...] | None = None
    """Number of inputs, as factors; None for what comes from the layers before."""
    outputs: int = 0
    kernel: tuple[int, ...] = ()
    groups: int = 1
    biases: int = 0
    """How often the bias is counted."""
    bias_outputs: int | None = None
    """Number of outputs that the biases are counted for, if it is another than for the weights."""
    bias_of: Literal["outputs", "inputs", "weights", "inputs×outputs"] = "outputs"
    image: Literal["", "output", "input"] = ""
    """Image that is multiplied in."""
    image_into_bias: bool = False
    shown: Literal["all", "channels", "image"] = "all"
    channels: int | None = None
    """Channels of another layer; None for its own."""


class Tried:
    """A layer of a table, and the records that mistakes make of it."""

    def __init__(self, table: LayerTable, cell: int) -> None:
        self.layers = table.layers
        self.cell = cell

    def right(self, place: int) -> Record:
        """Return a layer's record without any mistake."""
        settings = self.layers[place].settings
        if settings is None:
            return Record(place)
        biases = int(settings.bias and settings.outputs > 0)
        return Record(place, outputs=settings.outputs, kernel=settings.kernel, groups=settings.groups, biases=biases)

    def sizes(self, record: Record) -> Sizes | None:
        return sizes(self.layers[: record.place + 1], record.astray)

    def inputs(self, record: Record) -> tuple[int, ...] | None:
        """Return the factors of the number of inputs; None if no image is left."""
        given = self.sizes(record)
        if given is None:
            return None
        if record.inputs is not None:
            return record.inputs
        return given.flattened or (given.before[0],)

    def count(self, record: Record) -> list[Terms]:
        """Return the sums that a record amounts to, each a way to write the same."""
        inputs, given = self.inputs(record), self.sizes(record)
        if inputs is None or given is None or not record.outputs or not self.layers[record.place].parameters:
            return []
        seen = (math.prod(inputs) // record.groups,) if record.groups > 1 else inputs
        weights = (*seen, record.outputs, *record.kernel)
        bias = {
            "outputs": (record.bias_outputs or record.outputs,),
            "inputs": inputs,
            "weights": weights,
            "inputs×outputs": (*seen, record.outputs),
        }[record.bias_of]
        image = {"": (), "output": given.after[1:], "input": given.before[1:]}[record.image]
        weights, bias = (*weights, *image), (*bias, *(image if record.image_into_bias else ()))
        if record.biases == 2:
            return [(weights, bias, bias), (weights, (2, *bias))] + [((2, *bias),)] * (bias == weights)
        if record.biases == 1 and bias == weights:
            return [(weights, bias), ((2, *weights),)]
        return [(weights, bias) if record.biases else (weights,)]

    def size(self, record: Record) -> list[tuple[int, ...]]:
        """Return the sizes that a record amounts to."""
        given = self.sizes(record)
        if given is None:
            return []
        sides = given.flattened if self._is_flatten(record.place) and record.place == self.cell else given.after
        if record.channels or len(sides) == 3:
            sides = (record.channels or sides[0], *sides[1:])
            sides = {"all": sides, "channels": sides[:1], "image": sides[1:]}[record.shown]
        return [sides]

    def slips_of_mind(self, record: Record, column: str) -> Iterator[tuple[Mistake, Record]]:
        """Yield the mistakes that can be made next, with the records that they give."""
        yield from self._on_the_way(record)
        if column == "output":
            yield from self._of_a_size(record)
        else:
            yield from self._of_the_bias(record)
            yield from self._of_the_weights(record)
            yield from self._of_the_inputs(record)
        yield from self._of_another_layer(record, column)

    def _on_the_way(self, record: Record) -> Iterator[tuple[Mistake, Record]]:
        for kind, place in on_the_way(self.layers[: record.place + 1]):
            if all(place != other or kind[:4] != made[:4] for made, other in record.astray):
                astray = record.astray | {(kind, place)}
                yield Mistake(kind, self.layers[place].name), replace(record, astray=astray)

    def _of_a_size(self, record: Record) -> Iterator[tuple[Mistake, Record]]:
        if record.shown != "all" or (self._is_flatten(record.place) and record.place != self.cell):
            return
        is_flat = self._is_flatten(self.cell)
        if record.place == self.cell or self._number_of_outputs(self.layers[record.place]):
            yield Mistake("channels_for_flattened" if is_flat else "channels_alone"), replace(record, shown="channels")
        yield Mistake("image_for_flattened" if is_flat else "image_alone"), replace(record, shown="image")

    def _is_flatten(self, place: int) -> bool:
        return self.layers[place].type == "Flatten"

    def _of_the_bias(self, record: Record) -> Iterator[tuple[Mistake, Record]]:
        settings = self.layers[record.place].settings
        if record.biases:
            yield Mistake("bias_forgotten"), replace(record, biases=0)
            yield Mistake("bias_twice"), replace(record, biases=2)
            yield Mistake("bias_of_inputs"), replace(record, bias_of="inputs")
            yield Mistake("bias_per_weight", what="all"), replace(record, bias_of="weights")
            yield Mistake("bias_per_weight", what="sides"), replace(record, bias_of="inputs×outputs")
        elif settings is not None and not settings.bias:
            yield Mistake("bias_added"), replace(record, biases=1)

    def _of_the_weights(self, record: Record) -> Iterator[tuple[Mistake, Record]]:
        if record.groups > 1:
            yield Mistake("groups_ignored"), replace(record, groups=1)
        if not record.kernel:
            return
        yield Mistake("input_channels_forgotten"), replace(record, inputs=(1,), groups=1)
        for side in set(record.kernel) if len(record.kernel) > 1 else ():
            yield Mistake("kernel_side", what=str(side)), replace(record, kernel=(side,))
        for image in ("output", "input") if not record.image else ():
            for into_bias in (False, True):
                changed = replace(record, image=image, image_into_bias=into_bias)
                yield Mistake("image_multiplied", what=f"{image}{into_bias}"), changed

    def _of_the_inputs(self, record: Record) -> Iterator[tuple[Mistake, Record]]:
        given = self.sizes(record)
        if given is not None and given.flattened and not record.kernel and record.inputs is None:
            yield Mistake("channels_for_flattened"), replace(record, inputs=given.flattened[:1])
            yield Mistake("image_for_flattened"), replace(record, inputs=given.flattened[1:])

    def _of_another_layer(self, record: Record, column: str) -> Iterator[tuple[Mistake, Record]]:
        for place, layer in enumerate(self.layers):
            if place in (record.place, self.cell) or not made_by_itself(layer):
                continue
            whole = self.right(place)
            if column == "output" or whole.outputs:
                yield Mistake("other_layer", layer.name, "whole"), replace(whole, astray=frozenset())
            number = self._number_of_outputs(layer)
            if column == "output" and number:
                yield Mistake("other_layer", layer.name, "channels"), replace(record, channels=number)
            if column == "parameters" and number and record.outputs:
                yield Mistake("other_layer", layer.name, "inputs"), replace(record, inputs=(number,))
                yield Mistake("other_layer", layer.name, "outputs"), replace(record, outputs=number)
                if record.biases and record.bias_of == "outputs":
                    weights_only = replace(record, outputs=number, bias_outputs=record.outputs)
                    yield Mistake("other_layer", layer.name, "outputs of the weights"), weights_only

    def _number_of_outputs(self, layer: Layer) -> int:
        """Return how many outputs or channels a layer makes; 0 if it keeps their number."""
        return math.prod(layer.output_shape or ()) if layer.settings is None else layer.settings.outputs
