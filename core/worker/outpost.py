"""A place on another machine where runs are trained: copies of their directories, and a warm worker."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core import files, paths
from core.runs import transfer
from core.runs.transfer import Outbox, Piece
from core.worker.warm_worker import WarmWorker, wait_for_any

_PREFIX = "mnist-tui-"
_LOCK = ".lock"
_WAIT_S = 0.25
_THREADS_VARIABLE = "OMP_NUM_THREADS"


def _make_folder() -> tuple[Path, int]:
    """Return a new temporary folder, and the descriptor of the locked file that says that its process lives."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    begun = folder.with_suffix(".begun")
    descriptor = files.create(begun)
    files.lock(descriptor)  # first: who finds it finds it locked
    begun.rename(folder.with_suffix(_LOCK))
    return folder, descriptor


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.exists():  # else the next outpost here removes it
        folder.with_suffix(_LOCK).unlink(missing_ok=True)


def _sweep() -> None:
    """Remove the folders of this user's outposts that were killed."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*{_LOCK}"):
        with suppress(OSError):
            if lock.lstat().st_uid == os.geteuid() and not files.is_locked_file(lock):
                _remove_folder(lock.with_suffix(""))


class SentRun(msgspec.Struct, frozen=True):
    """A run to be trained at an outpost."""

    id: str
    attempts: int
    """Number of attempts that it has had."""
    files: dict[str, bytes]
    """Files of its directory, by their paths there."""


class OutpostNews(msgspec.Struct, frozen=True):
    """What an outpost has to tell."""

    pieces: dict[str, list[Piece]]
    """New parts of files, by the ids of their runs."""
    is_busy: bool
    """True while its runs are being trained, or there is more to be sent of them."""
    has_died: bool = False
    """True if the process that trained them has."""


class Outpost:
    """An outpost: one job at a time, which ends with this process."""

    def __init__(self, sent: Mapping[str, bytes], environment: Mapping[str, str]) -> None:
        """Write what is `sent` along, by the paths where it lay; `environment` is what decides about threads there."""
        _sweep()
        self._folder, self._lock = _make_folder()
        os.environ.pop(_THREADS_VARIABLE, None)
        os.environ.update(environment)
        os.environ[paths.SENT] = str(self._folder / "sent")
        self._bring(sent)
        self._worker: WarmWorker | None = None
        self._outboxes: list[Outbox] = []
        self._jobs = 0

    def tell_when_ready(self) -> None:
        """Return once it is there."""

    def begin(self, runs: Sequence[SentRun], sent: Mapping[str, bytes]) -> OutpostNews:
        """Have runs trained: together, if they are several. Raises `OSError` or `Problem`.

        `sent` has further files that are sent along.
        """
        self._bring(sent)
        self._jobs += 1
        folder = self._folder / str(self._jobs)
        copies = [transfer.receive_run(folder / sent.id, sent.files, sent.attempts) for sent in runs]
        self._outboxes = [Outbox(copy) for copy in copies]
        if self._worker is None or self._worker.has_ended or not self._worker.hand(copies):
            self._worker = WarmWorker(copies, self._folder)
        return self.exchange({})

    def exchange(self, asked: Mapping[str, Mapping[str, bytes]]) -> OutpostNews:
        """Pass on what is asked of the runs, by their ids, and return what is new, or after a moment nothing."""
        for outbox in self._outboxes:
            transfer.pass_on(outbox.run, dict(asked.get(outbox.run.id, {})))
        worker = self._worker
        assert worker is not None
        deadline = time.monotonic() + _WAIT_S
        while True:
            is_busy = worker.is_busy  # first: what it wrote until then is all sent below
            pieces = {outbox.run.id: taken for outbox in self._outboxes if (taken := outbox.take())}
            if not is_busy and not pieces:
                self._forget()
                return OutpostNews({}, is_busy=False, has_died=worker.has_ended)
            if pieces or time.monotonic() > deadline:
                return OutpostNews(pieces, is_busy=True)
            wait_for_any([worker], _WAIT_S / 4)

    def close(self) -> None:
        """End the worker, and remove everything."""
        if self._worker is not None:
            self._worker.close()
        _remove_folder(self._folder)

    def _bring(self, sent: Mapping[str, bytes]) -> None:
        for name, content in sent.items():
            path = self._folder.joinpath("sent", *Path(name).parts[1:])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def _forget(self) -> None:
        for outbox in self._outboxes:
            with suppress(OSError):
                shutil.rmtree(outbox.run.path.parent)
        self._outboxes = []
