"""Run directories and their files, written by hand."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from core import machine
from core.config import RunConfig
from core.runs import directory, events, lease
from core.runs.directory import Run
from core.runs.events import EventWriter, Progress
from core.runs.formats import FORMAT
from core.runs.lease import Lease

PROGRESS = Progress(
    epoch=1, step=2, loss=0.5, losses=(0.75, 0.25), images_per_s=1000.0, elapsed_s=0.1, run="rn1-0001", format=FORMAT
)
ELSEWHERE: dict[str, Any] = {"host": "elsewhere", "boot_id": "another boot"}
"""What the lease of a process on another host says."""


def new_run(folder: Path, **settings: Any) -> Run:
    return directory.create(folder, RunConfig(**settings))


def attempts(run: Run) -> int:
    """Return the number of the run's newest attempt, 0 if there is none."""
    newest = lease.read(run.path)
    return newest.attempt if newest is not None else 0


def write(run: Run, *new: events.Event) -> None:
    """Append events of the newest attempt."""
    writer = EventWriter(run.events_path, attempts(run))
    for event in new:
        assert writer.write(event) is None
    assert writer.close() is None


def claim(run: Run, *, lives: bool = True, **changes: Any) -> Path:
    """Write the lease of a new attempt; return its path. A process that `lives` holds its lock until this one ends."""
    known = Lease(
        attempt=attempts(run) + 1,
        token="token",
        host=socket.gethostname(),
        boot_id=machine.boot_id(),
        pid=os.getpid(),
        started=0.0,
        locked=True,
    )
    new = msgspec.structs.replace(known, **changes)
    path = run.path / f"attempt-{new.attempt:04d}.json"
    path.write_bytes(msgspec.json.encode(new))
    if lives:
        fcntl.flock(os.open(path, os.O_RDONLY), fcntl.LOCK_EX)
    return path


def release(lease_path: Path) -> None:
    """Let a lease look as one whose process has ended: this process, which locks it, does not end."""
    content = lease_path.read_bytes()
    lease_path.unlink()
    lease_path.write_bytes(content)


def checkpoints_of(run: Run) -> list[Path]:
    """Return the run's checkpoints, the oldest first."""
    return sorted(run.path.glob("checkpoint-*.pt"), key=lambda path: [int(part) for part in path.stem.split("-")[1:]])
