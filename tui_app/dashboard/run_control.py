"""Starting, resuming and stopping runs from the dashboard."""

from __future__ import annotations

from core.config import RunConfig
from core.runs import control, directory, lease, resumption
from core.runs.control import NOTHING, Request
from core.runs.directory import Run
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.worker_link import WorkerLink


class RunControl:
    """Control over the runs of a book, which it hands over to workers. Failures raise `Problem`."""

    def __init__(self, book: RunBook, link: WorkerLink) -> None:
        self._book = book
        self._link = link

    def start(self, config: RunConfig) -> str:
        """Create a run, hand it over for training, and return its id."""
        return self._hand_over(directory.create(self._book.runs_dir, config))

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

    def _hand_over(self, run: Run) -> str:
        worker_before = lease.read(run.path)
        standby = self._link.hand_over(run)
        self._book.follow(run.id).was_handed_to(standby, worker_before)
        return run.id
