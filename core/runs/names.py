"""What identifies a run in its folder: its id, whose number is never used again, and the name it may have."""

from __future__ import annotations

import difflib
import os
import re
from contextlib import suppress
from pathlib import Path

from core import files
from core.messages import N_, InvalidSetting, Problem, reason, writing
from core.runs import labels

ID = re.compile(r"[a-z0-9_]{1,40}-(\d{4,9})")
_NUMBERS = ".numbers"
"""File of the numbers that runs were given, one per line, in the order of their creation."""
_NAME = re.compile(r"\w[\w.+=@:-]{0,99}")
_LONGEST_NAME = 200
"""Bytes of the longest name: a file's name may have 255, and a temporary one is longer."""
_NAMES = ".names"
"""Folder with a file for each name that a run has, which holds its id."""


def last_number(runs_dir: Path) -> int:
    """Return the greatest number that a run here ever had, as far as is known, or 0."""
    try:
        with files.open_regular(runs_dir / _NUMBERS) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - (1 << 12)))
            return max((int(line) for line in file.read().split() if re.fullmatch(rb"\d{1,8}", line)), default=0)
    except OSError:
        return 0


def keep_number(runs_dir: Path, number: int) -> None:
    """Remember that a run was given this number."""
    with suppress(OSError):  # it is only needed if the newest run is deleted
        files.append(runs_dir / _NUMBERS, f"{number}\n".encode())


def is_name(text: str) -> bool:
    """Tell if a run may have this name."""
    return _NAME.fullmatch(text) is not None and len(text.encode()) <= _LONGEST_NAME


def find(runs_dir: Path, name: str) -> str | None:
    """Return the id of the run that has a name; None if there is none, or it was deleted. Raises `Problem`."""
    if not is_name(name):
        text = N_(
            "a name has up to 100 letters, digits and . _ + = @ : -, and begins with a letter, a digit or _: {value}"
        )
        raise InvalidSetting("name", text, value=name or "''")
    path = runs_dir / _NAMES / name
    try:
        return _named(path, runs_dir)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise Problem(
            "the file of the name {name} is damaged, and does not say which run has it",
            advice=N_("Write the run's id into {path}, or delete that file to start a new run."),
            name=name,
            path=str(path),
        ) from error
    except OSError as error:
        raise Problem("cannot read {path}: {reason}", path=str(path), reason=reason(error)) from error


def unknown(runs_dir: Path, typed: str, ids: list[str]) -> Problem:
    """Return the problem that no run is called what was typed, with what may have been meant; `ids` are there."""
    try:
        names = list(filter(is_name, os.listdir(runs_dir / _NAMES)))  # noqa: PTH208
    except OSError:
        names = []
    near = difflib.get_close_matches(typed.lower(), [*reversed(ids), *names], n=3)
    advice = N_("Did you mean {known}?") if near else N_("The newest are: {known}.") if ids else ""
    known = ", ".join(near or ids[-5:])
    return Problem("there is no run {run} in {path}", advice=advice, run=typed, path=str(runs_dir), known=known)


def give(runs_dir: Path, name: str, run_id: str) -> str:
    """Give a run a name; return the id of the run that has it, as another process may have been faster.

    Raises `Problem`.
    """
    path = runs_dir / _NAMES / name
    with writing(path.parent):
        path.parent.mkdir(exist_ok=True)
        while True:
            whole = files.temporary_name(path)
            try:
                files.replace(whole, run_id.encode())
                os.link(whole, path)
                return run_id
            except FileExistsError:
                other = find(runs_dir, name)
                if other is not None:
                    return other
                _free(path, runs_dir)
            finally:
                whole.unlink(missing_ok=True)


def rename(runs_dir: Path, run_id: str, name: str) -> None:
    """Give a run a name in place of the one it has, which another run may then have. Raises `Problem`."""
    if ID.fullmatch(name):
        raise InvalidSetting("name", "{value} is the form of an id: choose another name", value=name)
    known = find(runs_dir, name)
    other = known or give(runs_dir, name, run_id)
    if other != run_id:
        raise InvalidSetting("name", "{name} is the name of run {run}: choose another name", name=name, run=other)
    try:
        labels.rename(runs_dir / run_id, name)
    except Problem:
        if known is None:  # it was free, and is again
            (runs_dir / _NAMES / name).unlink(missing_ok=True)
        raise
    with suppress(OSError):  # names of it that are left over find it still
        for path in (runs_dir / _NAMES).iterdir():
            if path.name != name and _is_of(path, runs_dir, run_id):
                path.unlink()


def _is_of(path: Path, runs_dir: Path, run_id: str) -> bool:
    try:
        return _named(path, runs_dir) == run_id
    except (OSError, ValueError):
        return False


def _free(path: Path, runs_dir: Path) -> None:
    """Free the name of a run that was deleted, unless another process has just given it to a new one."""
    aside = files.temporary_name(path)
    try:
        path.rename(aside)
        if _named(aside, runs_dir) is not None:
            os.link(aside, path)
    except (FileNotFoundError, FileExistsError):
        pass  # another process was faster
    finally:
        aside.unlink(missing_ok=True)


def _named(path: Path, runs_dir: Path) -> str | None:
    """Return the id of the run that a name's file holds; None if it was deleted. Raises `OSError` or `ValueError`."""
    run_id = files.read_small(path).decode("ascii").strip()
    if not ID.fullmatch(run_id):
        raise ValueError(f"no run's id: {run_id!r}")
    return run_id if (runs_dir / run_id).is_dir() else None
