"""What makes a training process independent of its terminal: its signals, and where its output goes."""

from __future__ import annotations

import faulthandler
import os
import signal
from pathlib import Path

from core import files


class StopSignals:
    """A stop request by a signal; SIGINT after it ends the process at once. SIGHUP is ignored.

    SIGUSR1 and SIGUSR2 are how batch systems announce the end of a job's time.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def install(self) -> None:
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):  # Slurm starts its jobs with some ignored
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as that of a shell's background job is
            signal.signal(signal.SIGINT, self._handle)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def _handle(self, number: int, _frame: object) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
        elif number == signal.SIGINT:  # somebody's impatience: batch systems repeat the others
            os._exit(128 + number)

    def __call__(self) -> bool:
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """Exit code of a process that was stopped: 75, to try again later, if its time was up; 143 without a signal."""
        if self.received in (signal.SIGUSR1, signal.SIGUSR2):
            return os.EX_TEMPFAIL
        return 128 + (self.received or signal.SIGTERM)


def redirect_output(log_path: Path) -> None:
    """Send everything that this process prints from now on to a run's log."""
    log = files.open_to_append(log_path)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.close(log)
    faulthandler.enable()
