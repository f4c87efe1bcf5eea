"""When a sum that is written is one that was worked out: with factors put together, and with slips of digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from itertools import permutations, product

from core.exam.mistakes import NONE, Reasons, is_slip, slip
from core.exam.sums import Term, Terms

_MOST_TERMS = 4
_MOST_FACTORS = 9
"""Factors of the longest term that is put together in every way."""


def matches(drafted: Terms, written: Terms, most_slips: int, *, by_value: bool) -> set[Reasons]:
    """Return the slips, of each way to see a written sum as a drafted one, with some slips at most.

    Factors may be put together, as in `784·512` for `28·28·512`; that the products are the same is enough only
    `by_value`.
    """
    if len(drafted) != len(written) or len(written) > _MOST_TERMS:
        return set()
    if not most_slips and sorted(map(math.prod, drafted)) != sorted(map(math.prod, written)):
        return set()
    wanted = [bare(term) for term in written]
    found: set[Reasons] = set()
    for order in permutations([bare(term) for term in drafted]):
        pairs = zip(order, wanted, strict=True)
        ways = [_of_product(*pair) if by_value else _of_term(*pair, most_slips) for pair in pairs]
        found.update(NONE.union(*chosen) for chosen in product(*ways))
    return {slips for slips in found if len(slips) <= most_slips}


@lru_cache(maxsize=1 << 14)
def _of_product(factors: Term, wanted: Term) -> frozenset[Reasons]:
    """Return the slips, none or one, with which the numbers wanted have the same product as factors."""
    product_there, given = math.prod(factors), math.prod(wanted)
    if given == product_there:
        return frozenset((NONE,))
    slips = ((each, product_there * each // given) for each in wanted if given and product_there * each % given == 0)
    return frozenset(frozenset((slip(*pair),)) for pair in slips if is_slip(*pair))


def bare(term: Term) -> Term:
    """Return a term's factors in order, without ones."""
    return tuple(sorted(factor for factor in term if factor != 1))


def is_grouped(factors: Term, wanted: Term) -> bool:
    """Tell if a term's factors can be multiplied with one another so that they are those wanted."""
    return NONE in _of_term(bare(factors), bare(wanted), 0)


@lru_cache(maxsize=1 << 14)
def _of_term(factors: Term, wanted: Term, most_slips: int) -> frozenset[Reasons]:
    if not len(wanted) <= len(factors) <= _MOST_FACTORS:
        return frozenset((NONE,)) if factors == wanted else frozenset()
    found = frozenset(_assigned(factors, wanted, most_slips))
    return frozenset((NONE,)) if NONE in found else found


def _assigned(factors: Term, wanted: Term, most_slips: int) -> Iterator[Reasons]:
    """Yield the slips of each way to give every number wanted some of the factors, until none is left."""
    if not wanted:
        if not factors:
            yield NONE
        return
    number = wanted[-1]
    for chosen, rest in _splits(factors):
        together = math.prod(chosen)
        slips: Reasons = NONE
        if together != number:
            if not most_slips or not is_slip(number, together):
                continue
            slips = frozenset((slip(number, together),))
        for others in _assigned(rest, wanted[:-1], most_slips - len(slips)):
            yield others | slips


@lru_cache(maxsize=1 << 12)
def _splits(factors: Term) -> tuple[tuple[Term, Term], ...]:
    """Return each choice of some factors, and what it leaves."""
    found = {}
    for number in range(1, 1 << len(factors)):
        chosen = tuple(factor for place, factor in enumerate(factors) if number >> place & 1)
        found[chosen] = tuple(factor for place, factor in enumerate(factors) if not number >> place & 1)
    return tuple(found.items())
