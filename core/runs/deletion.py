"""Deleting runs: never one that a process trains, also not one that starts at that moment."""

from __future__ import annotations

import shutil
import stat
from contextlib import suppress
from pathlib import Path

from core import files
from core.messages import N_, Problem, reason
from core.runs import lease
from core.runs.directory import Run
from core.runs.record import UNENDED

_ASIDE = ".deleted-"


def size(run: Run) -> int:
    """Return the bytes of a run's files; those that cannot be read do not count."""
    total = 0
    with suppress(OSError):
        for path in run.path.rglob("*"):
            with suppress(OSError):
                status = path.lstat()
                total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def is_deletable(run: Run) -> bool:
    """Tell if no process trains a run, as far as is known."""
    return run.state() not in UNENDED and not run.is_at_work


def in_progress(run: Run) -> Problem:
    """Return what to raise where a run in progress is to be deleted."""
    advice = N_("Stop it first: mnist-tui stop {run} --wait")
    return Problem("run {run} is in progress: it is not deleted", advice=advice, run=run.id)


def delete(run: Run) -> int:
    """Delete a run, and return the bytes that its files had. Raises `Problem`."""
    if not is_deletable(run):
        raise in_progress(run)
    total = size(run)
    aside = files.temporary_name(run.path.with_name(_ASIDE + run.id))
    try:
        if run.path.is_symlink():
            run.path.unlink()
            return total
        with lease.hold(run.path):  # a process that starts meanwhile is refused
            run.path.rename(aside)
        shutil.rmtree(aside)
    except OSError as error:
        raise Problem("run {run} cannot be deleted: {reason}", run=run.id, reason=reason(error)) from error
    return total


def sweep(runs_dir: Path) -> None:
    """Remove what a deletion left that was killed in the middle."""
    for leftover in runs_dir.glob(f".{_ASIDE}*"):
        shutil.rmtree(leftover, ignore_errors=True)
