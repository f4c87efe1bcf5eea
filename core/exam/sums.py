"""Numbers, sums and sizes as people write them, read without ever being executed."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

Term = tuple[int, ...]
"""Factors of a term, without ones."""
Terms = tuple[Term, ...]

_MOST_TERMS = 64
_MOST_FACTORS = 24
_MOST_POWER = 6
_MOST_DEPTH = 20
_MOST_DIGITS = 12

_TIMES = str.maketrans(dict.fromkeys("×✕✖⨯·⋅•∙∗", "*") | dict.fromkeys("−–—‐‑‒", "-") | {"÷": "/", "∕": "/", "⁄": "/"})
_OPEN, _CLOSE = "([{⌊⌈", ")]}⌋⌉"
_WORD = re.compile(r"[^\W\d_]{2,}\.?|[_:→$]|->|(?<=\d)°")
_TOKEN = re.compile(r"\s*(?:(\d{1,3}(?:([\s,.'’_])\d{3})(?:\2\d{3})*(?!\d)|\d+)|(\*\*|\^|[-+*/x()\[\]{}⌊⌋⌈⌉]))")
_GROUPED = re.compile(r"\d{1,3}([\s,.'’_])\d{3}(\1\d{3})*")
_BATCH = re.compile(r"^[\s(\[]*(?:n|b|none|batch\w*|\?|-1)\s*[*x,; ]\s*")


class UnreadableAnswer(ValueError):
    """An answer that is no number, sum or size."""


@dataclass(frozen=True)
class WrittenNumber:
    """A number as it was written, alone or with the sum that gives it."""

    value: int
    """Number, or what the sum gives."""
    terms: Terms | None
    """Sum; None for a number alone."""
    says_otherwise: bool = False
    """True if a value beside the sum is not what it gives."""


@dataclass(frozen=True)
class WrittenSize:
    """A size as it was written, or as it may be read."""

    sides: tuple[int, ...]
    is_product: bool = False
    """True if it may also be meant as the product of its sides."""
    has_value: bool = False
    """True if its value stands beside it."""
    says_otherwise: bool = False
    """True if that is not what the product gives."""
    has_batch: bool = False
    """True if a place for the batch, such as `N`, stands before it."""


def product(terms: Terms) -> int:
    """Return what a sum gives."""
    return sum(math.prod(term) for term in terms)


def read_number(text: str) -> WrittenNumber:
    """Read a number or a sum, with or without its value, in either order. Raises `UnreadableAnswer`."""
    parts = [part for part in _plain(text).split("=") if part.strip()]
    if not parts:
        raise UnreadableAnswer
    read = [_Sum(part).read() for part in parts]
    sums = [(terms, has_operator) for terms, has_operator in read if has_operator]
    values = {product(terms) for terms, _has_operator in read}
    if not sums:
        if len(values) > 1:
            raise UnreadableAnswer
        return WrittenNumber(values.pop(), None)
    terms = sums[0][0]
    return WrittenNumber(product(terms), terms, says_otherwise=len(values) > 1)


def read_size(text: str) -> list[WrittenSize]:
    """Return the ways to read a size, the most likely one first. Raises `UnreadableAnswer`."""
    lowered = plain_signs(text).lower()
    has_batch = _BATCH.match(lowered) is not None
    parts = [part.strip() for part in _plain(_BATCH.sub("", lowered)).split("=") if part.strip()]
    read = [_sides(part) for part in parts]
    if not read or not all(read):
        raise UnreadableAnswer
    longest = max(read, key=lambda ways: len(ways[0].sides))
    values = [ways for ways in read if ways is not longest]
    if not values:
        return [WrittenSize(way.sides, way.is_product, has_batch=has_batch) for way in longest]
    given = math.prod(longest[0].sides)
    agree = all(any(math.prod(way.sides) == given for way in ways) for ways in values)
    return [
        WrittenSize(longest[0].sides, is_product=True, has_value=True, says_otherwise=not agree, has_batch=has_batch)
    ]


def _sides(part: str) -> list[WrittenSize]:
    """Return the ways to read a part of a size that has no `=`."""
    part = re.sub(r"(\d+)\s*(?:\^|\*\*)\s*2(?!\d)", r"\1*\1", part)
    if re.search(r"[-+/^⌊⌈]|\*\*", part):
        terms, _has_operator = _Sum(part).read()
        return [WrittenSize((product(terms),))]
    ways = []
    if _GROUPED.fullmatch(part):
        ways.append(WrittenSize((int(re.sub(r"\D", "", part)),)))
    bare = re.sub(r"[()\[\]{}]", " ", part).strip(" ,;")
    numbers = re.findall(r"\d+", bare)
    is_list = re.fullmatch(r"\d+(?:[\s*x,;]+\d+)*", bare) is not None
    if is_list and len(numbers) <= _MOST_FACTORS and max(map(len, numbers)) <= _MOST_DIGITS:
        sides = tuple(map(int, numbers))
        ways.insert(0, WrittenSize(sides, is_product=len(sides) > 1 and not re.search(r"[,;]|\d\s+\d", bare)))
    return ways


def plain_signs(text: str) -> str:
    """Return a text with one sign for each operation, and its raised digits as powers."""
    return unicodedata.normalize("NFKC", re.sub("([²³])", r"^\1", text)).translate(_TIMES)


def _plain(text: str) -> str:
    """Return a text in small letters and without words."""
    return _WORD.sub(" ", plain_signs(text).lower()).strip(" .;!")


class _Sum:
    """A reader of a sum."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0
        self._depth = 0

    def read(self) -> tuple[Terms, bool]:
        """Return the terms, multiplied out, and whether there is any operation. Raises `UnreadableAnswer`."""
        terms = self._added()
        if self._place < len(self._tokens):
            raise UnreadableAnswer
        return terms, any(token in ("+", "-", "*", "/", "^") for token in self._tokens) or len(self._tokens) > 3

    @property
    def _next(self) -> str | int:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _take(self) -> str | int:
        token = self._next
        self._place += 1
        return token

    def _added(self) -> Terms:
        terms: Terms = ()
        sign: Term = (-1,) if self._next == "-" else ()
        if self._next in ("+", "-"):
            self._take()
        while True:
            terms = (*terms, *_multiplied(self._multiplied(), (sign,)))
            if len(terms) > _MOST_TERMS:
                raise UnreadableAnswer
            if self._next not in ("+", "-"):
                return terms
            sign = (-1,) if self._take() == "-" else ()

    def _multiplied(self) -> Terms:
        terms = self._power()
        while True:
            if self._next == "*":
                self._take()
                terms = _multiplied(terms, self._power())
            elif self._next == "/":
                self._take()
                terms = _divided(terms, self._power())
            elif self._next == "(" or (isinstance(self._next, int) and self._tokens[self._place - 1] == ")"):
                terms = _multiplied(terms, self._power())
            else:
                return terms

    def _power(self) -> Terms:
        base = self._atom()
        if self._next != "^":
            return base
        self._take()
        exponent = self._take()
        if not isinstance(exponent, int) or not 1 <= exponent <= _MOST_POWER:
            raise UnreadableAnswer
        terms = base
        for _again in range(exponent - 1):
            terms = _multiplied(terms, base)
        return terms

    def _atom(self) -> Terms:
        token = self._take()
        if isinstance(token, int):
            return ((token,) if token != 1 else (),)
        if token != "(" or self._depth >= _MOST_DEPTH:
            raise UnreadableAnswer
        self._depth += 1
        terms = self._added()
        self._depth -= 1
        if self._take() != ")":
            raise UnreadableAnswer
        return terms


def _tokens(text: str) -> Iterator[str | int]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            if text[place:].strip():
                raise UnreadableAnswer
            return
        place = found.end()
        number, operator = found[1], found[3]
        if number:
            digits = re.sub(r"\D", "", number)
            if len(digits) > _MOST_DIGITS:
                raise UnreadableAnswer
            yield int(digits)
        else:
            yield (
                "("
                if operator in _OPEN
                else ")"
                if operator in _CLOSE
                else {"x": "*", "**": "^"}.get(operator, operator)
            )


def _multiplied(some: Terms, others: Terms) -> Terms:
    if len(some) * len(others) > _MOST_TERMS:
        raise UnreadableAnswer
    terms = tuple((*one, *other) for one in some for other in others)
    if any(len(term) > _MOST_FACTORS for term in terms):
        raise UnreadableAnswer
    return terms


def _divided(terms: Terms, by: Terms) -> Terms:
    """Divide as sizes are divided, which are rounded down."""
    divisor = product(by)
    if not 0 < divisor <= product(terms):
        raise UnreadableAnswer
    return ((product(terms) // divisor,),)
