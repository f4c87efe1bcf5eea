"""The other side of `series`: a process that is handed run after run."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core.runs.directory import Run
from core.worker.launch import ENDED, launch_series


class WarmWorker:
    """A process that trains the runs it is handed, one job after another; usually it goes on if this one ends."""

    def __init__(self, runs: Sequence[Run], leash: Path | None = None) -> None:
        """Start the process with its first job: a run, or several that are trained together. Raises `Problem`.

        With a `leash`, a folder that its runs are in, it does not go on if this process ends, and removes the folder.
        """
        self._process = launch_series(runs, leash)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._answers, False)
        self._is_busy = True
        self._heard = b""
        """End of what it has said since it was handed its job."""
        self.has_ended = False
        """True once a look at it found that the process has ended."""
        self.jobs_done = 0
        self.is_lost = False
        """Never true: its slot, on this machine, is there as long as who started it."""

    def hand(self, runs: Sequence[Run]) -> bool:
        """Hand it another job while it is idle; return False if the process has ended meanwhile."""
        line = msgspec.json.encode([str(run.path) for run in runs]) + b"\n"
        try:
            while line:
                line = line[os.write(self._requests, line) :]
        except OSError:
            self.has_ended = True
        self._is_busy = not self.has_ended
        return self._is_busy

    @property
    def is_busy(self) -> bool:
        """True while it works on its job; what it wrote of that can all be read once it does not."""
        with suppress(BlockingIOError):
            while self._is_busy:
                said = os.read(self._answers, 1 << 10)
                self.has_ended = not said
                self._heard = (self._heard + said)[-len(ENDED) :]
                if self.has_ended or self._heard == ENDED:
                    self._is_busy = False
                    self.jobs_done += not self.has_ended
                    self._heard = b""
        if self.has_ended:
            self._process.poll()
        return self._is_busy

    @property
    def has_died(self) -> bool:
        """True if the process was found to have ended."""
        return self.has_ended

    @property
    def died_idle(self) -> bool:
        """True if the process, found to have ended, may have done so before it took its newest job."""
        return self.has_ended and self.jobs_done > 0

    def fileno(self) -> int:
        """Return the descriptor that can be read once it has done its job."""
        return self._answers

    def close(self) -> None:
        """Let the process end once it has done its job."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._process.poll()


def wait_for_any(workers: Iterable[WarmWorker], seconds: float) -> None:
    """Wait until one of the busy workers has done its job, at most so long."""
    select.select([worker for worker in workers if worker.is_busy], [], [], seconds)
