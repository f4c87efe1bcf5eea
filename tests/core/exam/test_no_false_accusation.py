"""No false accusation: a mistake is named only if every smallest set of mistakes that yields the answer contains it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import pytest

from core.exam.marking import mark_sheet
from core.exam.sheet import Column, Mark, Reason
from core.networks.kept_tables import built_in
from core.networks.layer_table import LayerTable
from tests.core.exam.brute_force import Mistake, Mistakes, Written
from tests.core.exam.smallest_sets import Sets, sets_of, slipped

COLUMNS: tuple[Column, ...] = ("parameters", "output")


@dataclass(frozen=True)
class Cell:
    """A cell to fill in, with the sets of mistakes that yield its answers."""

    table: LayerTable
    place: int
    column: Column
    sets: Sets

    def mark(self, written: Written) -> Mark:
        """Mark an answer alone, in an otherwise empty sheet."""
        answers = tuple({self.column: written.text} if at == self.place else {} for at in range(len(self.table.layers)))
        marks = mark_sheet(self.table, answers).marks
        name = self.table.layers[self.place].name
        return next(mark for mark in marks if (mark.layer, mark.column) == (name, self.column))

    def accused(self, written: Written) -> str:
        """Return a line that tells of a false accusation; empty if there is none."""
        mark = self.mark(written)
        if not _unfounded(mark, self.sets.smallest(written)):
            return ""
        smallest = self.sets.smallest(written, only_grouped=True)
        if not (unfounded := _unfounded(mark, smallest)):
            return ""
        sets = sorted(sorted(f"{each.kind} {each.layer} {each.what}" for each in one) for one in smallest)
        where = f"{self.table.model} {mark.layer} {self.column}"
        return f"{where}: {written.text!r} is said to be {unfounded}; smallest sets: {sets}"


def _unfounded(mark: Mark, smallest: set[Mistakes]) -> list[str]:
    """Return the reasons of a mark that not every smallest set contains."""
    return [
        f"{reason.kind} {reason.layer} {reason.written} {reason.expected}"
        for reason in mark.reasons
        if not smallest or not all(any(_is(reason, mistake) for mistake in mistakes) for mistakes in smallest)
    ]


_OF_A_LAYER = ("other_layer", "pool_not_applied", "pool_twice", "padding_forgotten", "stride_forgotten")


def _is(reason: Reason, mistake: Mistake) -> bool:
    of_a_layer = reason.layer if reason.kind in _OF_A_LAYER else ""
    return reason.kind == mistake.kind and of_a_layer in ("", mistake.layer)


@pytest.fixture(scope="module")
def cells(own_tables: tuple[LayerTable, ...]) -> list[Cell]:
    tables = (*(table for table in built_in().values() if table.model in ("RN_1", "RN_2")), *own_tables)
    return [cell for table in tables for cell in _cells(table)]


@pytest.fixture(scope="module")
def own_tables() -> tuple[LayerTable, ...]:
    """Return tables of networks with strides, other kernels and paddings, groups, and without biases."""
    from torch import nn

    from core.networks.tabulate import layer_table

    networks = {
        "strided": nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(12, 24, (3, 5), bias=False), nn.ReLU(),
            nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24 * 6 * 5, 50), nn.ReLU(), nn.Linear(50, 10, bias=False),
        ),
        "grouped": nn.Sequential(
            nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 48, 3, padding=1, groups=4), nn.ReLU(),
            nn.Conv2d(48, 20, 1), nn.MaxPool2d(3, stride=2, padding=1), nn.Flatten(), nn.Linear(20 * 7 * 7, 10),
        ),
        "oblong": nn.Sequential(
            nn.Conv2d(1, 10, (5, 3), stride=(2, 1), padding=(2, 0)), nn.Tanh(), nn.AvgPool2d((1, 2)),
            nn.Conv2d(10, 30, 3, padding=0), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(),
            nn.Linear(30 * 6 * 6, 84), nn.Sigmoid(), nn.Linear(84, 10),
        ),
        "deep": nn.Sequential(
            nn.Flatten(), nn.Linear(784, 300, bias=False), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(),
            nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10),
        ),
    }  # fmt: skip
    return tuple(layer_table(network, name) for name, network in networks.items())


def _cells(table: LayerTable) -> Iterator[Cell]:
    sets = sets_of(table)
    for place in range(len(table.layers)):
        for column in COLUMNS:
            yield Cell(table, place, column, sets(place, column))


def test_each_way_without_mistakes_is_right(cells: list[Cell]) -> None:
    for cell in cells:
        for written in cell.sets.ways[0].get(frozenset(), []):
            assert cell.mark(written).state in ("right", "form"), (cell.table.model, cell.place, written.text)


@pytest.mark.parametrize("number", [250, pytest.param(1_000, marks=pytest.mark.alike)])
def test_no_generated_answer_is_accused_falsely(number: int, cells: list[Cell]) -> None:
    faults = []
    for cell, written in islice(_generated(cells, random.Random(20250321)), number):
        faults.append(cell.accused(written))
    assert not list(filter(None, faults)), "\n".join(filter(None, faults))


def test_each_mistake_alone_is_named_where_it_is_the_only_one(cells: list[Cell]) -> None:
    unnamed = []
    for cell in cells:
        if cell.table.model not in ("RN_1", "RN_2"):
            continue
        for mistakes, written in _single_mistakes(cell.sets):
            smallest = cell.sets.smallest(written)
            if {each.kind for other in smallest for each in other} != {each.kind for each in mistakes}:
                continue
            if not _is_plain(cell, mistakes):
                continue
            mark = cell.mark(written)
            kinds = {reason.kind for reason in mark.reasons}
            if mark.state == "wrong" and kinds != {each.kind for each in mistakes}:
                where = f"{cell.table.model} {cell.table.layers[cell.place].name} {cell.column}"
                unnamed.append(f"{where}: {written.text!r} is {sorted(map(str, mistakes))}, not {sorted(kinds)}")
    assert not unnamed, "\n".join(unnamed)


def _is_plain(cell: Cell, mistakes: Mistakes) -> bool:
    """Tell whether a mistake can be expected to be named: not that of an only channel, nor channels where none are."""
    layer, mistake = cell.table.layers[cell.place], next(iter(mistakes))
    if mistake.what == "channels":
        return len(layer.output_shape or ()) == 3
    return mistake.kind != "channels_for_flattened" or layer.input_shape != (1, 28, 28)


def _single_mistakes(sets: Sets) -> Iterator[tuple[Mistakes, Written]]:
    for mistakes, ways in sets.ways[1].items():
        yield from ((mistakes, written) for written in ways)
    for right in sets.ways[0].get(frozenset(), []):
        for number in {number for numbers in (*right.terms, right.sides) for number in numbers}:
            for wrong in slipped(number)[::7]:
                yield frozenset({Mistake("slip")}), _with(right, number, wrong)
        if right.terms:
            yield frozenset({Mistake("value_wrong")}), replace(right, value=7)


def _generated(cells: list[Cell], draw: random.Random) -> Iterator[tuple[Cell, Written]]:
    """Yield answers made by one or two mistakes, or at random."""
    while True:
        cell = draw.choice(cells)
        written = draw.choice((_by_mistakes, _by_mistakes, _with_slips, _at_random))(cell, draw)
        if written is not None:
            yield cell, written


def _by_mistakes(cell: Cell, draw: random.Random) -> Written | None:
    ways = [ways for ways in cell.sets.ways[draw.choice((1, 2))].values() if ways]
    return _in_some_form(draw.choice(draw.choice(ways)), draw) if ways else None


def _with_slips(cell: Cell, draw: random.Random) -> Written | None:
    ways = [ways for ways in cell.sets.ways[draw.choice((0, 1))].values() if ways]
    if not ways:
        return None
    written = _in_some_form(draw.choice(draw.choice(ways)), draw)
    for _slip in range(draw.choice((1, 1, 2))):
        written = _with_a_slip(written, draw)
    return written


def _with_a_slip(written: Written, draw: random.Random) -> Written:
    values = () if written.value is None else (written.value,)
    numbers = [number for numbers in (*written.terms, written.sides, values) for number in numbers if number > 9]
    if not numbers:
        return written
    number = draw.choice(numbers)
    return _with(written, number, draw.choice(slipped(number)))


def _with(written: Written, number: int, wrong: int) -> Written:
    """Return an answer with a number miswritten where it stands first."""
    if number in written.sides:
        return replace(written, sides=_replaced(written.sides, number, wrong))
    for at, term in enumerate(written.terms):
        if number in term:
            terms = (*written.terms[:at], _replaced(term, number, wrong), *written.terms[at + 1 :])
            return replace(written, terms=terms)
    return replace(written, value=wrong)


def _replaced(numbers: tuple[int, ...], number: int, wrong: int) -> tuple[int, ...]:
    at = numbers.index(number)
    return (*numbers[:at], wrong, *numbers[at + 1 :])


def _in_some_form(written: Written, draw: random.Random) -> Written:
    """Return an answer as a sum, with its value or another one, or as a number alone, with its factors in any order."""
    if not written.terms:
        return written
    value = written.total
    form = draw.choice(("sum", "sum", "value", "number", "other value"))
    if form == "number":
        return Written(value=value)
    terms = tuple(_in_any_order(term, draw) for term in written.terms)
    if form == "other value":
        value = draw.choice((draw.randrange(10, 500_000), value + draw.randrange(1, 60), value * 2))
    return Written(terms, None if form == "sum" else value)


def _in_any_order(term: tuple[int, ...], draw: random.Random) -> tuple[int, ...]:
    factors = draw.sample(term, len(term))
    while len(factors) > 2 and draw.random() < 0.3:
        factors = [factors[0] * factors[1], *factors[2:]]
    return tuple(factors)


def _at_random(cell: Cell, draw: random.Random) -> Written:
    known = [number for layer in cell.table.layers for number in layer.output_shape or () if number > 1] + [3, 5, 9, 2]
    factors = [draw.choice((draw.choice(known), draw.randrange(2, 800))) for _factor in range(3)]
    if cell.column == "output":
        return Written(sides=tuple(factors[: draw.choice((1, 2, 3))]))
    if draw.random() < 0.3:
        return Written(value=draw.randrange(10, 600_000))
    terms = (tuple(factors[: draw.choice((2, 3))]), (draw.choice(known),))
    return Written(terms[: draw.choice((1, 2))])
