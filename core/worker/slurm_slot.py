"""A job of a Slurm cluster: a warm worker that is handed runs through the folder of a comparison, until there are none.

The driver writes the runs to be trained to a file in the slot's folder, which is removed once they have ended. A slot
that has to leave before leaves the file there, and asks its runs to save a checkpoint.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core import files
from core.messages import Problem
from core.runs import lease, names
from core.runs.directory import Run
from core.runs.job_folder import JobFolder
from core.worker.detach import StopSignals
from core.worker.warm_worker import WarmWorker, wait_for_any

SLOTS = "slots"
JOB = "job.json"
DIED = "died"
"""A file that says that the process that trained the newest job did not end it."""
CLOSED = "closed"
"""A file that tells a slot, or all of them, that there will be no more runs."""
_LOOK_S = 0.25
_ABANDONED_S = 300.0
"""Seconds for which an idle slot waits for the next process that carries the comparison out."""


def serve(comparison: str) -> None:
    """Train what the slot is handed; requeue the job if its time is up. Raises `Problem` or `OSError`."""
    signals = StopSignals()
    signals.install()
    os.environ[lease.COMPARISON_VARIABLE] = Path(comparison).name
    folder = Path(comparison) / SLOTS / _name()
    folder.mkdir(exist_ok=True)  # not its parents: where they are missing, this node does not see the folder
    slot = _Slot(folder, signals)
    with lease.hold(folder) as held:
        slot.work(lambda: held.is_lost)
    if signals.exit_code == os.EX_TEMPFAIL and signals():
        try:
            subprocess.run(["scontrol", "requeue", os.environ["SLURM_JOB_ID"]], check=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            sys.exit(f"the job could not be requeued: {error}")
        time.sleep(60)  # until Slurm ends the job


class _Slot:
    def __init__(self, folder: Path, should_leave: Callable[[], bool]) -> None:
        self._folder = folder
        self._comparison = JobFolder(folder.parents[1])
        self._runs_dir = folder.parents[3]
        self._should_leave = should_leave
        self._worker: WarmWorker | None = None

    def work(self, is_lost: Callable[[], bool]) -> None:
        """Do job after job until there are no more."""
        driver_seen = next_look = time.monotonic()
        while not self._should_leave():
            if ids := read_job(self._folder):
                self._do([Run(self._runs_dir / run) for run in ids])
                driver_seen = time.monotonic()
                continue
            if (self._folder / CLOSED).exists() or (self._folder.parent / CLOSED).exists() or is_lost():
                break
            if time.monotonic() > next_look:
                next_look = time.monotonic() + lease.RENEWAL_S
                driver_seen = time.monotonic() if self._comparison.is_at_work else driver_seen
            if time.monotonic() > driver_seen + _ABANDONED_S:
                break
            _look_anew(self._folder)
            time.sleep(_LOOK_S)
        if self._worker is not None:
            self._worker.close()

    def _do(self, runs: Sequence[Run]) -> None:
        """Train runs, and say that they have ended, unless it is the slot that does."""
        (self._folder / DIED).unlink(missing_ok=True)
        worker = self._hand(runs)
        is_leaving = False
        while worker.is_busy:
            wait_for_any([worker], _LOOK_S)
            if self._should_leave() and not is_leaving:
                is_leaving = True
                for run in runs:
                    with suppress(Problem):
                        run.request_stop()
        if not self._should_leave():
            if worker.has_ended:
                (self._folder / DIED).touch()
            (self._folder / JOB).unlink(missing_ok=True)

    def _hand(self, runs: Sequence[Run]) -> WarmWorker:
        if self._worker is None or self._worker.has_ended or not self._worker.hand(runs):
            self._worker = WarmWorker(runs)
        return self._worker


def read_job(folder: Path) -> list[str]:
    """Return the ids of the runs that a slot has been handed; none if it is idle."""
    try:
        ids = msgspec.json.decode(files.read_small(folder / JOB), type=list[str])
    except (OSError, ValueError, RecursionError):
        return []
    return ids if all(map(names.ID.fullmatch, ids)) else []


def _name() -> str:
    """Return a name for this start of the job: those of an array have a number each."""
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = f"{array}_{task}" if array else os.environ["SLURM_JOB_ID"]
    return f"{job}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _look_anew(folder: Path) -> None:
    """Have a file system of the network forget what it knows of a folder: a write there does it."""
    files.age_s(folder, 0.0)
