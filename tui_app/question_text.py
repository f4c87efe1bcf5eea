"""The exam's questions as they are shown: their texts with the numbers filled in, guesses and verdicts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

import msgspec
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from core.exam import guesses, questions
from core.exam.evidence import Evidence, SeenRun
from core.exam.facts import Fact, facts
from core.exam.guesses import Origin, Truth
from core.exam.progress import ExamProgress, Guessed, Standing
from core.exam.questions import AnswerPlace, Guess, Question
from core.messages import fill
from core.networks.layer_table import LayerTable
from tui_app import tables, terminal
from tui_app.i18n import _, language, number, percent, printable, say, short

SIGNS: dict[Standing, str] = {"right": "✓", "missed": "✗", "seen": "○", "open": "·"}
_LEGEND_COLUMN = 43
"""Column of the map at which its legend stands."""


def all_questions() -> tuple[Question, ...]:
    """Return the fourteen questions in the current language."""
    return questions.load(language())


def filled(text: str, evidence: Evidence = Evidence()) -> str:  # noqa: B008 - it is immutable
    """Return a text with its numbers as the language writes them."""
    values = {name: _fact(fact) for name, fact in facts().items()}
    return fill(text, {**values, **_subjects(evidence)})


def _fact(fact: Fact) -> str:
    match fact:
        case LayerTable():
            return _rows(fact)
        case str():
            return fact
        case int():
            return number(fact)
        case _:
            return percent(fact)


def _rows(table: LayerTable) -> str:
    """Return a table's layers as formulas: name, settings, size and number of parameters."""
    cells = [
        (layer.name, tables.specification(layer.specification), tables.shape(layer), tables.count(layer))
        for layer in table.layers
    ]
    cells.insert(0, (_("Layer"), _("Settings"), _("Output"), _("Parameters")))
    names, settings, sizes, _counts = (max(map(len, column)) for column in zip(*cells, strict=True))
    rows = [f"  {name:{names}}  {what:{settings}}  {size:>{sizes}}  {count}" for name, what, size, count in cells]
    return "\n".join([*rows, "  " + _("Total: {count}").format(count=number(table.total))])


def _subjects(evidence: Evidence) -> dict[str, str]:
    """Say in which runs what is guessed is seen: RN_1's first loss, and how both networks compare."""
    first, pair = evidence.runs.get("RN_1"), evidence.pair
    return {
        "subject": _runs([first] if first is not None and first.first_loss is not None else []),
        "pair": _runs(pair if pair is not None and evidence.is_decisive else []),
    }


def _runs(seen: Sequence[SeenRun]) -> str:
    if not seen:
        return "MNIST"
    sample = [_("SAMPLE")] if any(run.dataset == "sample" for run in seen) else []
    return ", ".join([*(printable(run.run_id) for run in seen), *sample])


class LaidOut:
    """A text whose bullets hang, whose formulas stand in from the left, and whose lines end at plain blanks.

    Rich and Textual would also break a line at the narrow space before a question mark.
    """

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._lines:
            for part in _wrapped(line, options.max_width):
                yield Text(part, no_wrap=True)

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, options.max_width)


def _wrapped(line: str, width: int) -> list[str]:
    first, rest = "", ""
    if line.startswith("•"):
        line, first, rest = line[1:], "• " if terminal.has_utf8() else "- ", "  "
    elif line.startswith("  "):
        first, rest = "    ", "      "
    wrapper = textwrap.TextWrapper(
        width=max(width, 20), initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )
    return wrapper.wrap(line.strip()) or [""]


# The map


def progress_map(progress: ExamProgress, current: str) -> Text:
    """Return the two lines that show how every question stands."""
    standings = {question.id: progress.standing(question) for question in all_questions()}
    words: dict[Standing, str] = {"right": _("guessed"), "missed": _("missed"), "seen": _("seen")}
    legend = "  ".join(f"{SIGNS[standing]} {word}" for standing, word in words.items())
    seen = _("{done} of {total}").format(done=sum(each != "open" for each in standings.values()), total=len(standings))
    return Text.assemble(
        *_series("I", standings, current, legend), "\n", *_series("II", standings, current, seen), no_wrap=True
    )


def _series(series: str, standings: dict[str, Standing], current: str, beside: str) -> Iterator[tuple[str, str]]:
    yield f"{series:4}", "bold"
    width = 4
    for question_id, standing in standings.items():
        if question_id.startswith(f"{series}."):
            text = f" {question_id.rpartition('.')[2]} {SIGNS[standing]} "
            width += len(text)
            yield text, "reverse" if question_id == current else ""
    yield " " * (_LEGEND_COLUMN - width) + beside, ""


def missed(progress: ExamProgress) -> list[str]:
    """Return the ids of the questions that were missed, in order."""
    return [question.id for question in all_questions() if progress.standing(question) == "missed"]


# Guesses


def asked(guess: Guess, evidence: Evidence) -> Guess:
    """Return what is to be guessed with the numbers and runs in its prompt."""
    return msgspec.structs.replace(guess, prompt=filled(guess.prompt, evidence))


def judged(guess: Guess, guessed: Guessed) -> Guess:
    """Return what was guessed with the runs that it was held against, whatever runs there are now."""
    runs = _runs(guessed.against.runs if guessed.against is not None else [])
    return msgspec.structs.replace(guess, prompt=filled(fill(guess.prompt, {"subject": runs, "pair": runs})))


def guessed_line(guess: Guess, guessed: Guessed) -> str:
    """Return what was guessed, before the answer is shown."""
    guess = judged(guess, guessed)
    return f"{guess.prompt}\n  " + _("your guess: {guess}").format(guess=_typed(guess, guessed.typed))


def verdict_line(guess: Guess, guessed: Guessed) -> str:
    """Return what was guessed, what was seen, and where."""
    mark = SIGNS["right" if guessed.is_right else "missed"]
    text = f"{mark} {guessed_line(guess, guessed)}"
    against = guessed.against
    if against is None:
        return text
    if guess.choices and guessed.is_right:  # it would be said twice
        return f"{text} ({say(against.source)})"
    answer = _answers()[against.origin].format(value=_value(guess, against), source=say(against.source))
    reasons = [] if guessed.is_right else map(say, guesses.mistakes(guess.id, guessed.typed))
    return " · ".join([text, answer, *reasons])


def _answers() -> dict[Origin, str]:
    return {
        "seen": _("seen: {value} ({source})"),
        "known": _("answer: {value} ({source})"),
        "reference": _("reference: {value} ({source})"),
    }


def _typed(guess: Guess, typed: str) -> str:
    names = {choice.key: choice.text for choice in guess.choices}
    return _within_a_line(names[typed]) if typed in names else printable(typed)


def _within_a_line(text: str) -> str:
    """Begin a choice with a small letter, unless it begins with a name such as `RN_1`."""
    return text[0].lower() + text[1:] if text[1:2].islower() or text[1:2] in (" ", "'") else text


def _value(guess: Guess, truth: Truth) -> str:
    match truth.value:
        case str() as key:
            return _typed(guess, key)
        case tuple() as size:
            return "×".join(map(str, size))
        case int() as count:
            return number(count)
        case value:
            return number(value) if value == round(value) and abs(value) > 9 else short(round(value, 4))


# Where the answer is seen


def place_name(place: AnswerPlace, run_ids: Sequence[str]) -> str:
    """Name a screen, with the runs that it shows; with the networks where there are no runs yet."""
    run = printable(run_ids[0]) if run_ids else place.model
    match place.kind:
        case "layers":
            return _("layer table of {model}").format(model=place.model)
        case "inside":
            return _("Inside {run}: {layer}").format(run=run, layer=place.layer)
        case "digits":
            return _("Digits that {run} gets wrong").format(run=run)
        case "conditions":
            return _("Conditions of RN_1 and RN_2")
        case "compare" if place.model:
            return _("Compare {model} with width {width}").format(model=place.model, width=short(place.width))
        case "compare":
            return _("Compare RN_1 and RN_2")
        case "program" if place.view == "steps":
            return _("the program, step by step")
        case "program" if place.model:
            return _("the program beside {run}").format(run=run)
        case "program":
            return _("the program, line by line")
