"""Small files of the user's in which an exam is kept: what was answered so far."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from core import files
from core.messages import N_, Problem, reason
from core.paths import default_state_dir

FORMAT = 1
_MAX_ASIDE = 9

Kept = TypeVar("Kept")


class KeptFile(Generic[Kept]):
    """A JSON file in the state folder. What cannot be read is set aside, never written over."""

    def __init__(self, folder: Path | None, name: str, empty: Kept, most_bytes: int = 1 << 16) -> None:
        """Keep what is like `empty` in a folder; None keeps it only as long as the program runs."""
        self._path = folder / name if folder is not None else None
        self._empty = empty
        self._most_bytes = most_bytes
        self._is_behind = False
        """True if what was written last could not be kept."""

    def read(self) -> tuple[Kept, Problem | None]:
        """Return what is kept, and what the user must know of it: `empty` where the file cannot be used."""
        if self._path is None or not os.path.lexists(self._path):
            return self._empty, None
        try:
            return self._decoded(), None
        except (OSError, ValueError, RecursionError) as error:
            return self._empty, self._set_aside(error)

    def newest(self, known: Kept) -> Kept:
        """Return what is kept now, which another process may have changed; what is `known` if that is not all there."""
        try:
            return self._decoded() if self._path is not None and not self._is_behind else known
        except (OSError, ValueError, RecursionError):
            return known

    def _decoded(self) -> Kept:
        assert self._path is not None
        content = files.read_small(self._path, self._most_bytes)
        if msgspec.json.decode(content, type=_Version).format > FORMAT:
            raise ValueError("from a newer version")
        return msgspec.json.decode(content, type=type(self._empty))

    def write(self, kept: Kept) -> None:
        """Write what is to be kept. Raises `Problem`."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(self._path, msgspec.json.encode(kept), durable=False)
            self._is_behind = False
        except OSError as error:
            self._is_behind = True
            advice = N_("The exam goes on, but your progress is not kept.")
            text = N_("cannot write to {path}: {reason}")
            raise Problem(text, advice=advice, path=str(self._path), reason=reason(error)) from error

    def _set_aside(self, error: Exception) -> Problem:
        assert self._path is not None
        aside = _free_name(self._path)
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


def state_folder() -> tuple[Path | None, Problem | None]:
    """Return the user's state folder; without one None, and why."""
    try:
        return default_state_dir(), None
    except Problem as problem:
        return None, problem


def _free_name(path: Path) -> Path:
    """Return an unused name beside a file; after many, the last one."""
    names = [path.with_name(f"{path.stem}.old{number or ''}{path.suffix}") for number in range(_MAX_ASIDE)]
    return next((name for name in names if not os.path.lexists(name)), names[-1])


class _Version(msgspec.Struct):
    format: int = FORMAT
