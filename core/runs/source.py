"""The source of a custom network, kept with a run: the files of its own, and whether they have changed since."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from core import files, paths
from core.catalogue import NETWORKS
from core.messages import N_, Problem, writing

_MAX_FILE = 64 << 20
_CHANGED = "source-changed"
"""File whose presence says that the network was changed while the run was trained."""
_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Hashes = Annotated[dict[str, _Hash], msgspec.Meta(min_length=1, max_length=10_000)]


def record(run_dir: Path, source: Mapping[str, bytes]) -> None:
    """Keep a network's files, and their hashes, in a run directory. A resumed run keeps those that it began with.

    `source` has the content of each file as it was executed, by its path from the network's folder. Nothing is written
    where that fails: the run goes on, and is judged by its network's date.
    """
    known = _recorded(run_dir)
    if known is None:
        if os.path.lexists(run_dir / "source.json"):
            return  # what cannot be read is not replaced
        known = {}
    new = {name: content for name, content in source.items() if name not in known}
    if not new:
        return
    with suppress(OSError):
        for name, content in new.items():
            kept = run_dir / "source" / name
            if ".." not in kept.parts:
                kept.parent.mkdir(parents=True, exist_ok=True)
                files.replace(kept, content)
        _write(run_dir, {**{name: _digest(content) for name, content in new.items()}, **known})


def check_unchanged(run_dir: Path, model: str) -> None:
    """Raise `Problem` if a file that a run's custom network consists of is not as it was. Older runs recorded none."""
    hashes = _recorded(run_dir) if model not in NETWORKS else {}
    if hashes is None and os.path.lexists(run_dir / "source.json"):
        raise Problem(
            "it is not known whether the network of run {run} has changed: {file} cannot be read",
            advice=N_(
                "Compare its file with the copy in {folder}. To go on with it as it is, add --changed to resume."
            ),
            run=run_dir.name,
            file=str(run_dir / "source.json"),
            folder=str(run_dir / "source"),
        )
    folder = paths.here(Path(model.rpartition(":")[0]).expanduser()).parent
    for name, known in (hashes or {}).items():
        try:
            changed = _hash(folder / name) != known
        except OSError:
            changed = True
        if changed:
            raise Problem(
                "{file} is not as it was when run {run} was trained",
                advice=N_("Put it back: a copy is in {folder}. To go on with it as it is, add --changed to resume."),
                file=str(folder / name),
                run=run_dir.name,
                folder=str(run_dir / "source"),
            )


def accept_changes(run_dir: Path, model: str) -> None:
    """Let a run go on with its custom network's files as they are now, and keep these too. Raises `Problem`.

    From then on the run stands for no other.
    """
    file = Path(model.rpartition(":")[0]).expanduser()
    known, folder = _recorded(run_dir) or {file.name: ""}, file.parent
    kept = run_dir / "source" / f"changed-{len(list((run_dir / 'source').glob('changed-*'))) + 1}"
    with writing(run_dir):
        contents = {name: _content(folder / name) for name in known if (folder / name).exists()}
        changed = {name: each for name, each in contents.items() if _digest(each) != known[name]}
        for name, content in changed.items():
            if ".." not in Path(name).parts:
                (kept / name).parent.mkdir(parents=True, exist_ok=True)
                files.replace(kept / name, content)
        if changed or len(contents) < len(known):
            files.replace(run_dir / _CHANGED, b"")
            _write(run_dir, {name: _digest(content) for name, content in contents.items()})


def is_current(run_dir: Path, model: str, created: float) -> bool:
    """Return False if `model` is a custom network, and a file of its own has changed since the run or cannot be read.

    `created` is when the run was created: a run that recorded no source is judged by the date of the network's file.
    """
    if model in NETWORKS:
        return True
    try:
        path = Path(model.rpartition(":")[0]).expanduser()
        if os.path.lexists(run_dir / _CHANGED):
            return False
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


def _write(run_dir: Path, hashes: Mapping[str, str]) -> None:
    """Keep the hashes of a network's files. Raises `OSError`."""
    files.replace(run_dir / "source.json", msgspec.json.format(msgspec.json.encode(hashes), indent=2))


def _hash(path: Path) -> str:
    """Return a file's SHA-256. Raises `OSError`."""
    return _digest(_content(path))


def _content(path: Path) -> bytes:
    """Return a file's content. Raises `OSError`."""
    if not path.is_file() or path.stat().st_size > _MAX_FILE:
        raise OSError(f"{path} is not a file of source")
    return path.read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
