"""What is asked of the process that trains a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from core.runs import control
from core.runs.control import NOTHING, Request
from core.runs.directory import Run
from core.runs.lease import Held

_FILE_INTERVAL_S = 0.25


class Inbox:
    """What is asked of the process, by signals and by files; it looks at the file system only now and then."""

    def __init__(self, run: Run, held: Held, should_stop: Callable[[], bool]) -> None:
        self._run = run
        self._held = held
        self._should_stop = should_stop
        self._next_look = 0.0
        self._answered: list[Path] = []
        self._standing = NOTHING
        """What stays asked for until something else is: a pause."""

    def should_stop(self) -> bool:
        """Return True once the run should stop. Raises `Lost`."""
        return self._should_stop() or (self._is_due() and self._run.stop_requested())

    def look(self) -> Request:
        """Return what the training is to do from the next batch on. Raises `Lost`."""
        if self._should_stop():
            return Request(stop=True)
        return self.take() if self._is_due() else self._standing

    def take(self) -> Request:
        """Return what the files ask for; what they asked for last time was done and written, so these are removed."""
        for path in self._answered:
            control.remove(path)
        asked, self._answered = self._standing, []
        for path, request in control.pending(self._run.path):
            asked = asked.then(request)
            self._answered.append(path)
        self._standing = Request(paused=True) if asked.paused else NOTHING
        return asked.then(Request(stop=True)) if self._run.stop_requested() else asked

    def _is_due(self) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _FILE_INTERVAL_S
        self._held.look()
        return True
