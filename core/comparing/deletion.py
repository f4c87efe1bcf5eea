"""Deleting runs: none that is in progress, or that a comparison in progress counts."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from core import files
from core.comparing import stored
from core.messages import N_, Problem, reason
from core.runs import lease
from core.runs.directory import Run, Summary
from core.runs.record import UNENDED, State

_ASIDE = re.compile(r"\.[a-z0-9_]{1,40}-\d{4,9}\.[0-9a-f]{16}")
"""Name of the folder of a run that is being deleted."""

_IN_VAIN: frozenset[State] = frozenset({"failed", "diverged", "crashed"})
"""States of runs that are worth nothing if no epoch was done."""


def size_of(run: Run) -> int:
    """Return the bytes of a run's files."""
    total = 0
    for folder, _folders, names in os.walk(run.path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
            except OSError:
                continue
    return total


def delete(runs_dir: Path, runs: Iterable[Run]) -> dict[str, Problem]:
    """Delete runs, and return why those are left that cannot be, by their ids.

    Each is taken as its process would take it, so that none can start meanwhile. A comparison that has ended and needs
    a deleted run trains it again when it is asked for next.
    """
    problems: dict[str, Problem] = {}
    needed = _needed(runs_dir)
    for run in runs:
        try:
            _delete(run, needed)
        except Problem as problem:
            problems[run.id] = problem
    _sweep(runs_dir)
    return problems


def prunable(
    summaries: Sequence[Summary], *, older_than_s: float | None = None, keep: int | None = None, marked: bool = False
) -> list[Summary]:
    """Return the runs that a tidying would delete, of those given, which begin with the oldest.

    Those that failed before their first epoch was done or, if either is given, all that ended longer ago than
    `older_than_s` and are not among the newest `keep`. Runs with a name, a tag or a note stay, except if `marked` ones
    are asked for.
    """
    ended = [each for each in summaries if each.state not in UNENDED | {"unreadable"}]
    if older_than_s is None and keep is None:
        found = [each for each in ended if each.state in _IN_VAIN and each.epochs_done == 0]
    else:
        latest = time.time() - (older_than_s or 0.0)
        found = [each for each in ended[: max(0, len(ended) - (keep or 0))] if (each.ended or each.created) <= latest]
    return [each for each in found if marked or not (each.name or each.tags or each.note)]


def _needed(runs_dir: Path) -> frozenset[str]:
    """Return the ids of the runs that comparisons in progress count."""
    comparisons = stored.in_progress(runs_dir)
    return frozenset(part.run for comparison in comparisons for part in comparison.standing().parts)


def _delete(run: Run, needed: frozenset[str]) -> None:
    if run.id in needed:
        raise Problem("run {run} is part of a comparison in progress, and stays", run=run.id)
    if run.path.is_symlink():
        raise Problem("cannot delete {path}: {reason}", path=str(run.path), reason="it is a link")
    attempt = lease.newest_attempt(run.path)  # first: whoever starts it after this look has a greater one
    if why := why_it_stays(run, run.state()):
        raise why
    with lease.hold_after(run.path, attempt):
        aside = files.temporary_name(run.path)
        try:
            files.rename(run.path, aside)
        except OSError as error:
            raise Problem("cannot delete {path}: {reason}", path=str(run.path), reason=reason(error)) from error
        shutil.rmtree(aside, ignore_errors=True)
    if aside.exists():
        raise Problem("not all of {path} could be deleted", path=str(aside))


def why_it_stays(run: Run, state: State) -> Problem | None:
    """Return why a run in this state is not deleted, if it is not."""
    if state not in UNENDED and (state != "unreadable" or _is_given_up(run)):
        return None
    advice = N_("Stop it first: mnist-tui stop {run}") if state != "silent" else ""
    text = N_("run {run} is in progress, and stays")
    if state in ("silent", "unreadable"):
        text = N_("run {run} may be in progress on another host, and stays")
    return Problem(text, advice=advice, run=run.id)


def _is_given_up(run: Run) -> bool:
    """Tell if the process of an unreadable run is known to be gone."""
    newest = lease.read(run.path)
    if newest is None:
        return not lease.is_held_by_older_version(run.path)
    return lease.sign(run.path, newest).vitality == "gone"


def _sweep(runs_dir: Path) -> None:
    """Delete what is left of runs whose deletion was interrupted."""
    try:
        left = [entry.path for entry in os.scandir(runs_dir) if _ASIDE.fullmatch(entry.name)]
    except OSError:
        return
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
