"""The runs of a comparison: which they are, from what a user types, and how far each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Literal

import msgspec

from core import machine
from core.comparing.configurations import configurations
from core.comparing.engine import Slot, Worker
from core.comparing.statistics import LeftOut
from core.config import RunConfig
from core.messages import N_, InvalidSetting, Message
from core.runs import sameness
from core.runs.directory import FollowedRun

MAX_SEEDS = 1000
MAX_PER_DEVICE = 64
MOST_TOGETHER = 100
"""Most runs that one process trains together; where they do not fit in the memory, they go on in halves."""

PartState = Literal["waiting", "running", "done", "stopped", "left_out"]


@dataclass
class Part:
    """One run of a comparison."""

    name: str
    """Name of the run's configuration, unique in the comparison."""
    config: RunConfig
    followed: FollowedRun | None = None
    """The run with its record; None until it exists."""
    state: PartState = "waiting"
    reused: bool = False
    """True if the run was finished when this comparison found it."""
    why: Message | None = None
    """Reason for leaving the run out."""
    status: str = ""
    """`failed` or `diverged` if the run is left out, else empty."""
    device: str = ""
    """The device that the run has begun on, or begins on; empty before."""
    worker: Worker | None = field(default=None, repr=False)
    """The process that trains the run, if it is this comparison's."""
    slot: Slot | None = None
    """Where that process is."""
    since: float = 0.0
    """When the run was handed to it, in seconds since the Unix epoch."""
    is_new: bool = False
    """True while the run exists, but was not handed to a process yet."""
    is_certain: bool = False
    """True once it is known whether the process that trained it before lives."""
    losses_of_slot: int = 0
    """How often the run has lost its slot."""
    attempts_before: int = 0
    """Number of the run's newest attempt before the one that this comparison waits for."""
    is_paused: bool = False
    """True if the run was last seen paused: in another slot it is so, too."""
    together: int = 1
    """Number of runs that the process trains."""
    most_together: int = MOST_TOGETHER
    """Most runs that a process may train together with this one."""

    @property
    def as_left_out(self) -> LeftOut:
        """The entry for this run among those without a result."""
        return LeftOut(
            run=self.followed.run.id if self.followed is not None else "",
            name=self.name,
            config=self.config,
            status=self.status,
            why=self.why or Message("no reason given"),
        )

    @property
    def share(self) -> float:
        """Completed fraction of the run's work, from 0 to 1."""
        if self.state in ("done", "left_out"):
            return 1.0
        return self.followed.record.share if self.followed is not None else 0.0

    @property
    def seconds(self) -> float | None:
        """Seconds that the run's whole training takes; None if not known yet."""
        return self.followed.record.total_seconds if self.followed is not None else None


def check_seeds(text: str) -> int:
    """Parse the number of seeds as a user types it. Raises `InvalidSetting`."""
    return check_number(
        "seed", text, MAX_SEEDS, N_("the number of seeds must be a whole number from {low} to {high}, not {value}")
    )


def check_per_device(text: str) -> int:
    """Parse the number of runs on each device at once as a user types it. Raises `InvalidSetting`."""
    message = N_("the number of runs on each device must be a whole number from {low} to {high}, not {value}")
    return check_number("per_device", text, MAX_PER_DEVICE, message)


def check_number(field: str, text: str, most: int, message: str) -> int:
    """Parse a number from 1 to `most` as a user types it. Raises `InvalidSetting` with `message`."""
    value = int(text) if text.strip().isascii() and text.strip().isdigit() and len(text) < 10 else 0
    if not 1 <= value <= most:
        raise InvalidSetting(field, message, value=text or "''", low=1, high=most)
    return value


def plan(texts: Sequence[str], seeds: int, settings: RunConfig) -> list[Part]:
    """Return the runs, seed by seed, so that those finished before an interruption form pairs.

    `texts` are the configurations, and `settings` those that they share. The seeds are always 0 to `seeds` − 1, so that
    a repeated comparison has the same runs. Raises `InvalidSetting`.
    """
    configs = configurations(texts, settings)
    names = sameness.distinct_names(configs, settings)
    return [
        Part(name, msgspec.structs.replace(config, seed=seed))
        for seed in range(seeds)
        for name, config in zip(names, configs, strict=True)
    ]


def at_once(device: str, threads: int) -> int:
    """Return how many runs to carry out at once; only one on a device other than the CPU, which they would share."""
    return max(1, machine.usable_cores() // max(1, threads)) if device == "cpu" else 1


class PlannedRuns:
    """The runs of a comparison, in the order of its plan."""

    def __init__(self, at_once: int, together: int = 1) -> None:
        """Plan for `at_once` processes, each of which trains up to so many runs `together`."""
        self._at_once = max(1, at_once)
        self._together = together
        self.parts: list[Part] = []

    @property
    def share(self) -> float:
        """Completed fraction of the work, 0 to 1: a run that takes ten times as long counts ten times as much."""
        seconds = self._seconds()
        total = sum(seconds)
        return sum(each * part.share for each, part in zip(seconds, self.parts, strict=True)) / total if total else 1.0

    def seconds_left(self) -> float | None:
        """Return the seconds left at the pace so far; None while that is not known."""
        if not any(part.seconds for part in self.parts):
            return None
        left = [each * (1 - part.share) for each, part in zip(self._seconds(), self.parts, strict=True)]
        return max(*left, sum(left) / (self._at_once * self._together))

    def count(self, *states: PartState) -> int:
        return sum(part.state in states for part in self.parts)

    @property
    def finished(self) -> list[FollowedRun]:
        """The finished runs."""
        return [part.followed for part in self._in_state("done") if part.followed is not None]

    @property
    def names(self) -> dict[str, str]:
        """The name of each run's configuration, by the run's id."""
        return {part.followed.run.id: part.name for part in self.parts if part.followed is not None}

    @property
    def left_out(self) -> list[LeftOut]:
        """The runs without a result."""
        return [part.as_left_out for part in self._in_state("left_out")]

    def _in_state(self, state: PartState) -> list[Part]:
        return [part for part in self.parts if part.state == state]

    def _seconds(self) -> list[float]:
        """Return how long each run takes: measured on it, else on other runs of its configuration, else on any run."""
        known: dict[str, list[float]] = {}
        for part in self.parts:
            if seconds := part.seconds:
                known.setdefault(part.name, []).append(seconds)
        all_known = [seconds for measured in known.values() for seconds in measured] or [1.0]
        return [fmean(known.get(part.name, all_known)) for part in self.parts]
