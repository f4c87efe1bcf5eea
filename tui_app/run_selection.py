"""Which runs to show, in which order and columns: by the same words on the command line and in the dashboard."""

from __future__ import annotations

import difflib
import re
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, get_args

from core.messages import N_, InvalidSetting
from core.runs.directory import Summary
from core.runs.record import State
from tui_app import run_columns, wording
from tui_app.run_columns import RunColumn, all_columns

_AGE = re.compile(r"(\d{1,6})\s*(min|h|d|j|w)")
_SECONDS = {"min": 60, "h": 3600, "d": 86400, "j": 86400, "w": 604800}
"""Seconds in each unit of an age; `j` is the French `d`."""


@dataclass(frozen=True)
class Selection:
    """A choice of runs and columns. An empty or missing part leaves everything as it is."""

    states: frozenset[str] = frozenset()
    model: str = ""
    name: str = ""
    tags: tuple[str, ...] = ()
    since: float | None = None
    """Earliest creation time in seconds since the Unix epoch."""
    sort: str = ""
    """Word of the column to sort by, after a minus for the greatest first."""
    limit: int | None = None
    columns: tuple[str, ...] = ()
    differing: bool = False
    """Restricts the columns to those that tell the runs apart."""
    text: tuple[str, ...] = ()
    """Texts that a run must have in its id, name, network, tags or note."""

    def runs(self, summaries: Iterable[Summary]) -> list[Summary]:
        """Return the runs that fit, in order; `summaries` begin with the oldest, and the newest count for the limit."""
        found = [summary for summary in summaries if self._fits(summary)]
        if self.sort:
            column = column_of(self.sort.removeprefix("-"))
            found = run_columns.in_order(found, column, descending=self.sort.startswith("-"))
            return found[: self.limit]
        return found if self.limit is None else found[max(0, len(found) - self.limit) :]

    def shown_columns(self, runs: Sequence[Summary]) -> list[RunColumn]:
        """Return the columns to show for these runs."""
        chosen = [column_of(word) for word in self.columns]
        if chosen and chosen[0].word != "run":
            chosen = [column_of("run"), *(column for column in chosen if column.word != "run")]
        if self.differing:
            return run_columns.differing(runs, chosen)
        return chosen or run_columns.suitable(runs)

    def _fits(self, run: Summary) -> bool:
        model = f"{run.config.model} {wording.network_name(run.config, folder=False)}" if run.config else ""
        everything = " ".join((run.id, run.name, model, *run.tags, run.note)).lower()
        return (
            (not self.states or run.state in self.states)
            and _has(model, self.model)
            and _has(run.name, self.name)
            and all(any(fnmatchcase(tag.lower(), wanted.lower()) for tag in run.tags) for wanted in self.tags)
            and (self.since is None or run.created >= self.since)
            and all(word.lower() in everything for word in self.text)
        )


EVERYTHING = Selection()


def from_words(given: Iterable[tuple[str, str]], found: Selection = EVERYTHING) -> Selection:
    """Make a selection from words with their values, such as `state` and `done,stopped`. Raises `InvalidSetting`."""
    for word, value in given:
        if word not in _READ:
            guess = N_("there is no filter {value}; did you mean {known}?")
            raise _unknown("filter", word, _READ, guess, N_("there is no filter {value}; the filters are {known}"))
        found = _READ[word](found, value.strip())
    return found


def from_line(line: str) -> Selection:
    """Read a filter line: `state=done --model RN_2 sort=-accuracy baseline`. Raises `InvalidSetting`."""
    try:
        tokens = shlex.split(line)
    except ValueError:  # a quote is not closed yet
        tokens = line.split()
    given: list[tuple[str, str]] = []
    texts: list[str] = []
    while tokens:
        token = tokens.pop(0)
        word, equals, value = token.partition("=")
        is_option, word = word.startswith("--"), word.removeprefix("--")
        if word == "differing":
            given.append((word, ""))
        elif is_option and not equals:
            given.append((word, tokens.pop(0) if tokens else ""))
        elif equals:
            given.append((word, value))
        else:
            texts.append(token)
    return replace(from_words(given), text=tuple(texts))


def with_word(line: str, word: str, value: str | None) -> str:
    """Return a filter line in which a word has another value; an empty one if it takes none, None to remove it."""
    pattern = rf"""(?<!\S)(--)?{word}((?(1)[ =]|=)("[^"]*"|\S*))?(?!\S)"""
    if word == "differing":
        pattern = rf"(?<!\S)(--)?{word}(?!\S)"
    kept = " ".join(re.sub(pattern, " ", line).split())
    return kept if value is None else f"{kept} {word}={value}".strip() if value else f"{kept} {word}".strip()


def column_of(word: str) -> RunColumn:
    """Return the column of a word. Raises `InvalidSetting`."""
    known = {column.word: column for column in all_columns()}
    wanted = word.strip().lower().replace("_", "-")
    if wanted not in known:
        guess = N_("there is no column {value}; did you mean {known}?")
        raise _unknown("columns", word, known, guess, N_("there is no column {value}; the columns are {known}"))
    return known[wanted]


def _unknown(field: str, value: str, known: Iterable[str], guess: str, listing: str) -> InvalidSetting:
    """Make the error for a word that is none of the known ones: with the nearest, or with all if none is near."""
    words = list(known)
    near = difflib.get_close_matches(value.lower(), words, n=1)
    return InvalidSetting(field, guess if near else listing, value=value, known=", ".join(near or words))


def age_s(text: str) -> float:
    """Return the seconds of an age such as `30min`, `12h`, `3d` or `2w`. Raises `InvalidSetting`."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidSetting("age", "an age is a number with min, h, d or w, such as 3d, not {value}", value=text)
    return float(int(match[1]) * _SECONDS[match[2]])


def number(field: str, text: str) -> int:
    """Return a number of runs. Raises `InvalidSetting`."""
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise InvalidSetting(field, "a number of runs is a whole number, not {value}", value=text)
    return int(text)


def _has(text: str, wanted: str) -> bool:
    return not wanted or fnmatchcase(text.lower(), f"*{wanted.lower()}*")


def _states(selection: Selection, text: str) -> Selection:
    known: dict[str, str] = {}
    for state in get_args(State):
        known |= {state: state, wording.state_name(state): state}
    for word in _listed(text):
        if word.lower() not in known:
            guess = N_("there is no state {value}; did you mean {known}?")
            listing = N_("there is no state {value}; the states are {known}")
            raise _unknown("state", word, map(wording.state_name, get_args(State)), guess, listing)
    return replace(selection, states=selection.states | {known[word.lower()] for word in _listed(text)})


def _since(selection: Selection, text: str) -> Selection:
    if _AGE.fullmatch(text.lower()):
        return replace(selection, since=time.time() - age_s(text))
    try:
        return replace(selection, since=datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        message = N_("a time is a date such as 2026-11-26 or 2026-11-26T14:30, or an age such as 3d, not {value}")
        raise InvalidSetting("since", message, value=text) from None


def _sort(selection: Selection, text: str) -> Selection:
    column = column_of(text.removeprefix("-"))
    return replace(selection, sort=("-" if text.startswith("-") else "") + column.word)


def _columns(selection: Selection, text: str) -> Selection:
    if text and not _listed(text):
        raise InvalidSetting("columns", N_("columns are words with commas between them, not {value}"), value=text)
    return replace(selection, columns=tuple(column_of(word).word for word in _listed(text)))


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


_READ: dict[str, Callable[[Selection, str], Any]] = {
    "state": _states,
    "model": lambda selection, text: replace(selection, model=text),
    "name": lambda selection, text: replace(selection, name=text),
    "tag": lambda selection, text: replace(selection, tags=(*selection.tags, *_listed(text))),
    "since": _since,
    "sort": _sort,
    "limit": lambda selection, text: replace(selection, limit=number("limit", text)),
    "columns": _columns,
    "differing": lambda selection, _text: replace(selection, differing=True),
}
"""What each word of the command line and of the filter line does to a selection."""
