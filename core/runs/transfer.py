"""Run directories that are trained elsewhere: what is sent there, and what comes back while they are trained.

A checkpoint never arrives before the events that precede it: whatever is cut off, the run can go on from what has come.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core import files
from core.messages import N_, Problem, writing
from core.runs import control, lease
from core.runs.directory import Run

PIECE_BYTES = 2 << 20
_MOST_BYTES = 4 << 30
_MOST_FILES = 10_000
_NAME = re.compile(r"(source/([\w-][\w.-]{0,200}/){0,8}|snapshots/)?[\w-][\w.-]{0,200}")
_APPENDED = ("log.txt", "events.jsonl")
_STAYS = re.compile(r"config\.json|lease\.json|attempt-.*|lock|stop|control-.*|labels\.json")
"""Files that are each side's own."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a file of a run directory."""

    name: str
    """Path of the file in the run's directory."""
    offset: int
    content: bytes
    is_last: bool = True
    """True if the file is whole with it."""


def to_send(run: Run) -> dict[str, bytes]:
    """Return the files that training a run, or going on with it, takes, by their paths. Raises `OSError`."""
    names = [name for name in _names(run.path) if not _STAYS.fullmatch(name) and not name.startswith("log.")]
    return {name: (run.path / name).read_bytes() for name in ("config.json", *names)}


def receive_run(run_dir: Path, sent: dict[str, bytes], attempts: int) -> Run:
    """Write a copy of a run that has had so many attempts, and return it. Raises `OSError`."""
    run_dir.mkdir(parents=True)
    for name, content in sent.items():
        path = _path(run_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if attempts:
        lease.write_ended(run_dir, attempts)
    return Run(run_dir)


def sweep(run: Run) -> None:
    """Remove what had not come whole when the process that received it was killed."""
    for folder, _folders, _names_there in os.walk(run.path):
        files.sweep(Path(folder))


def requests(run: Run) -> dict[str, bytes]:
    """Return what is asked of a run, as files by their names; only a request to stop stays."""
    asked = {"stop": b""} if run.stop_requested() else {}
    for path, _request in control.pending(run.path):
        with suppress(OSError):
            asked[path.name] = files.read_small(path)
        control.remove(path)
    return asked


def pass_on(run: Run, asked: dict[str, bytes]) -> None:
    """Write down what is asked of a run, in its copy."""
    for name, content in asked.items():
        if "/" not in name:
            with suppress(OSError):
                files.replace(run.path / name, content, durable=False)


class Outbox:
    """What a copy has that was not sent back yet."""

    def __init__(self, run: Run) -> None:
        """Begin after what the copy has now."""
        self.run = run
        self._sent = {name: files.version(run.path / name) for name in _names(run.path) if name not in _APPENDED}
        self._ends = {name: _size(run.path / name) for name in _APPENDED}
        self._pieces: Iterator[Piece] = iter(())

    def take(self, limit: int = PIECE_BYTES) -> list[Piece]:
        """Return what is to be sent next, about so many bytes; nothing if everything was sent. Raises `OSError`."""
        taken: list[Piece] = []
        size = 0
        for scans in range(2):
            for piece in self._pieces:
                taken.append(piece)
                size += len(piece.content)
                if size >= limit:
                    return taken
            if scans == 0 and not taken:
                self._pieces = self._scan()
        return taken

    def _scan(self) -> Iterator[Piece]:
        # The checkpoints are looked for first and sent last: what precedes them is then among the events.
        checkpoints = [name for name in _names(self.run.path) if name.startswith("checkpoint")]
        events_end = _size(self.run.path / "events.jsonl")
        others = [
            name
            for name in _names(self.run.path)
            if name not in _APPENDED and not name.startswith("checkpoint") and not _STAYS.fullmatch(name)
        ]
        for name in others:
            yield from self._whole(name)
        yield from self._appended("log.txt", _size(self.run.path / "log.txt"))
        yield from self._appended("events.jsonl", events_end)
        for name in checkpoints:
            yield from self._whole(name)

    def _appended(self, name: str, end: int) -> Iterator[Piece]:
        with suppress(FileNotFoundError), files.open_regular(self.run.path / name) as file:
            while (start := self._ends[name]) < end:
                file.seek(start)
                if not (content := file.read(min(PIECE_BYTES, end - start))):
                    return
                self._ends[name] += len(content)
                yield Piece(name, start, content)

    def _whole(self, name: str) -> Iterator[Piece]:
        path = self.run.path / name
        version = files.version(path)
        if version is None or self._sent.get(name) == version:
            return
        self._sent[name] = version
        with suppress(FileNotFoundError), files.open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            for start in range(0, max(1, size), PIECE_BYTES):
                yield Piece(name, start, file.read(PIECE_BYTES), start + PIECE_BYTES >= size)


class Arrivals:
    """A run directory that is written with what comes from where it is trained."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._coming: dict[str, tuple[Path, int]] = {}

    def put(self, pieces: Sequence[Piece]) -> None:
        """Write pieces, in the order in which they were sent. Raises `Problem`."""
        for piece in pieces:
            with writing(self._run.path):
                if piece.name in _APPENDED:
                    files.append(self._run.path / piece.name, piece.content)
                else:
                    self._collect(piece)

    def close(self) -> None:
        """Remove what has not come whole."""
        for path, _size_so_far in self._coming.values():
            with suppress(OSError):
                path.unlink()

    def _collect(self, piece: Piece) -> None:
        path = _path(self._run.path, piece.name)
        if _STAYS.fullmatch(piece.name):
            raise _unexpected(self._run, piece.name)
        if piece.offset == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            if piece.name in self._coming:
                self._coming.pop(piece.name)[0].unlink(missing_ok=True)
            self._coming[piece.name] = files.temporary_name(path), 0
            os.close(files.create(self._coming[piece.name][0]))
        temporary, size = self._coming.get(piece.name, (path, -1))
        if piece.offset != size or size + len(piece.content) > _MOST_BYTES:
            raise _unexpected(self._run, piece.name)
        with temporary.open("ab") as file:
            file.write(piece.content)
            if piece.is_last:
                file.flush()
                files.sync(file.fileno())
        self._coming[piece.name] = temporary, size + len(piece.content)
        if piece.is_last:
            files.rename(temporary, path)
            del self._coming[piece.name]
            if piece.name.startswith("checkpoint"):
                self._forget_checkpoints()

    def _forget_checkpoints(self) -> None:
        """Remove all checkpoints but the newest two, as the process that trains does."""
        found = sorted(self._run.path.glob("checkpoint-*.pt"), key=lambda path: path.stat().st_mtime_ns)
        for path in found[:-2]:
            path.unlink(missing_ok=True)


def _names(run_dir: Path) -> list[str]:
    """Return the paths of the regular files in a run directory that may travel."""
    found = []
    for folder, folders, names in os.walk(run_dir):
        folders.sort()
        inside = Path(folder).relative_to(run_dir)
        found += [
            str(inside / name)
            for name in sorted(names)
            if _NAME.fullmatch(str(inside / name)) and not (Path(folder) / name).is_symlink()
        ]
        if len(found) > _MOST_FILES:
            break
    return found


def _path(run_dir: Path, name: str) -> Path:
    """Return the path of a file that was sent. Raises `Problem` if its name is none that may be."""
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise _unexpected(Run(run_dir), name)
    return run_dir / name


def _unexpected(run: Run, name: str) -> Problem:
    return Problem(N_("run {run} was sent what it cannot have: {name}"), run=run.id, name=ascii(name))


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
