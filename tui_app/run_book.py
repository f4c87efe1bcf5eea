"""What the dashboard knows of the runs: which there are, which it reads, which it shows and in what colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.events import EventReader
from core.machine import usable_cores
from core.replay import Replay
from core.runs import LIVE, Run, State, Summary, Worker
from tui_app.headless import time_left
from tui_app.standby import StandbyWorker

FIRST_INTERVAL_S = 0.25
"""Between two looks at a run that has no progress yet."""
INTERVAL_S = 0.5
BUSY_INTERVAL_S = 3.0
"""The same where the training needs every core, and waits whenever the dashboard takes one."""

COLOURS = ("$accent", "$success", "$primary", "$error", "$secondary", "$foreground")


@dataclass
class Followed:
    """A run whose events are read as they come."""

    run: Run
    reader: EventReader
    state: State = "starting"
    replay: Replay = field(default_factory=Replay)
    is_read: bool = False
    """Somebody is at it."""
    handed_to: StandbyWorker | None = None
    worker_before: Worker | None = None
    """Who trained it when it was handed over."""

    @property
    def interval_s(self) -> float:
        """Until the next look at it."""
        progress, started = self.replay.progress, self.replay.started
        if progress is None or started is None:
            return FIRST_INTERVAL_S
        if not self.needs_every_core:
            return INTERVAL_S
        # Nobody waits for a result that is there.
        return min(BUSY_INTERVAL_S, max(INTERVAL_S, time_left(started, progress)))

    @property
    def needs_every_core(self) -> bool:
        """Of this machine, while it is in progress."""
        started = self.replay.started
        return started is not None and started.device == "cpu" and started.threads >= usable_cores()

    def current_state(self) -> State:
        """`starting` until the process that it was handed to has taken it on, whatever became of an earlier one."""
        is_awaited = self.handed_to is not None and self.handed_to.process.poll() is None
        if is_awaited and self.run.worker() == self.worker_before:
            return "starting"
        return self.run.state()


class RunBook:
    """Of the runs in a folder."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.summaries: Sequence[Summary] | None = None
        """None before the folder was read for the first time."""
        self.followed: dict[str, Followed] = {}
        self.on_show = ""
        self.overlaid: list[str] = []
        self._colours: dict[str, str] = {}

    def run(self, run_id: str) -> Run:
        return Run(self.runs_dir / run_id)

    def follow(self, run_id: str) -> Followed:
        """From where we are: a run that is resumed goes on in the same file."""
        if run_id not in self.followed:
            run = self.run(run_id)
            self.followed[run_id] = Followed(run, run.reader())
        return self.followed[run_id]

    @property
    def shown(self) -> list[Followed]:
        """The run on show, then those laid over its chart."""
        ids = dict.fromkeys(filter(None, (self.on_show, *self.overlaid)))
        return [self.followed[run_id] for run_id in ids if run_id in self.followed]

    @property
    def state_on_show(self) -> State | None:
        return self.followed[self.on_show].state if self.on_show in self.followed else None

    def live(self) -> list[str]:
        """The ids of the runs in progress."""
        states = {summary.id: summary.state for summary in self.summaries or ()}
        states.update({run_id: followed.state for run_id, followed in self.followed.items()})
        return sorted(run_id for run_id, state in states.items() if state in LIVE)

    @property
    def is_busy(self) -> bool:
        """Whether a run in progress needs every core."""
        return any(followed.state in LIVE and followed.needs_every_core for followed in self.followed.values())

    def colour(self, run_id: str) -> str:
        """The same for ever, and another than those in use as long as there are any."""
        if run_id not in self._colours:
            taken = list(self._colours.values())
            self._colours[run_id] = min(COLOURS, key=taken.count)
        return self._colours[run_id]
