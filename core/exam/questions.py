"""The exam's fourteen questions: their texts in each language, what is guessed, and where the answer is seen."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

_TEXTS = Path(__file__).with_name("question_texts")

PlaceKind = Literal["layers", "inside", "digits", "conditions", "compare", "program"]
THE_END = "softmax"
"""Name of what comes after the last layer: the probabilities, and the loss."""


class AnswerPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A screen that shows an answer with live numbers."""

    kind: PlaceKind
    model: str = ""
    """Built-in network whose table is shown, or a trained run of which; empty if the screen is about both."""
    layer: str = ""
    """Layer that is shown at once."""
    dropout: float = 0.0
    batch_norm: bool = False
    view: Literal["run", "steps"] = "run"
    """Tab of the program that is shown first."""
    width: float = 1.0
    """Options of the network that is compared with the plain one, or that the run must have."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Networks of which a trained run is needed."""
        if self.kind == "conditions":
            return ("RN_1", "RN_2")
        return (self.model,) if self.model and self.kind in ("inside", "digits", "program") else ()


class GuessChoice(msgspec.Struct, frozen=True):
    """One of several answers to choose from."""

    key: str
    text: str


class Guess(msgspec.Struct, frozen=True):
    """Something to guess before the answer is shown: a number, or one of several choices."""

    id: str
    prompt: str
    choices: tuple[GuessChoice, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """A question in one language. Its texts have the names of numbers in braces, which `facts` knows."""

    id: str
    """Series and number, as in `II.4`."""
    text: str
    """The exam's text, mended."""
    look_for: str
    """What to look for on the screen that shows the answer."""
    answer: str
    guesses: tuple[Guess, ...]
    mended: str = ""
    """What is wrong in the exam as printed, and what is right."""


class _File(msgspec.Struct, frozen=True):
    questions: tuple[Question, ...]


PLACES: dict[str, tuple[AnswerPlace, ...]] = {
    "I.1": (AnswerPlace(kind="layers", model="RN_1"), AnswerPlace(kind="layers", model="RN_2")),
    "I.2": (
        AnswerPlace(kind="inside", model="RN_2", layer="conv1"),
        AnswerPlace(kind="inside", model="RN_1", layer="fc1"),
    ),
    "I.3": (AnswerPlace(kind="inside", model="RN_2", layer="relu1"),),
    "I.4": (AnswerPlace(kind="inside", model="RN_2", layer="pool1"),),
    "I.5": (AnswerPlace(kind="conditions"), AnswerPlace(kind="compare")),
    "I.6": (AnswerPlace(kind="layers", model="RN_2"), AnswerPlace(kind="compare", model="RN_2", width=0.5)),
    "I.7": (
        AnswerPlace(kind="inside", model="RN_2", layer="bn1", batch_norm=True, dropout=0.3),
        AnswerPlace(kind="inside", model="RN_2", layer="dropout1", batch_norm=True, dropout=0.3),
    ),
    "II.1": (AnswerPlace(kind="program"),),
    "II.2": (AnswerPlace(kind="program", view="steps"), AnswerPlace(kind="inside", model="RN_1", layer="flatten")),
    "II.3": (AnswerPlace(kind="inside", model="RN_2", layer=THE_END),),
    "II.4": (AnswerPlace(kind="program", model="RN_1"),),
    "II.5": (AnswerPlace(kind="program", model="RN_1"),),
    "II.6": (AnswerPlace(kind="program", model="RN_1"), AnswerPlace(kind="digits", model="RN_1")),
    "II.7": (AnswerPlace(kind="compare"),),
}
"""Where the answer to each question is seen, the best place first."""
IDS = tuple(PLACES)


@cache
def load(language: str) -> tuple[Question, ...]:
    """Return the fourteen questions in a language, or in English if they are not translated."""
    path = _TEXTS / f"{language}.toml"
    if not path.is_file():
        path = _TEXTS / "en.toml"
    questions = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), _File).questions
    return tuple(_flowing(question) for question in questions)


def _flowing(question: Question) -> Question:
    texts = {name: flowing(getattr(question, name)) for name in ("text", "look_for", "answer")}
    return msgspec.structs.replace(question, **texts)


def flowing(text: str) -> str:
    """Join the lines of each paragraph, but for formulas, which are indented, bullets and tables."""
    lines: list[str] = []
    for line in text.strip("\n").split("\n"):
        stands_alone = line.startswith(("  ", "•")) or line.endswith("_table}")
        if line and lines and lines[-1] and not stands_alone and not lines[-1].startswith("  "):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return "\n".join(lines)
