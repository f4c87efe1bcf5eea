"""All sets of one or two mistakes that yield an answer of Annexe 1, found by trying them: no code of the marker is used.

A mistake is a small step on the record of a layer's numbers; what a record amounts to is worked out at the end. So a
set of two mistakes is two steps, one after the other.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, permutations
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
                changed = replace(record, image=image, image_into_bias=into_bias)  # type: ignore[arg-type]
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
            if column == "output" and number and not self._is_flatten(place):
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


class Sets:
    """The smallest sets of mistakes that yield the answers of a cell."""

    def __init__(self, tried: Tried, place: int, column: str) -> None:
        self.column = column
        layer = tried.layers[place]
        self.is_flatten = layer.type == "Flatten"
        self.ways: list[dict[Mistakes, list[Written]]] = [{}, {}, {}]
        """Answers by the mistakes that yield them, for none, one and two mistakes of thought."""
        self._by_key: list[dict[object, set[tuple[Mistakes, Written]]]] = [defaultdict(set) for _level in range(3)]
        self._only_grouped = False
        self._add(tried, frozenset(), tried.right(place), 0)
        for one, record in tried.slips_of_mind(tried.right(place), column):
            self._add(tried, frozenset({one}), record, 1)
            for other, twice in tried.slips_of_mind(record, column):
                if other != one:
                    self._add(tried, frozenset({one, other}), twice, 2)
        if column == "parameters" and not layer.parameters:
            self._by_key[0][0].add((frozenset(), Written(value=0)))

    def _add(self, tried: Tried, mistakes: Mistakes, record: Record, level: int) -> None:
        if self.column == "output":
            found = [Written(sides=sides) for sides in tried.size(record)]
        else:
            found = [Written(terms) for terms in tried.count(record)]
        self.ways[level].setdefault(mistakes, []).extend(found)
        for written in found:
            for key in self._keys(written):
                self._by_key[level][key].add((mistakes, written))

    def _keys(self, written: Written) -> Iterator[object]:
        """Yield what an answer that a record amounts to is recognised by."""
        if written.terms:
            doubled = any(term[0] == 2 for term in written.terms)
            yield ("doubled" if doubled else "", _products(written.terms))
            yield written.total
            return
        yield written.sides
        if len(written.sides) == 3:
            yield (*written.sides[1:], written.sides[0])
        if self.is_flatten:
            yield math.prod(written.sides)

    def _known(self, written: Written, level: int) -> set[Mistakes]:
        """Return the sets of mistakes of thought that yield just what is written."""
        if written.sides:
            keys: list[object] = [written.sides, *([math.prod(written.sides)] if self.is_flatten else [])]
        elif written.terms and (len(written.terms) > 1 or len(written.terms[0]) > 1):
            keys = [("", _products(written.terms))]
            if any(2 in term for term in written.terms):
                keys.append(("doubled", _products(written.terms)))
        else:
            keys = [written.value if not written.terms else written.terms[0][0]]
        found = {known for key in keys for known in self._by_key[level].get(key, ())}
        if not self._only_grouped or len(written.terms or written.sides) == 0 or not isinstance(keys[0], tuple):
            return {mistakes for mistakes, _way in found}
        return {mistakes for mistakes, way in found if _grouped_alike(written, way)}

    def smallest(self, written: Written, *, only_grouped: bool = False) -> set[Mistakes]:
        """Return the smallest sets that yield an answer; none if no set of at most two does.

        A value beside a sum may be wrong besides: it is one more mistake. Terms are alike if their products are; with
        `only_grouped` if their factors are the same but for being grouped, so that 80×12 is not 48×20.
        """
        self._only_grouped = only_grouped
        for level in range(4 if written.terms and written.value not in (None, written.total) else 3):
            if found := set(self._sets(written, level)):
                return _of_the_special(found)
        return set()

    def _sets(self, written: Written, level: int) -> Iterator[Mistakes]:
        """Yield the sets of `level` mistakes that yield an answer."""
        if written.terms and written.value is not None:
            yield from self._beside_its_value(written.terms, written.value, level)
            return
        yield from self._known(written, level)
        if level:
            for slip, before in _unslipped(written):
                if level == 1 or self._is_near(before):
                    yield from (rest | {slip} for rest in self._sets(before, level - 1) if not _is_again(slip, rest))
                else:
                    yield from (rest | {slip} for rest in self._known(before, 1))

    def _beside_its_value(self, terms: Terms, value: int, level: int) -> Iterator[Mistakes]:
        """Yield the sets of an answer whose value is not the sum's: it was wrong, or the sum was miswritten later."""
        alone = Written(terms)
        if alone.total == value:
            yield from self._sets(alone, level)
        elif level:
            yield from (rest | {Mistake("value_wrong")} for rest in self._sets(alone, level - 1))
            for slip, before in _unslipped(alone):
                if before.total == value:
                    yield from (rest | {slip} for rest in self._sets(before, level - 1))

    def _is_near(self, written: Written) -> bool:
        """Tell whether one more slip could lead to the right answer, so that it is worth looking for it."""
        if not written.terms:
            return True
        rights = [Counter(key[1]) for key in self._by_key[0] if isinstance(key, tuple)]
        return any((right - Counter(_products(written.terms))).total() <= 1 for right in rights)


def _of_the_special(found: set[Mistakes]) -> set[Mistakes]:
    """Leave out "of another layer" where a more special mistake says the same: names of one mistake are one."""
    return {mistakes for mistakes in found if not any(_says_it_better(other, mistakes) for other in found)}


def _says_it_better(special: Mistakes, mistakes: Mistakes) -> bool:
    instead, general = special - mistakes, mistakes - special
    return (
        len(instead) == len(general) == 1
        and next(iter(general)).kind == "other_layer"
        and next(iter(instead)).kind not in ("other_layer", "slip", "value_wrong")
    )


def _is_again(slip: Mistake, rest: Mistakes) -> bool:
    """Tell whether a number that a slip is taken from is mended once more: two slips are in two numbers."""
    return any(other.kind == "slip" and other.layer == slip.what for other in rest)


def _grouped_alike(written: Written, way: Written) -> bool:
    if written.sides:
        same = (way.sides, (*way.sides[1:], *way.sides[:1]))
        return len(written.sides) == 1 or written.sides in same
    some, others = written.terms, way.terms
    return len(some) == len(others) and any(
        all(_is_grouped(one, other) or _is_grouped(other, one) for one, other in zip(some, order, strict=True))
        for order in permutations(others)
    )


def _is_grouped(groups: tuple[int, ...], factors: tuple[int, ...]) -> bool:
    """Tell whether each group is a product of some of the factors, and each factor is in a group."""
    groups, factors = (tuple(each for each in numbers if each != 1) for numbers in (groups, factors))
    if not groups:
        return not factors
    return any(
        math.prod(chosen) == groups[0]
        and _is_grouped(groups[1:], tuple((Counter(factors) - Counter(chosen)).elements()))
        for size in range(1, len(factors) + 1)
        for chosen in combinations(factors, size)
    )


def _products(terms: Terms) -> tuple[int, ...]:
    return tuple(sorted(map(math.prod, terms)))


def _unslipped(written: Written) -> Iterator[tuple[Mistake, Written]]:
    """Yield what may have been meant by an answer that holds one slip of digits."""
    if written.sides:
        for slip, sides in _changed(written.sides):
            yield slip, replace(written, sides=sides)
    elif written.terms:
        for place, term in enumerate(written.terms):
            for slip, meant in _changed(term):
                yield slip, replace(written, terms=(*written.terms[:place], meant, *written.terms[place + 1 :]))
    elif written.value is not None:
        for slip, (value,) in _changed((written.value,)):
            yield slip, replace(written, value=value)


def _changed(numbers: tuple[int, ...]) -> Iterator[tuple[Mistake, tuple[int, ...]]]:
    for place, number in enumerate(numbers):
        for meant in slipped(number):
            yield (
                Mistake("slip", str(number), str(meant)),
                (*numbers[:place], meant, *numbers[place + 1 :]),
            )


@cache
def slipped(number: int) -> tuple[int, ...]:
    """Return the numbers that differ from a number by one digit, or by two neighbouring digits exchanged."""
    digits = str(number)
    if len(digits) < 2:
        return ()
    found = {digits[:at] + digit + digits[at + 1 :] for at in range(len(digits)) for digit in "0123456789"}
    found |= {digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :] for at in range(len(digits) - 1)}
    return tuple(sorted(int(each) for each in found if each != digits and each[0] != "0"))


def sets_of(table: LayerTable) -> Callable[[int, str], Sets]:
    """Return what gives the sets of a table's cells, each worked out once."""

    @cache
    def of_cell(place: int, column: str) -> Sets:
        return Sets(Tried(table, place), place, column)

    return of_cell
