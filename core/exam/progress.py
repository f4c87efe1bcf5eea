"""What was guessed, missed and seen, kept in a file of the user's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from core import files
from core.exam import questions
from core.exam.guesses import MAX_TYPED, Truth
from core.exam.questions import Question
from core.messages import N_, Problem, reason

FORMAT = 1
FILE = "exam.json"
_MAX_FILE = 1 << 16
_MAX_ASIDE = 9

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
    tries: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1


class Progress(msgspec.Struct, frozen=True):
    """The state of all questions."""

    format: int = FORMAT
    answered: Annotated[dict[str, Answered], msgspec.Meta(max_length=99)] = {}
    """By question."""

    def of(self, question_id: str) -> Answered:
        return self.answered.get(question_id, Answered())

    def standing(self, question: Question) -> Standing:
        """Return how a question stands."""
        answered = self.of(question.id)
        if not answered.is_seen:
            return "open"
        guessed = [answered.guesses.get(guess.id) for guess in question.guesses]
        if any(one is not None and not one.is_right for one in guessed):
            return "missed"
        return "right" if guessed and all(guessed) else "seen"

    def with_guess(self, question_id: str, guess_id: str, guessed: Guessed) -> Progress:
        answered = self.of(question_id)
        return self._with(question_id, guesses={**answered.guesses, guess_id: guessed})

    def with_seen(self, question_id: str) -> Progress:
        return self._with(question_id, is_seen=True)

    def begun_again(self, question_id: str) -> Progress:
        """Return the progress with a question to be guessed once more."""
        return self._with(question_id, guesses={}, is_seen=False, tries=self.of(question_id).tries + 1)

    def _with(self, question_id: str, **changed: object) -> Progress:
        answered = msgspec.structs.replace(self.of(question_id), **changed)
        return msgspec.structs.replace(self, answered={**self.answered, question_id: answered})


class ProgressFile:
    """The file of a user's progress. What cannot be read is set aside, never written over."""

    def __init__(self, folder: Path | None) -> None:
        """Keep the progress in a folder; None keeps it only as long as the program runs."""
        self._path = folder / FILE if folder is not None else None

    def read(self) -> tuple[Progress, Problem | None]:
        """Return the progress, and what the user must know of it: a new one where the file cannot be used."""
        if self._path is None or not os.path.lexists(self._path):
            return Progress(), None
        try:
            return self._decode(files.read_small(self._path, _MAX_FILE)), None
        except (OSError, ValueError, RecursionError) as error:
            return Progress(), self._set_aside(error)

    def write(self, progress: Progress) -> None:
        """Write the progress. Raises `Problem`."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(self._path, msgspec.json.encode(progress), durable=False)
        except OSError as error:
            advice = N_("The exam goes on, but your progress is not kept.")
            text = N_("cannot write to {path}: {reason}")
            raise Problem(text, advice=advice, path=str(self._path), reason=reason(error)) from error

    def _decode(self, content: bytes) -> Progress:
        """Return what a file holds, without what no question asks. Raises `ValueError`."""
        if msgspec.json.decode(content, type=_Version).format > FORMAT:
            raise ValueError("from a newer version")
        kept = msgspec.json.decode(content, type=Progress)
        known = {name: answered for name, answered in kept.answered.items() if name in questions.IDS}
        return Progress(answered=known)

    def _set_aside(self, error: Exception) -> Problem:
        assert self._path is not None
        aside = self._free_name(self._path)
        values = {"path": str(self._path), "reason": reason(error)}
        try:
            files.rename(self._path, aside)
        except OSError:
            self._path = None
            return Problem(
                "cannot read {path}: {reason}", advice=N_("The exam goes on, but your progress is not kept."), **values
            )
        advice = N_("The exam starts anew; the old file is now {aside}.")
        return Problem("cannot read {path}: {reason}", advice=advice, aside=aside.name, **values)

    @staticmethod
    def _free_name(path: Path) -> Path:
        """Return an unused name beside a file; after many, the last one."""
        names = [path.with_name(f"{path.stem}.old{number or ''}{path.suffix}") for number in range(_MAX_ASIDE)]
        return next((name for name in names if not os.path.lexists(name)), names[-1])


class _Version(msgspec.Struct):
    format: int = FORMAT
