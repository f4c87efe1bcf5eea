"""Run directories and their files, written by hand."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil

from core import files
from core.config import RunConfig
from core.runs import directory, events
from core.runs.directory import Run
from core.runs.events import EventWriter, Progress
from core.runs.lease import Worker

PROGRESS = Progress(epoch=1, step=2, loss=0.5, losses=(0.75, 0.25), images_per_s=1000.0, elapsed_s=0.1)


def new_run(folder: Path, **settings: Any) -> Run:
    return directory.create(folder, RunConfig(**settings))


def write(run: Run, *new: events.Event) -> None:
    writer = EventWriter(run.events_path)
    for event in new:
        assert writer.write(event) is None
    writer.close()


def claim(run: Run, **worker: object) -> None:
    known = Worker(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())
    content = msgspec.json.encode(msgspec.structs.replace(known, **worker))
    files.replace(run.path / "worker.json", lambda file: file.write(content))
