"""The smallest sets of mistakes that yield an answer of Annexe 1, found by trying all sets of one or two."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations, permutations

from core.networks.layer_table import LayerTable
from tests.core.exam.brute_force import Mistake, Mistakes, Record, Terms, Tried, Written


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
                    yield from (rest | {slip} for rest in self._sets(before, level - 1) if not _is_again(slip, rest))

    def _is_near(self, written: Written) -> bool:
        """Tell whether one more slip could lead to the right answer, so that it is worth looking for it."""
        if not written.terms:
            return True
        rights: list[Counter[int]] = [Counter(key[1]) for key in self._by_key[0] if isinstance(key, tuple)]
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
    """Yield what may have been meant by an answer that holds one slip of digits.

    A number that was misread once, and written so in several terms, is one slip.
    """
    if written.sides:
        for slip, sides in _changed(written.sides):
            yield slip, replace(written, sides=sides)
    elif written.terms:
        for place, term in enumerate(written.terms):
            for slip, meant in _changed(term):
                terms = (*written.terms[:place], meant, *written.terms[place + 1 :])
                yield slip, replace(written, terms=terms)
                if place == 0 and all(int(slip.layer) in other for other in terms[1:]):
                    others = (_replaced(other, int(slip.layer), int(slip.what)) for other in terms[1:])
                    yield slip, replace(written, terms=(meant, *others))
    elif written.value is not None:
        for slip, (value,) in _changed((written.value,)):
            yield slip, replace(written, value=value)


def _replaced(numbers: tuple[int, ...], number: int, other: int) -> tuple[int, ...]:
    at = numbers.index(number)
    return (*numbers[:at], other, *numbers[at + 1 :])


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
