"""Messages and errors that can be shown in any language: an English text with named placeholders, and their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import msgspec

Value = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float

_PLACE = re.compile(r"\{(\w+)\}")


def N_(text: str) -> str:
    """Mark a text for translation without translating it yet."""
    return text


def fill(text: str, values: Mapping[str, object]) -> str:
    """Return `text` with each `{name}` replaced by its value; unlike `str.format`, safe for a text read from disk."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), text)


class Message(msgspec.Struct, frozen=True):
    """A message to the user. `text` is in English and is the key to its translations."""

    text: str
    values: dict[str, Value] = {}

    def __str__(self) -> str:
        return fill(self.text, self.values)


class Problem(Exception):
    """An error that the user must see: what happened and, if there is one, the way out."""

    def __init__(self, text: str, *, advice: str = "", **values: Value) -> None:
        self.message = Message(text, values)
        self.advice = Message(advice, values)
        super().__init__(text)

    @classmethod
    def of(cls, message: Message, advice: Message | None = None) -> Problem:
        """Make a problem from a message, with optional advice."""
        problem = Problem(message.text)
        problem.message = message
        if advice is not None:
            problem.advice = advice
        return problem

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class InvalidSetting(Problem, ValueError):
    """An invalid setting; `field` is its name: a field of `RunConfig`, or a kind of condition."""

    def __init__(self, field: str, text: str, **values: Value) -> None:
        super().__init__(text, advice="", **values)
        self.field = field


def reason(error: BaseException) -> str:
    """Return what an exception says, without the error number and path that the surrounding sentence already has."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    try:
        text = str(error)
    except Exception:  # an exception of a custom network may fail to say what it is
        text = ""
    return text.split("\n")[0] or type(error).__name__


@contextmanager
def writing(path: object) -> Iterator[None]:
    """Raise `Problem` for an `OSError` inside: what is at `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise Problem("cannot write to {path}: {reason}", path=str(path), reason=reason(error)) from error
