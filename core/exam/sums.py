"""Numbers, sums and sizes as people write them, read without ever being executed."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
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
_WORD = re.compile(r"[^\W\d_]{2,}\.?|[_:$]|(?<=\d)°")
_TOKEN = re.compile(r"\s*(?:(\d{1,3}(?:([\s,.'’_])\d{3})(?:\2\d{3})*(?!\d)|\d+)|(\*\*|\^|[-+*/x()\[\]{}⌊⌋⌈⌉]))")
_GROUPED = re.compile(r"\d{1,3}([\s,.'’_])\d{3}(\1\d{3})*")
_NUMBER_THEN_SUM = re.compile(r"^\s*(\d[\d\s.,']*)\((.*[-+*x×·].*)\)\s*$")
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
    stated: tuple[int, ...] = ()
    """Values beside the sum."""
    is_muddled: bool = False
    """True if it has several sums that do not belong together."""

    @property
    def says_otherwise(self) -> bool:
        """True if a value beside the sum is not what it gives."""
        return any(value != self.value for value in self.stated)


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


def value_of(terms: Terms) -> int:
    """Return what a sum gives."""
    return sum(math.prod(term) for term in terms)


def read_number(text: str) -> WrittenNumber:
    """Read a number or a sum, with or without its value, in either order. Raises `UnreadableAnswer`."""
    text = re.sub(r"(?<=\d)\s*\[\s*[\d\s]+\]", " ", text.replace(";", "="))  # what a sum gives so far
    parts = [part for part in _plain(_beside(text)).split("=") if part.strip()]
    if not parts:
        raise UnreadableAnswer
    read = [_Sum(part.lstrip(" *") if place else part).read() for place, part in enumerate(parts)]
    terms: Terms | None = None
    stated: list[int] = []
    is_muddled = False
    for part, (found, has_operator) in zip(parts, read, strict=True):
        if terms is not None and part.lstrip()[:1] in ("+", "*"):
            terms = (*terms, *found) if part.lstrip()[0] == "+" else _multiplied(terms, found)
            stated = []
        elif not has_operator:
            stated.append(value_of(found))
        elif terms is None:
            terms = found
        elif (longer := _continued(terms, found)) is not None:
            terms = longer
            stated = []
        else:
            is_muddled = is_muddled or value_of(found) != value_of(terms)
            stated.append(value_of(found))
    if terms is None:
        if len(set(stated)) > 1:
            raise UnreadableAnswer
        return WrittenNumber(stated[0], None)
    return WrittenNumber(value_of(terms), terms, tuple(stated), is_muddled)


def _beside(text: str) -> str:
    """Return a text such as `320 (288 + 32)`, where that is the same and no product, as `320 = 288 + 32`."""
    found = _NUMBER_THEN_SUM.fullmatch(text)
    if found is None:
        return text
    number, inside = (value_of(_Sum(_plain(part)).read()[0]) for part in found.groups())
    return f"{found[1]} = {found[2]}" if number == inside else text


def _continued(terms: Terms, following: Terms) -> Terms | None:
    """Return a sum that goes on from its value: `288·64 = 18432 + 64` is `288·64 + 64`; None if it does not."""
    first, *others = following
    if first == (value_of(terms),) and others:
        return (*terms, *others)
    if first[:1] == (value_of(terms),) and len(first) > 1:
        return (*_multiplied(terms, (first[1:],)), *others)
    return None


def read_size(text: str) -> list[WrittenSize]:
    """Return the ways to read a size, the most likely one first. Raises `UnreadableAnswer`.

    How its sides are worked out may stand beside it, as in `28/2 = 14 → 32×14×14`.
    """
    lowered = plain_signs(text).lower()
    has_batch = _BATCH.match(lowered) is not None
    parts = [part.strip() for part in _plain(_apart(_BATCH.sub("", lowered))).split("=") if part.strip()]
    read = [(_sides(part), re.search(r"[-+/^]", part) is not None) for part in parts]
    if not read or not all(ways for ways, _is_worked_out in read):
        raise UnreadableAnswer
    lists = [ways for ways, is_worked_out in read if not is_worked_out] or [ways for ways, _is_worked_out in read]
    longest = max(lists, key=lambda ways: len(ways[0].sides))
    given = longest[0].sides
    if len(read) == 1:
        return [WrittenSize(way.sides, way.is_product, has_batch=has_batch) for way in longest]
    values = [ways for ways, is_worked_out in read if ways is not longest and not is_worked_out]
    agree = all(any(math.prod(way.sides) in (math.prod(given), *given) for way in ways) for ways in values)
    found = [WrittenSize(given, len(given) > 1, True, not agree, has_batch)]
    with suppress(UnreadableAnswer):  # a product in steps: `7·7 = 49·64 = 3136`
        number = read_number(text)
        if number.terms is not None and not number.says_otherwise:
            found.append(WrittenSize((number.value,), has_value=True, has_batch=has_batch))
    return found


def _apart(text: str) -> str:
    """Return a size with its value in brackets, such as `3136 (64×7×7)`, as two parts; dashes do not part its sides."""
    text = re.sub(r"^\s*(\d+)((?:-\d+){1,3})\s*$", lambda found: found[1] + found[2].replace("-", ","), text)
    found = re.fullmatch(r"\s*(\d[^()]*)\(([^()]*\d[^()]*)\)\s*", text)
    if found is None:
        return text
    with suppress(UnreadableAnswer, IndexError):
        one, other = (math.prod(_sides(_plain(part))[0].sides) for part in found.groups())
        return f"{found[1]}={found[2]}" if one == other else text
    return text


def _sides(part: str) -> list[WrittenSize]:
    """Return the ways to read a part of a size that has no `=`."""
    part = re.sub(r"(\d+)\s*(?:\^|\*\*)\s*2(?!\d)", r"\1*\1", part)
    if re.search(r"[-+/^⌊⌈]|\*\*", part):
        terms, _has_operator = _Sum(part).read()
        return [WrittenSize((value_of(terms),))]
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
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    visible = re.sub(r"\\(?:times|cdot)", "*", visible).replace("\\(", "").replace("\\)", "")
    return unicodedata.normalize("NFKC", re.sub("([²³])", r"^\1", visible)).translate(_TIMES)


def _plain(text: str) -> str:
    """Return a text in small letters and without words."""
    text = re.sub(r"→|->|=>|≈|\b(?:puis|donc|then|so)\b", "=", plain_signs(text).lower())
    text = re.sub(r"\(\s*=\s*[\d\s]+\)|\([^()]*[a-z]\s*=[^()]*\)|^\s*[a-z]\s*=|~", " ", text)
    text = re.sub(r"\(\s*=(.*)\)\s*$", r"=\1", text)
    text = re.sub(r"\b(?:et|and|plus)\b|&", "+", text).replace("@", "*")
    text = re.sub(r"(?<=\d)[.,]0{1,2}(?!\d)|\b[chw] ?=|\br ?\^?(?=[\d{(])|[σ∑]", "", text)
    return re.sub(r"\(\s*\)", " ", _WORD.sub(" ", text)).strip(" .;!")


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
    divisor = value_of(by)
    if not 0 < divisor <= value_of(terms):
        raise UnreadableAnswer
    return ((value_of(terms) // divisor,),)
