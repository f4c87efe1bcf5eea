"""Slots on a Slurm cluster: jobs of an array, each with a warm worker, reached through the folder that all share.

Each job that runs has a folder in the comparison's `slots`, and holds its lease: so it is known to live as a run is. A
job in Slurm's sense may be killed, requeued and started again; each time it is another slot.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from core import files
from core.comparing import slurm_cluster
from core.comparing.engine import Handed, Slot
from core.comparing.stored import Plan, StoredComparison
from core.messages import N_, Message, Problem, writing
from core.runs import lease
from core.runs.directory import Run
from core.runs.lease import Lease
from core.runs.provenance import check_versions, provenance
from core.worker import launch, slurm_slot

_NAME = re.compile(r"\d{1,12}(_\d{1,6})?-\d{1,6}")
_ARRAY = re.compile(r"\d{1,12}")
_ARRAYS = "arrays.json"
_MOST_ARRAYS = 20
_MOST_SAID = 1 << 20
_LOOK_S = 0.5
_ASLEEP_S = 60.0
"""Seconds without a sign of life after which a slot is looked at that seldom: its job is hardly there."""
_ASK_S = 10.0
"""Seconds between two questions to Slurm while no slot is there."""
_ASK_LATER_S = 60.0
"""The same while there are fewer than there could be."""


class SlurmWorker:
    """A job's warm worker, which has been handed runs by a file in its folder."""

    def __init__(self, folder: Path, attempt: Lease) -> None:
        self._folder = folder
        self._lease = attempt
        self._is_busy = True
        self.died_idle = False
        self.is_lost = self.has_died = False

    @property
    def is_busy(self) -> bool:
        """True while it works on its job; what it wrote of that can all be read once it does not."""
        if self._is_busy:
            is_alive = lease.sign(self._folder, self._lease).vitality == "alive"  # first: it may end with its job
            is_done = not (self._folder / slurm_slot.JOB).exists()
            self.has_died = is_done and (self._folder / slurm_slot.DIED).exists()
            self.is_lost = self.has_died or not (is_done or is_alive)
            self._is_busy = not is_done and is_alive
        return self._is_busy


class SlurmCluster:
    """The jobs of an array, submitted once there is work for them, and gone as soon as there is none."""

    def __init__(self, stored: StoredComparison, plan: Plan) -> None:
        """Find the jobs that an earlier process has submitted. Raises `Problem`."""
        self.devices = frozenset({plan.settings.device})
        self._options = plan.slurm or {}
        self.at_once = min(slurm_cluster.number_of_workers(self._options), plan.seeds * len(plan.configurations))
        self.waits_for: Message | None = None
        self._may_grow = plan.margin is not None
        """True if there may be more runs later: jobs that have come are then kept for them."""
        self._cpus = max(1, plan.settings.threads)
        self._device = plan.settings.device
        self._comparison = stored.path
        self._folder = stored.path / slurm_slot.SLOTS
        self._own = provenance().versions
        self._found: dict[str, Lease] = {}
        self._gone: set[str] = set()
        self._asleep: dict[str, float] = {}
        """Until when a slot that gives no sign of life is not looked at."""
        self._has_let_go = False
        """True once the jobs that had not begun were taken out of the queue, as nothing waited."""
        self._earlier: dict[str, SlurmWorker] = {}
        """Workers whose job an earlier process has handed on, by the names of their slots."""
        self._next_look = self._next_question = 0.0
        self._has_come = False
        """True once a job of the newest array has become a slot, or may have while another process looked."""
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
            (self._folder / slurm_slot.CLOSED).unlink(missing_ok=True)
        try:
            known = msgspec.json.decode(files.read_small(self._folder / _ARRAYS), type=list[str])[-_MOST_ARRAYS:]
            self._arrays = [array for array in known if _ARRAY.fullmatch(array)]
            self._has_come = True
        except (OSError, ValueError):
            self._arrays = []

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots there are now, one for each job that runs. Raises `Problem` if one has other versions than this."""
        self._look()
        return [Slot(self._device, newest.host) for newest in self._found.values()]

    def want(self, jobs: int) -> None:
        """Submit as many jobs as find work, as far as there are none. Raises `Problem`."""
        self._look()
        if self._found:
            self.waits_for = None
        if jobs:
            self._has_let_go = False
        elif not self._may_grow:
            self._let_go()
        if not jobs or len(self._found) >= self.at_once or time.monotonic() < self._next_question:
            return
        self._next_question = time.monotonic() + (_ASK_LATER_S if self._found else _ASK_S)
        try:
            living, why = slurm_cluster.queued(self._arrays) if self._arrays else (0, "")
        except (OSError, subprocess.SubprocessError):
            return
        if living == 0 and self._arrays and not self._has_come:
            self._raise_if_in_vain()
        busy = sum((self._folder / name / slurm_slot.JOB).exists() for name in self._found)
        missing = min(jobs + busy, self.at_once) - living
        if missing > 0:
            code = launch.code("core.worker.slurm_slot", f"serve({str(self._comparison)!r})")
            array = slurm_cluster.submit(self._folder / "jobs", code, missing, self._options, self._cpus)
            self._arrays = [*self._arrays[-_MOST_ARRAYS:], array]
            self._has_come = self._has_come and living > 0
            with writing(self._folder):
                files.replace(self._folder / _ARRAYS, msgspec.json.encode(self._arrays))
        if not self._found:
            text = N_("Slurm's job {job} waits for its turn ({why})") if why else N_("Slurm's job {job} is to begin")
            self.waits_for = Message(text, {"job": self._arrays[-1], "why": why})

    def start(self, runs: Sequence[Run], slot: Slot) -> SlurmWorker | None:
        """Hand runs to an idle slot on a node; return None if there is none. Raises `Problem`."""
        for name, newest in self._found.items():
            folder = self._folder / name
            job = folder / slurm_slot.JOB
            if newest.host != slot.node or job.exists() or lease.sign(folder, newest).vitality != "alive":
                continue
            with writing(folder):
                files.replace(job, msgspec.json.encode([run.id for run in runs]))
            return SlurmWorker(folder, newest)
        return None

    def trains(self, run: Run) -> Handed | None:
        """Return where a run is trained that an earlier process has handed on; None if nowhere here."""
        self._look()
        for name, newest in self._found.items():
            folder = self._folder / name
            if run.id in (ids := slurm_slot.read_job(folder)):
                worker = self._earlier.setdefault(name, SlurmWorker(folder, newest))
                return Handed(Slot(self._device, newest.host), worker, len(ids))
        return None

    def wait(self, seconds: float) -> None:
        """Wait, longer than was asked for: each look at a slot asks the file system of the network."""
        time.sleep(max(seconds, _LOOK_S))

    def close(self) -> None:
        """Let the jobs end once they have finished their current runs, and take the others out of the queue."""
        if not self._arrays:
            return
        with suppress(OSError):  # they end without it, some minutes later
            files.replace(self._folder / slurm_slot.CLOSED, b"")
        slurm_cluster.cancel_waiting(self._arrays)

    def _look(self) -> None:
        """Find the slots whose jobs run. Raises `Problem`."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        found = {}
        try:
            names = sorted(os.listdir(self._folder))  # noqa: PTH208
        except OSError:  # the file system of the network may not answer for a while
            return
        now = time.monotonic()
        for name in names:
            if name in self._gone or now < self._asleep.get(name, 0.0) or not _NAME.fullmatch(name):
                continue
            if (newest := lease.read(self._folder / name)) is None:
                continue
            sign = lease.sign(self._folder / name, newest)
            if sign.vitality == "alive":
                check_versions(newest.host, newest.provenance.versions, self._own)
                found[name] = newest
            elif sign.vitality == "gone":
                self._gone.add(name)
            elif (sign.age_s or 0.0) > _ASLEEP_S:
                self._asleep[name] = now + _ASLEEP_S
        self._found = found
        self._has_come = self._has_come or bool(found)

    def _let_go(self) -> None:
        """Have the jobs that are idle leave, and take those that have not begun out of the queue."""
        for name in [name for name in self._found if not (self._folder / name / slurm_slot.JOB).exists()]:
            with suppress(OSError):  # it ends with the comparison
                files.replace(self._folder / name / slurm_slot.CLOSED, b"")
            del self._found[name]
            self._gone.add(name)
        if self._arrays and not self._has_let_go:  # later, one that waits may have been put back with its run
            slurm_cluster.cancel_waiting(self._arrays)
            self._has_let_go = self._has_come = True

    def _raise_if_in_vain(self) -> None:
        """Raise `Problem` if no job of an array that has ended ever became a slot."""
        said = ""
        for path in sorted((self._folder / "jobs").glob(f"{self._arrays[-1]}_*.err")):
            with suppress(OSError):
                lines = files.read_small(path, _MOST_SAID).decode(errors="replace").split("\n")
                said = next((line.strip() for line in reversed(lines) if line.strip()), said)
        text = N_("Slurm's job {job} ended before it did anything: {reason}")
        advice = N_("Do its nodes see {path}, and have the same Python?")
        raise Problem(text, advice=advice, job=self._arrays[-1], reason=said or "–", path=str(self._folder))
