"""Starting, resuming and stopping runs from the dashboard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import msgspec

from core.config import RunConfig
from core.messages import Problem
from core.runs import control, directory, lease, resumption
from core.runs.control import NOTHING, Request
from core.runs.directory import Run
from core.worker.protocol import Try
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.worker_link import StandbyWorker, WorkerLink
from tui_app.i18n import _, ngettext
from tui_app.wording import network_name

if TYPE_CHECKING:
    from core.comparing.stored import StoredComparison

_SLIP_S = 3.0
"""Seconds within which a run that is started a second time is taken for a slip."""
_HELD_S = 1.0
"""Seconds within which another request comes from a key that is held, and confirms nothing."""


class Tell(Protocol):
    """A way to tell the user something."""

    def __call__(self, message: str, *, markup: bool = True) -> None: ...


class RunControl:
    """Control over the runs of a book, which it hands over to workers. Failures raise `Problem`."""

    def __init__(self, book: RunBook, link: WorkerLink, tell: Tell) -> None:
        self._book = book
        self._link = link
        self._tell = tell
        self._started: tuple[str, RunConfig] | None = None
        """Run that was started last, with its settings."""
        self._pressed_s = 0.0
        """Time of the last request to start a run, by the monotonic clock."""
        self._draws_seed = True
        self._was_told = False
        """True if the user knows that the last request was taken for a slip."""
        self.on_trial: tuple[StandbyWorker, RunConfig] | None = None
        """Worker that is trying out a network, and the settings that it tries."""

    def train(self, config: RunConfig, *, draws_seed: bool) -> str | None:
        """Start a run and return its id; None if its network has to be tried first, or if it was asked for by a slip.

        `draws_seed`: its seed was not asked for, and differs from that of other runs with the same settings.
        """
        self._draws_seed = draws_seed
        if config.architecture.is_built_in and not config.batch_norm:
            return self.start(config)
        worker = self._link.start()
        if self.on_trial is None or self.on_trial[0] is not worker:
            self._link.ask(Try(config))
            self.on_trial = worker, config
        network = network_name(self.on_trial[1])
        self._tell(_("{network} is on trial: one step…").format(network=network), markup=False)
        return None

    def start(self, config: RunConfig) -> str | None:
        """Create a run, hand it over for training, and return its id; None if that was asked for by a slip."""
        self.on_trial = None
        others = self._book.live()
        if (slip := self._slip(config)) is not None:
            if not self._was_told:
                text = _("{run} has just been started with these settings. Press again to start another.")
                self._tell(text.format(run=slip))
            self._was_told = True
            return None
        run_id = self._hand_over(directory.create(self._book.runs_dir, config))
        self._started, self._was_told = (run_id, config), False
        if others:
            text = ngettext("{run} starts; {others} continues.", "{run} starts; {others} continue.", len(others))
            self._tell(text.format(run=run_id, others=", ".join(others)))
        return run_id

    def _slip(self, config: RunConfig) -> str | None:
        """Return the run of these settings that was started so shortly ago that a key was probably pressed twice."""
        before_s, self._pressed_s = self._pressed_s, time.monotonic()
        if self._started is None:
            return None
        run_id, before = self._started
        seed = before.seed if self._draws_seed else config.seed
        if msgspec.structs.replace(config, seed=seed) != before:
            return None
        waited_s = self._pressed_s - before_s
        return run_id if waited_s < (_HELD_S if self._was_told else _SLIP_S) else None

    def resume(self, run_id: str, asked: Request = NOTHING) -> str:
        """Hand a run over for training from its checkpoint, with what is `asked` to change, and return its id."""
        run = self._book.run(run_id)
        resumption.check_resumable(run, asked)
        run.withdraw_requests()
        if asked != NOTHING:
            control.ask(run.path, asked)
        return self._hand_over(run)

    def steer(self, run_id: str, asked: Request) -> None:
        """Ask a run in progress for something."""
        control.ask(directory.find(self._book.runs_dir, run_id).path, asked)

    def stop(self, run_id: str) -> None:
        """Ask a run to stop."""
        directory.find(self._book.runs_dir, run_id).request_stop()

    def stop_and_tell(self, run_id: str) -> None:
        """Ask a run to stop, and say which others do not."""
        self.stop(run_id)
        text = _("{run} will stop at its next batch.").format(run=run_id)
        if others := [each for each in self._book.live() if each != run_id]:
            going_on = ngettext("{others} continues.", "{others} continue.", len(others))
            text += " " + going_on.format(others=", ".join(others))
        self._tell(text)

    def live(self) -> tuple[list[str], list[StoredComparison]]:
        """Return the ids of the runs in progress, and the comparisons in progress."""
        from core.comparing import stored  # here: the first painting need not wait for it

        return self._book.live(), stored.in_progress(self._book.runs_dir)

    def stop_all(self, run_ids: Sequence[str], comparisons: Sequence[StoredComparison]) -> None:
        """Ask runs and comparisons to stop, those that still can be asked."""
        for comparison in comparisons:  # first: they would start their next runs
            with suppress(Problem):
                comparison.request_stop()
        for run_id in run_ids:
            with suppress(Problem):
                self.stop(run_id)

    def _hand_over(self, run: Run) -> str:
        worker_before = lease.read(run.path)
        standby = self._link.hand_over(run)
        self._book.follow(run.id).was_handed_to(standby, worker_before)
        return run.id
