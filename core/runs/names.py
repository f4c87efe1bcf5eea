"""What identifies a run in its folder: its id, whose number is never used again, and the name it may have."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from core import files
from core.messages import N_, InvalidSetting, Problem, reason

ID = re.compile(r"[a-z0-9_]{1,40}-(\d{4,9})")
_NUMBERS = ".numbers"
"""File of the numbers that runs were given, one per line, in the order of their creation."""
_NAME = re.compile(r"\w[\w.+=@:-]{0,99}")
_LONGEST_NAME = 200
"""Bytes of the longest name: a file's name may have 255, and a temporary one is longer."""
_NAMES = ".names"
"""Folder with a file for each name that a run was started under, which holds its id."""


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
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with suppress(OSError):  # it is only needed if the newest run is deleted
        descriptor = os.open(runs_dir / _NUMBERS, flags, 0o666)
        try:
            files.write_all(descriptor, f"{number}\n".encode())
        finally:
            os.close(descriptor)


def find(runs_dir: Path, name: str) -> str | None:
    """Return the id of the run that was started under a name; None if there is none, or it was deleted.

    Raises `Problem`.
    """
    if not _NAME.fullmatch(name) or len(name.encode()) > _LONGEST_NAME:
        text = N_("a name has letters, digits and any of . _ + = @ : -, and at most 100 of them: {value}")
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


def give(runs_dir: Path, name: str, run_id: str) -> str:
    """Give a run a name; return the id of the run that has it, as another process may have been faster.

    Raises `Problem`.
    """
    path = runs_dir / _NAMES / name
    try:
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
    except OSError as error:
        raise Problem("cannot write to {path}: {reason}", path=str(path.parent), reason=reason(error)) from error


def take_back(runs_dir: Path, name: str, run_id: str) -> None:
    """Free a name if the run has it."""
    path = runs_dir / _NAMES / name
    with suppress(OSError, ValueError):
        if _named(path, runs_dir) == run_id:
            path.unlink()


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
