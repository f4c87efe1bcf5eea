"""What was guessed, missed and seen, kept in a file of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from core.exam.guesses import MAX_TYPED, Truth
from core.exam.kept import FORMAT, KeptFile
from core.exam.questions import Question

FILE = "questions.json"

Standing = Literal["open", "right", "missed", "seen"]


class Guessed(msgspec.Struct, frozen=True):
    """A guess, and whether it was right."""

    typed: Annotated[str, msgspec.Meta(max_length=MAX_TYPED)]
    is_right: bool
    against: Truth | None = None
    """What it was held against."""


class Answered(msgspec.Struct, frozen=True):
    """A question that was worked on."""

    guesses: Annotated[dict[str, Guessed], msgspec.Meta(max_length=9)] = {}
    """By the ids of what is guessed."""
    is_seen: bool = False
    """True once the answer was shown."""
    before: Standing = "open"
    """How it stood before it was begun again: so it stands until it is guessed anew."""
    tries: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1


class ExamProgress(msgspec.Struct, frozen=True):
    """The state of all questions."""

    format: int = FORMAT
    answered: Annotated[dict[str, Answered], msgspec.Meta(max_length=99)] = {}
    """By question."""
    at: Annotated[str, msgspec.Meta(max_length=9)] = ""
    """Question that was open last."""

    def of(self, question_id: str) -> Answered:
        return self.answered.get(question_id, Answered())

    def standing(self, question: Question) -> Standing:
        """Return how a question stands."""
        answered = self.of(question.id)
        if not answered.is_seen:
            return answered.before
        guessed = [answered.guesses.get(guess.id) for guess in question.guesses]
        if any(one is not None and not one.is_right for one in guessed):
            return "missed"
        if guessed and all(guessed):
            return "right"
        return "missed" if answered.before == "missed" else "seen"

    def with_guess(self, question_id: str, guess_id: str, guessed: Guessed) -> ExamProgress:
        answered = self.of(question_id)
        return self._with(question_id, guesses={**answered.guesses, guess_id: guessed})

    def with_seen(self, question_id: str) -> ExamProgress:
        return self._with(question_id, is_seen=True)

    def with_open(self, question_id: str) -> ExamProgress:
        """Return the progress with another question open."""
        return msgspec.structs.replace(self, at=question_id)

    def begun_again(self, question: Question) -> ExamProgress:
        """Return the progress with a question to be guessed once more."""
        tries, before = self.of(question.id).tries + 1, self.standing(question)
        return self._with(question.id, guesses={}, is_seen=False, before=before, tries=tries)

    def _with(self, question_id: str, **changed: object) -> ExamProgress:
        answered = msgspec.structs.replace(self.of(question_id), **changed)
        return msgspec.structs.replace(self, answered={**self.answered, question_id: answered})


def progress_file(folder: Path | None) -> KeptFile[ExamProgress]:
    """Return the file of a user's progress."""
    return KeptFile(folder, FILE, ExamProgress())
