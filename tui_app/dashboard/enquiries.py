"""Questions to the worker that come faster than answers: of each kind one at a time, and then only the newest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Asked = TypeVar("Asked")


class Enquiries(Generic[Asked]):
    """A queue of one question of each kind; `ask` sends a question."""

    def __init__(self, ask: Callable[[Asked], None], key: Callable[[Asked], object] = type) -> None:
        self._ask = ask
        self._key = key
        self._waiting: dict[object, Asked] = {}
        self._next: dict[object, Asked] = {}

    @property
    def are_open(self) -> bool:
        """True while an answer is awaited."""
        return bool(self._waiting)

    def has_open(self, kind: type[Asked]) -> bool:
        """Tell if an answer to a question of a kind is awaited."""
        return any(isinstance(question, kind) for question in self._waiting.values())

    @property
    def are_pending(self) -> bool:
        """True while a newer question waits for the answer to the one before."""
        return bool(self._next)

    def ask(self, question: Asked) -> None:
        """Ask a question now, or once the one before it of its kind has been answered."""
        kind = self._key(question)
        if kind in self._waiting:
            self._next[kind] = question
        else:
            self._waiting[kind] = question
            self._ask(question)

    def take(self, question: Asked) -> bool:
        """Note that a question has been answered, and ask the next; return False if nobody waits for the answer."""
        kind = self._key(question)
        if self._waiting.get(kind) != question:
            return False
        del self._waiting[kind]
        if kind in self._next:
            self.ask(self._next.pop(kind))
        return True

    def forget(self) -> None:
        """Wait for no answer any more."""
        self._waiting.clear()
        self._next.clear()
