"""What is asked of a run in progress: files in its directory, which the process that trains it looks for.

They work from any host that sees the folder. Each has a name of its own, so that none is lost to another.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from core import files
from core.config import LearningRate, NumEpochs
from core.messages import writing

_NAME = re.compile(r"control-\d{19,20}-[0-9a-f]{8}\.json")
_MOST = 1000
"""Requests that are taken at a time."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a training is to do from its next batch on. What is None stays as it is."""

    stop: bool = False
    paused: bool | None = None
    lr: LearningRate | None = None
    epochs: NumEpochs | None = None

    def then(self, later: Request) -> Request:
        """Return both requests as one; the later one counts where they differ."""
        changes = {name: value for name, value in msgspec.structs.asdict(later).items() if value not in (None, False)}
        if later.paused is not None:
            changes["paused"] = later.paused
        return msgspec.structs.replace(self, **changes)


NOTHING = Request()


def ask(run_dir: Path, request: Request) -> None:
    """Ask the process that trains a run for something. Raises `Problem`."""
    path = run_dir / f"control-{time.time_ns():019d}-{secrets.token_hex(4)}.json"
    with writing(run_dir):
        files.replace(path, msgspec.json.encode(request))


def pending(run_dir: Path) -> list[tuple[Path, Request]]:
    """Return the requests that nobody has answered yet, the oldest first; a damaged one asks for nothing."""
    try:
        names = sorted(name for name in os.listdir(run_dir) if _NAME.fullmatch(name))[:_MOST]  # noqa: PTH208
    except OSError:
        return []
    return [(run_dir / name, _read(run_dir / name)) for name in names]


def withdraw(run_dir: Path) -> None:
    """Remove all requests, so that a process that is started next does not act on them."""
    for path, _request in pending(run_dir):
        remove(path)


def remove(path: Path) -> None:
    """Remove a request that was answered."""
    with suppress(OSError):
        path.unlink()


def _read(path: Path) -> Request:
    try:
        return msgspec.json.decode(files.read_small(path), type=Request)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return NOTHING
