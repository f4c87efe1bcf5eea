"""Snapshots: the parameters of a run at some moments of its training, each a file in its folder `snapshots`.

`0002-3-400.safetensors` is of attempt 2, after batch 400 of epoch 3. The final parameters are the run's weights.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from core.config import MAX_SNAPSHOTS
from core.messages import Problem
from core.runs import lease
from core.runs.directory import Run

_NAME = re.compile(r"(\d{4,12})-(\d{1,16})-(\d{1,16})\.safetensors")
_MOST_ENTRIES = 1000
"""Entries of the folder that are looked at."""


class Moment(NamedTuple):
    """A moment of a training whose parameters are on disk, in the order in which an attempt comes to them."""

    attempt: int
    epoch: int
    """Epoch, counted from 1."""
    step: int
    """Completed batches of `epoch`; 0 before the first one."""
    path: Path

    @property
    def position(self) -> tuple[int, int]:
        """Epoch and completed batches."""
        return self.epoch, self.step


def folder(run_dir: Path) -> Path:
    """Return the folder of a run's snapshots."""
    return run_dir / "snapshots"


def snapshot_path(run_dir: Path, attempt: int, epoch: int, step: int) -> Path:
    """Return the path of a snapshot."""
    return folder(run_dir) / f"{attempt:04d}-{epoch}-{step}.safetensors"


def moments(run: Run) -> list[Moment]:
    """Return the moments of a run's snapshots in the order of the training, without what a resumption abandoned."""
    newest_attempt = lease.newest_attempt(run.path)
    found: list[Moment] = []
    for moment in sorted(stored(run.path), key=lambda each: (each.position, each.attempt)):
        if moment.attempt > newest_attempt or (found and moment.attempt < found[-1].attempt):
            continue
        if found and moment.position == found[-1].position:
            found.pop()
        found.append(moment)
    return found[:MAX_SNAPSHOTS]


def find(run: Run, name: str) -> Moment:
    """Return the moment of the snapshot whose file has this name, without its suffix. Raises `Problem`."""
    found = next((moment for moment in moments(run) if moment.path.stem == name), None)
    if found is None:
        raise Problem("run {run} has no snapshot {file}", run=run.id, file=name)
    return found


def stored(run_dir: Path) -> list[Moment]:
    """Return every snapshot in a run directory, in no order; only regular files with the name of one are."""
    try:
        descriptor = os.open(folder(run_dir), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        with os.scandir(descriptor) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES) if entry.is_file(follow_symlinks=False)]
    except OSError:
        return []
    finally:
        os.close(descriptor)
    return [
        Moment(int(match[1]), int(match[2]), int(match[3]), folder(run_dir) / name)
        for name in names
        if (match := _NAME.fullmatch(name)) and int(match[2]) >= 1
    ]
