"""The dashboard's knowledge of the runs: which exist, which it follows and shows, and their colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.machine import usable_cores
from core.runs import lease
from core.runs.directory import FollowedRun, Run, Summary
from core.runs.lease import Lease
from core.runs.record import LIVE, State
from tui_app.charts import palette
from tui_app.dashboard.worker_link import StandbyWorker

FIRST_INTERVAL_S = 0.25
"""Seconds between two reads of a run that has no progress yet."""
INTERVAL_S = 0.5
BUSY_INTERVAL_S = 3.0
"""Seconds between two reads of a run that needs every core: it has to wait whenever the dashboard takes one."""


class ShownRun(FollowedRun):
    """A run whose events the dashboard reads as they arrive."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.state: State = "starting"
        self.heard_s = 0.0
        """Time of its latest news by the monotonic clock."""
        self.is_read = False
        """A task is already following this run."""
        self.is_awaited = False
        """True from the news that it is in progress until that of its end."""
        self._identity = run.identity
        self._handed_to: StandbyWorker | None = None
        self._worker_before: Lease | None = None

    def was_handed_to(self, standby: StandbyWorker, worker_before: Lease | None) -> None:
        """Remember the process that will take the run on, and the worker that trained it before."""
        self._handed_to, self._worker_before, self.state = standby, worker_before, "starting"
        self.is_awaited = True

    @property
    def is_ours(self) -> bool:
        """True if this dashboard has started or resumed the run."""
        return self._handed_to is not None

    @property
    def is_known(self) -> bool:
        """True once something was read of it; what this dashboard has started is known to be starting."""
        return self.heard_s > 0 or self.is_ours

    @property
    def is_replaced(self) -> bool:
        """True if another run has taken the place of this one, under its id."""
        now = self.run.identity
        return now is not None and now != self._identity

    @property
    def interval_s(self) -> float:
        """Seconds until the next read of its events."""
        left = self.record.seconds_left
        if left is None:
            return FIRST_INTERVAL_S
        if not self.needs_every_core:
            return INTERVAL_S
        return min(BUSY_INTERVAL_S, max(INTERVAL_S, left))  # never make the user wait for a finished result

    @property
    def needs_every_core(self) -> bool:
        """True if the run keeps every core of this machine busy while in progress."""
        started = self.record.started
        return started is not None and started.device == "cpu" and self.record.threads >= usable_cores()

    def current_state(self) -> State:
        """Return the state: `starting` until the process that was handed the run has taken it on."""
        will_take_it = self._handed_to is not None and self._handed_to.is_alive
        if will_take_it and lease.read(self.run.path) == self._worker_before:
            return "starting"
        return self.run.state()


class RunBook:
    """The runs of a folder as the dashboard knows them."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.followed: dict[str, ShownRun] = {}
        self.current_id = ""
        """Id of the run that the panels show."""
        self.overlaid: list[str] = []
        """Ids of the runs overlaid on the chart."""
        self._summaries: Sequence[Summary] | None = None
        self._listed_s = 0.0
        """Time by the monotonic clock before which the folder had not been read."""
        self._colours: dict[str, str] = {}

    @property
    def is_listed(self) -> bool:
        """True once the folder has been read."""
        return self._summaries is not None

    def take_listing(self, summaries: Sequence[Summary], began_s: float) -> bool:
        """Keep the summaries that a reading of the folder found, which began at a time of the monotonic clock.

        Return True if runs of the chart were deleted, and are there no longer.
        """
        self._summaries, self._listed_s = summaries, began_s
        listed = {summary.id for summary in summaries}
        gone = [run_id for run_id in self.followed if run_id not in listed and not self.run(run_id).path.exists()]
        for run_id in gone:
            del self.followed[run_id]
        were_shown = any(run_id in gone for run_id in (self.current_id, *self.overlaid))
        self.overlaid = [run_id for run_id in self.overlaid if run_id not in gone]
        if self.current_id in gone:
            self.current_id = ""
        return were_shown

    @property
    def summaries(self) -> list[Summary]:
        """Summaries of every run, as the panels show those that are followed."""
        return [self._newest(summary) for summary in self._summaries or ()]

    def summary(self, run_id: str) -> Summary | None:
        """Return a run's summary; None if it is not listed yet."""
        listed = self._listed(run_id)
        return self._newest(listed) if listed is not None else None

    def _listed(self, run_id: str) -> Summary | None:
        return next((summary for summary in self._summaries or () if summary.id == run_id), None)

    def _newest(self, summary: Summary) -> Summary:
        """Return the summary with what was read of a followed run since the folder was."""
        followed = self.followed.get(summary.id)
        if followed is None or followed.record.started is None or followed.heard_s < self._listed_s:
            return summary
        return summary.as_of(followed.record, followed.state)

    def newest_own(self) -> str | None:
        """Return the id of the newest run that belongs to the user, or of the newest one; None if there is none."""
        ids = [summary.id for summary in self._summaries or () if summary.state != "unreadable"]
        own = (run_id for run_id in reversed(ids) if self.run(run_id).is_own)
        return next(own, ids[-1] if ids else None)

    def listed_state(self, run_id: str) -> State | None:
        """Return a run's state at the last reading of the folder."""
        listed = self._listed(run_id)
        return listed.state if listed is not None else None

    def listed_elsewhere(self, run_id: str) -> str:
        """Return the machine of a run at the last reading of the folder, if it was another one; else nothing."""
        listed = self._listed(run_id)
        return listed.elsewhere if listed is not None else ""

    def run(self, run_id: str) -> Run:
        return Run(self.runs_dir / run_id)

    def follow(self, run_id: str) -> ShownRun:
        """Return the run with its record so far, which a resumed run goes on with, or a new one in its place."""
        followed = self.followed.get(run_id)
        if followed is None or followed.is_replaced:
            followed = self.followed[run_id] = ShownRun(self.run(run_id))
        return followed

    @property
    def current(self) -> ShownRun | None:
        return self.followed.get(self.current_id)

    @property
    def shown(self) -> list[ShownRun]:
        """The current run, then those overlaid on its chart."""
        ids = dict.fromkeys(filter(None, (self.current_id, *self.overlaid)))
        return [self.followed[run_id] for run_id in ids if run_id in self.followed]

    def live(self) -> list[str]:
        """Return the ids of the runs in progress."""
        states = {summary.id: summary.state for summary in self._summaries or ()}
        states.update({run_id: followed.state for run_id, followed in self.followed.items()})
        return sorted(run_id for run_id, state in states.items() if state in LIVE)

    @property
    def is_busy(self) -> bool:
        """True if a run in progress needs every core."""
        return any(followed.state in LIVE and followed.needs_every_core for followed in self.followed.values())

    def colour(self, key: str) -> str:
        """Return a line's colour: always the same, and distinct from the others as long as colours remain."""
        if key not in self._colours:
            taken = list(self._colours.values())
            self._colours[key] = min(palette.NAMES, key=taken.count)
        return self._colours[key]
