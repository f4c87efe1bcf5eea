"""What a user has written on a run: a name, tags and a note. They change nothing in its training."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec

from core import files
from core.messages import N_, InvalidSetting, Problem, reason, writing

MAX_TAGS = 50
MAX_NOTE = 2000
_TAG = re.compile(r"\w[\w.+=@:-]{0,39}")
_TagText = Annotated[str, msgspec.Meta(pattern=rf"^{_TAG.pattern}$")]


class Labels(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is written on a run."""

    name: Annotated[str, msgspec.Meta(max_length=100)] = ""
    """Name that the run was given later; empty if it has only the one it was started under, or none."""
    tags: Annotated[tuple[_TagText, ...], msgspec.Meta(max_length=MAX_TAGS)] = ()
    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)] = ""


NONE = Labels()


def path(run_dir: Path) -> Path:
    return run_dir / "labels.json"


def read(run_dir: Path) -> Labels:
    """Return what is written on a run; nothing if the file is damaged."""
    try:
        return _read(run_dir)
    except Problem:
        return NONE


def _read(run_dir: Path) -> Labels:
    """Return what is written on a run. Raises `Problem` if the file is damaged: it is not to be overwritten."""
    try:
        return msgspec.json.decode(files.read_small(path(run_dir)), type=Labels)
    except FileNotFoundError:
        return NONE
    except (OSError, ValueError, RecursionError) as error:
        raise Problem(
            "{path} cannot be read, and is not overwritten: {reason}",
            advice=N_("Mend it, or delete it."),
            path=str(path(run_dir)),
            reason=reason(error),
        ) from error


def rename(run_dir: Path, name: str) -> None:
    """Keep another name of a run; `core.runs.names` sees to it that no two have the same. Raises `Problem`."""
    _write(run_dir, msgspec.structs.replace(_read(run_dir), name=name))


def tag(run_dir: Path, tags: list[str], *, remove: bool = False) -> tuple[str, ...]:
    """Add tags to a run, or remove them; return those that it has then. Raises `Problem`."""
    for each in tags:
        if not _TAG.fullmatch(each):
            raise InvalidSetting(
                "tag",
                "a tag has up to 40 letters, digits and . _ + = @ : -, and begins with a letter, a digit or _: {value}",
                value=each,
            )
    labels = _read(run_dir)
    kept = tuple(each for each in labels.tags if each not in tags)
    new = kept if remove else (*labels.tags, *(each for each in dict.fromkeys(tags) if each not in labels.tags))
    if len(new) > MAX_TAGS:
        raise InvalidSetting("tag", "a run has at most {most} tags", most=MAX_TAGS)
    _write(run_dir, msgspec.structs.replace(labels, tags=new))
    return new


def note(run_dir: Path, text: str) -> None:
    """Write a note on a run, in place of the one before; an empty one removes it. Raises `Problem`."""
    text = text.strip()
    if len(text) > MAX_NOTE:
        raise InvalidSetting(
            "note", "a note has at most {most} characters, not {count}", most=MAX_NOTE, count=len(text)
        )
    _write(run_dir, msgspec.structs.replace(_read(run_dir), note=text))


def _write(run_dir: Path, labels: Labels) -> None:
    with writing(run_dir):
        files.replace(path(run_dir), msgspec.json.encode(labels))
