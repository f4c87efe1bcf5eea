"""What the dashboard knows of the runs: which there are, which it reads, which it shows and in what colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.machine import usable_cores
from core.runs import lease
from core.runs.directory import FollowedRun, Run, Summary
from core.runs.lease import Worker
from core.runs.record import LIVE, State
from tui_app.dashboard.worker_link import StandbyWorker

FIRST_INTERVAL_S = 0.25
"""Seconds between two looks at a run that has no progress yet."""
INTERVAL_S = 0.5
BUSY_INTERVAL_S = 3.0
"""The same where the training needs every core, and waits whenever the dashboard takes one."""

COLOURS = ("$accent", "$success", "$primary", "$error", "$secondary", "$foreground")


class ShownRun(FollowedRun):
    """A run whose events the dashboard reads as they come."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.state: State = "starting"
        self.is_read = False
        """A task is already following this run."""
        self._handed_to: StandbyWorker | None = None
        self._worker_before: Worker | None = None

    def was_handed_to(self, standby: StandbyWorker, worker_before: Worker | None) -> None:
        """Remember which process is to take the run on, and who trained it before."""
        self._handed_to, self._worker_before, self.state = standby, worker_before, "starting"

    @property
    def interval_s(self) -> float:
        """Seconds until the next look at it."""
        left = self.record.seconds_left
        if left is None:
            return FIRST_INTERVAL_S
        if not self.needs_every_core:
            return INTERVAL_S
        return min(BUSY_INTERVAL_S, max(INTERVAL_S, left))  # nobody waits for a result that is there

    @property
    def needs_every_core(self) -> bool:
        """While in progress, the run keeps every core of this machine busy."""
        started = self.record.started
        return started is not None and started.device == "cpu" and started.threads >= usable_cores()

    def current_state(self) -> State:
        """Return the state; `starting` until the process that it was handed to has taken it on."""
        is_awaited = self._handed_to is not None and self._handed_to.is_alive
        if is_awaited and lease.read(self.run.path) == self._worker_before:
            return "starting"
        return self.run.state()


class RunBook:
    """The runs of a folder, as far as the dashboard knows them."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.followed: dict[str, ShownRun] = {}
        self.current_id = ""
        """The run that the panels show."""
        self.overlaid: list[str] = []
        """The runs whose curves are in the chart as well."""
        self._summaries: Sequence[Summary] | None = None
        self._colours: dict[str, str] = {}

    @property
    def is_listed(self) -> bool:
        """The folder was read at least once."""
        return self._summaries is not None

    def take_listing(self, summaries: Sequence[Summary]) -> None:
        """Keep what a look into the folder found."""
        self._summaries = summaries

    @property
    def summaries(self) -> list[Summary]:
        """Every run; of those that are followed, what their events have said since the last look into the folder."""
        return [self._newest(summary) for summary in self._summaries or ()]

    def _newest(self, summary: Summary) -> Summary:
        followed = self.followed.get(summary.id)
        if followed is None or followed.record.started is None or summary.state not in LIVE:
            return summary
        return msgspec.structs.replace(summary, state=followed.state, epoch=followed.record.position[0])

    def listed_state(self, run_id: str) -> State | None:
        """Return the state that the last look into the folder found."""
        return next((summary.state for summary in self._summaries or () if summary.id == run_id), None)

    def run(self, run_id: str) -> Run:
        return Run(self.runs_dir / run_id)

    def follow(self, run_id: str) -> ShownRun:
        """Return the run with what is known of it: a run that is resumed goes on in the same file."""
        if run_id not in self.followed:
            self.followed[run_id] = ShownRun(self.run(run_id))
        return self.followed[run_id]

    @property
    def current(self) -> ShownRun | None:
        return self.followed.get(self.current_id)

    @property
    def shown(self) -> list[ShownRun]:
        """The current run, then those laid over its chart."""
        ids = dict.fromkeys(filter(None, (self.current_id, *self.overlaid)))
        return [self.followed[run_id] for run_id in ids if run_id in self.followed]

    def live(self) -> list[str]:
        """Return the ids of the runs in progress."""
        states = {summary.id: summary.state for summary in self._summaries or ()}
        states.update({run_id: followed.state for run_id, followed in self.followed.items()})
        return sorted(run_id for run_id, state in states.items() if state in LIVE)

    @property
    def is_busy(self) -> bool:
        """A run in progress needs every core."""
        return any(followed.state in LIVE and followed.needs_every_core for followed in self.followed.values())

    def colour(self, key: str) -> str:
        """Return the colour of a line: the same for ever, and another than those in use as long as there are any."""
        if key not in self._colours:
            taken = list(self._colours.values())
            self._colours[key] = min(COLOURS, key=taken.count)
        return self._colours[key]
