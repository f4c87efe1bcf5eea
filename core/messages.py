"""What goes wrong, said so that it can be shown in any language: an English text with named places, and its values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

Value = str | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | float

_PLACE = re.compile(r"\{(\w+)\}")


def N_(text: str) -> str:
    """Marks a text for translation where it is not said yet."""
    return text


def fill(text: str, values: Mapping[str, object]) -> str:
    """`text` with each `{name}` replaced; unlike `str.format`, safe for a text that came from disk."""
    return _PLACE.sub(lambda place: str(values.get(place[1], place[0])), text)


class Message(msgspec.Struct, frozen=True):
    """A sentence for a person. `text` is English and the key to its translations."""

    text: str
    values: dict[str, Value] = {}

    def __str__(self) -> str:
        return fill(self.text, self.values)


class Problem(Exception):
    """Something that the user must know: what happened and, where there is one, the way out."""

    def __init__(self, text: str, *, advice: str = "", **values: Value) -> None:
        self.message = Message(text, values)
        self.advice = Message(advice, values)
        super().__init__(text)

    @classmethod
    def of(cls, message: Message, advice: Message | None = None) -> Problem:
        """Make a problem of what a message says."""
        problem = Problem(message.text)
        problem.message = message
        if advice is not None:
            problem.advice = advice
        return problem

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class InvalidSetting(Problem, ValueError):
    """A setting that no run can have; `field` is its name in `RunConfig`."""

    def __init__(self, field: str, text: str, **values: Value) -> None:
        super().__init__(text, advice="", **values)
        self.field = field


def reason(error: BaseException) -> str:
    """What an exception says, without the numbers and paths that the sentence around it has already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).split("\n")[0] or type(error).__name__
