"""What makes a training process independent of its terminal: its signals, and where its output goes."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path


class StopSignals:
    """A stop request by SIGINT or SIGTERM; a second signal ends the process at once. SIGHUP is ignored."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _handle(self, number: int, _frame: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)

    def __call__(self) -> bool:
        return self.received is not None


def redirect_output(log_path: Path) -> None:
    """Send everything that this process prints from now on to a run's log."""
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    faulthandler.enable()
