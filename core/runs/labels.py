"""What a user calls a run: a name, tags and a note, in `labels.json`; no other file of a run is changed for them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from core import files
from core.messages import N_, InvalidSetting, Problem, reason
from core.runs import names

_FILE = "labels.json"
_TAG = re.compile(r"\w[\w.+=@:-]{0,39}")
_MOST_TAGS = 50
_LONGEST_NOTE = 2000


class Labels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The labels of a run."""

    name: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    """Name that was given later than the run's start; None if none was."""
    tags: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=40)], ...], msgspec.Meta(max_length=_MOST_TAGS)] = ()
    note: Annotated[str, msgspec.Meta(max_length=_LONGEST_NOTE)] = ""


def path(run_dir: Path) -> Path:
    """Return the file of a run's labels."""
    return run_dir / _FILE


def read(run_dir: Path) -> Labels:
    """Return a run's labels; none if they are missing or damaged."""
    try:
        return msgspec.json.decode(files.read_small(path(run_dir)), type=Labels)
    except (OSError, ValueError, RecursionError):
        return Labels()


def tag(run_dir: Path, new: Iterable[str], removed: Iterable[str] = ()) -> Labels:
    """Give a run tags, take others from it, and return its labels. Raises `Problem`."""
    new = list(new)
    for each in new:
        if not _TAG.fullmatch(each):
            text = N_("a tag has letters, digits and any of . _ + = @ : -, and at most 40 of them: {value}")
            raise InvalidSetting("tags", text, value=each or "''")
    labels = read(run_dir)
    kept = [each for each in dict.fromkeys((*labels.tags, *new)) if each not in set(removed)]
    if len(kept) > _MOST_TAGS:
        raise InvalidSetting("tags", "a run has at most {most} tags", most=_MOST_TAGS)
    return _write(run_dir, msgspec.structs.replace(labels, tags=tuple(kept)))


def annotate(run_dir: Path, note: str) -> Labels:
    """Give a run a note instead of the one it has, and return its labels. Raises `Problem`."""
    note = note.strip()
    if len(note) > _LONGEST_NOTE:
        raise InvalidSetting("note", "a note has at most {most} characters", most=_LONGEST_NOTE)
    return _write(run_dir, msgspec.structs.replace(read(run_dir), note=note))


def rename(run_dir: Path, old: str, new: str) -> Labels:
    """Give a run a name that no other run in its folder has; the `old` one is free from then on. Raises `Problem`."""
    runs_dir, run_id = run_dir.parent, run_dir.name
    names.find(runs_dir, new)  # which refuses what is no name
    owner = names.give(runs_dir, new, run_id)
    if owner != run_id:
        raise Problem("{name} is the name of run {run}", name=new, run=owner)
    labels = _write(run_dir, msgspec.structs.replace(read(run_dir), name=new))
    if old and old != new:
        names.take_back(runs_dir, old, run_id)
    return labels


def _write(run_dir: Path, labels: Labels) -> Labels:
    try:
        files.replace(path(run_dir), msgspec.json.format(msgspec.json.encode(labels), indent=2))
    except OSError as error:
        raise Problem("cannot write to {path}: {reason}", path=str(run_dir), reason=reason(error)) from error
    return labels
