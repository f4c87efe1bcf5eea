"""The name of a process of this program in the process table."""

from __future__ import annotations

import os

from core.runs.events import EpochEnded, Event, RunStarted, SettingsChanged

_PROGRAM = "mnist-tui"


def entitle(what: str = "") -> None:
    """Name this process `mnist-tui: WHAT`, or `mnist-tui`."""
    os.environ["SPT_NOENV"] = "1"  # a title must not overwrite the environment, by which schedulers find processes
    from setproctitle import setproctitle, setthreadtitle

    setproctitle(f"{_PROGRAM}: {what}" if what else _PROGRAM)
    setthreadtitle(_PROGRAM)  # Slurm finds the processes of a job only if their short names have no space in them


class RunTitle:
    """The name of a process that trains a run: `mnist-tui: rn2-0007, epoch 3/5`."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._epochs = 0
        entitle(run_id)

    def take(self, event: Event) -> None:
        """Show the epoch that begins with an event, if one does."""
        if isinstance(event, RunStarted):
            self._epochs = event.config.epochs
            self._show(event.epoch)
        elif isinstance(event, SettingsChanged) and event.epochs is not None:
            self._epochs = event.epochs
            self._show(event.epoch)
        elif isinstance(event, EpochEnded):
            self._show(min(event.epoch + 1, self._epochs))

    def _show(self, epoch: int) -> None:
        entitle(f"{self._run_id}, epoch {epoch}/{self._epochs}")
