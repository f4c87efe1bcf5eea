"""The process that trains a run: its lock, its record on disk, and the check that it is alive."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core import files
from core.messages import Problem, reason

SILENCE_S = 120.0
"""Seconds of silence after which a worker on another host, which cannot be queried, is presumed dead."""


class Worker(msgspec.Struct, frozen=True):
    """The process that trains a run."""

    host: str
    pid: int
    process_start: float
    """Start time as the operating system reports it; with the pid, it identifies one process forever."""
    started: float


@contextmanager
def hold(run_dir: Path) -> Iterator[None]:
    """Hold the run's lock, as only the process that trains it may. Raises `Problem` if the lock cannot be taken."""
    from filelock import FileLock, Timeout

    try:
        held = FileLock(run_dir / "lock", timeout=0).acquire()
    except Timeout:
        raise Problem("run {run} is already being trained", run=run_dir.name) from None
    except OSError as error:
        raise Problem("cannot write to {path}: {reason}", path=str(run_dir), reason=reason(error)) from error
    with held:
        yield


def claim(run_dir: Path) -> None:
    """Record this process as the one that trains the run. Raises `OSError`."""
    import psutil

    worker = Worker(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())
    files.replace(path(run_dir), lambda file: file.write(msgspec.json.encode(worker)))


def path(run_dir: Path) -> Path:
    """Return the path of the file that records which process trains a run."""
    return run_dir / "worker.json"


def read(run_dir: Path) -> Worker | None:
    """Return the process that trains the run, or trained it last; None if unknown."""
    try:
        return msgspec.json.decode(files.read_small(path(run_dir)), type=Worker)
    except (OSError, ValueError, RecursionError):
        return None


def is_alive(worker: Worker, events_path: Path) -> bool:
    """Return True if the worker is alive or, on another host, if it wrote an event recently."""
    if worker.host != socket.gethostname():
        try:
            return time.time() - events_path.lstat().st_mtime < SILENCE_S
        except OSError:
            return False
    import psutil

    try:
        process = psutil.Process(worker.pid)
        same = abs(process.create_time() - worker.process_start) < 1.0
        return same and process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.Error, ValueError, OverflowError):
        return False
