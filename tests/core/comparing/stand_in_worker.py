"""Workers of a comparison that do nothing by themselves: a test says when a job is done, or its process dead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from core.runs.directory import Run
from tests.core.runs.run_files import claim


class Job:
    """What a worker was handed: a run, or several that are trained together."""

    def __init__(self, runs: Sequence[Run], worker: StandInWorker) -> None:
        self.runs = runs
        self.is_on = True
        self._worker = worker

    @property
    def run(self) -> Run:
        (run,) = self.runs
        return run

    @property
    def seeds(self) -> list[tuple[str, int]]:
        return [(run.config().model, run.config().seed) for run in self.runs]

    @property
    def worker(self) -> StandInWorker:
        return self._worker

    def done(self) -> None:
        self.is_on = False

    def lose_slot(self) -> None:
        """End as a process does whose node is gone."""
        self._worker.is_lost = True
        self.die()
        self._worker.has_died = False

    def die_on_cluster(self) -> None:
        """End as a process does whose node is still there: another slot may do better."""
        self._worker.is_lost = True
        self.die()

    def die(self) -> None:
        """End as a killed process does, which has held the leases of its runs."""
        for run in self.runs:
            claim(run, lives=False)
        self.is_on, self._worker.has_ended, self._worker.has_died = False, True, True


class StandInWorker:
    """In the place of `WarmWorker`."""

    jobs: ClassVar[list[Job]]
    """All that were handed over, to any worker."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.has_ended = self.has_died = False
        self.is_closed = False
        self.is_lost = False
        self.hand(runs)

    def hand(self, runs: Sequence[Run]) -> bool:
        self._job = Job(runs, self)
        self.jobs.append(self._job)
        return True

    @property
    def is_busy(self) -> bool:
        return self._job.is_on

    @property
    def died_idle(self) -> bool:
        return False

    def close(self) -> None:
        self.is_closed = True
