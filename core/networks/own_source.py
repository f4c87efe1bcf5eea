"""The source of a custom network: the files of its own that were loaded from its folder, and whether they changed."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from core import files
from core.catalogue import NETWORKS

_MAX_FILE = 64 << 20
_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Hashes = Annotated[dict[str, _Hash], msgspec.Meta(min_length=1, max_length=10_000)]


class OwnSource:
    """The files that a network has loaded so far: more may come, since a module may be imported while it trains."""

    def __init__(self, folder: Path) -> None:
        """Take the network's folder, without links."""
        self._folder = folder
        self.hashes: dict[str, str] = {}
        """SHA-256 of each file as it was executed, by its path from the network's folder."""

    def add(self, path: Path, content: bytes) -> None:
        name = Path(os.path.relpath(path.parent.resolve() / path.name, self._folder)).as_posix()
        self.hashes[name] = hashlib.sha256(content).hexdigest()

    def record(self, run_dir: Path) -> None:
        """Write the files and their hashes into a run directory. A resumed run keeps those that it began with.

        Nothing is written where that fails: the run goes on, and is judged by its network's date.
        """
        hashes = {**self.hashes, **(_recorded(run_dir) or {})}
        with suppress(OSError):
            content = msgspec.json.format(msgspec.json.encode(hashes), indent=2)
            files.replace(run_dir / "source.json", lambda file: file.write(content))


def is_current(run_dir: Path, model: str, created: float) -> bool:
    """Return False if `model` is a custom network, and a file of its own has changed since the run or cannot be read.

    `created` is when the run was created: a run that recorded no source is judged by the date of the network's file.
    """
    if model in NETWORKS:
        return True
    try:
        path = Path(model.rpartition(":")[0]).expanduser()
        if not os.path.lexists(run_dir / "source.json"):
            return path.stat().st_mtime <= created
        hashes = _recorded(run_dir)
        return hashes is not None and all(_hash(path.parent / name) == known for name, known in hashes.items())
    except (OSError, RuntimeError, ValueError):
        return False


def _recorded(run_dir: Path) -> dict[str, str] | None:
    """Return the hashes that a run recorded; None if there are none, or they make no sense."""
    try:
        return msgspec.json.decode(files.read_small(run_dir / "source.json", 1 << 22), type=_Hashes)
    except (OSError, ValueError, RecursionError):
        return None


def _hash(path: Path) -> str:
    """Return a file's SHA-256. Raises `OSError`."""
    if not path.is_file() or path.stat().st_size > _MAX_FILE:
        raise OSError(f"{path} is not a file of source")
    return hashlib.sha256(path.read_bytes()).hexdigest()
