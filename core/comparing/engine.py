"""Where the runs of a comparison are trained: what this machine, a Ray cluster and a Slurm cluster have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from core.messages import Message
from core.runs.directory import Run
from core.worker.warm_worker import WarmWorker, wait_for_any

RAY = "ray"
SLURM = "slurm"


class Slot(msgspec.Struct, frozen=True):
    """A place where one process trains at a time; several may be equal."""

    device: str
    node: str = ""
    """Name of the machine; empty for this one."""


class Worker(Protocol):
    """A process that has been handed a job: a run, or several that are trained together."""

    @property
    def is_busy(self) -> bool:
        """True while it works on its job; what it wrote of that can all be read once it does not."""

    @property
    def died_idle(self) -> bool:
        """True if the process, found to have ended, may have done so before it took its newest job."""

    @property
    def is_lost(self) -> bool:
        """True if it has ended, or its slot is gone: its job may go on in another."""

    @property
    def has_died(self) -> bool:
        """True if the process is known to have ended by itself, with its slot still there."""


class Handed(NamedTuple):
    """A job that was handed on."""

    slot: Slot
    worker: Worker
    runs: int
    """Number of runs that are trained together."""


class Engine(Protocol):
    """A place with slots, which may come and go."""

    devices: frozenset[str]
    """The devices of its slots, also of those that are still to come."""
    at_once: int
    """Number of slots that it has, or will have if all goes well."""

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots there are now. Raises `Problem` if they cannot be used."""

    @property
    def waits_for(self) -> Message | None:
        """What it waits for while it has no slot."""

    def want(self, jobs: int) -> None:
        """Have slots come for so many jobs, if they come when they are wanted. Raises `Problem` if none ever will."""

    def start(self, runs: Sequence[Run], slot: Slot) -> Worker | None:
        """Hand runs to a process of a slot; return None if the slot is gone. Raises `Problem`."""

    def trains(self, run: Run) -> Handed | None:
        """Return where a run is trained that an earlier process has handed on; None if nowhere here."""

    def wait(self, seconds: float) -> None:
        """Wait until a process has done its job, at most so long."""

    def close(self) -> None:
        """Let the processes end once they have finished their current runs."""


class ThisMachine:
    """The devices of this machine, each with warm workers: an idle one of the slot's device takes the next runs."""

    def __init__(self, devices: Sequence[str]) -> None:
        """Offer one slot for each of the `devices`, of which several may be the same."""
        self.devices = frozenset(devices)
        self.at_once = len(devices)
        self.slots = [Slot(device) for device in devices]
        self.waits_for = None
        self._workers: list[tuple[Slot, WarmWorker]] = []

    def want(self, jobs: int) -> None:
        """Do nothing: the devices are there."""

    def start(self, runs: Sequence[Run], slot: Slot) -> WarmWorker:
        """Hand runs to an idle process of this device, or to a new one. Raises `Problem`."""
        for other, worker in self._workers:
            if other == slot and not worker.is_busy and not worker.has_ended and worker.hand(runs):
                return worker
        started = WarmWorker(runs)
        self._workers = [(other, worker) for other, worker in self._workers if not worker.has_ended]
        self._workers.append((slot, started))
        return started

    def trains(self, run: Run) -> None:
        """Return None: who started a process alone knows it."""

    def wait(self, seconds: float) -> None:
        """Wait until a process has done its job, at most so long."""
        wait_for_any([worker for _slot, worker in self._workers], seconds)

    def close(self) -> None:
        """Let the processes end once they have finished their current runs."""
        for _slot, worker in self._workers:
            worker.close()
