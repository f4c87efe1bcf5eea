"""A comparison carried out: the same seeds for every network, as ordinary runs, as many at once as there is room for.

The same plan finds its runs again: a finished one is used as it is, a stopped or crashed one goes on, and one that is
being trained is waited for. So whatever ended a comparison, starting it again continues it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

import msgspec

from core import machine, runs
from core.config import RunConfig
from core.events import EpochEnded, Evaluated, Progress, RunEnded, RunStarted
from core.problems import N_, InvalidSetting, Message, Problem, reason
from core.runs import LIVE, RESUMABLE, Run

MAX_SEEDS = 1000

PartState = Literal["waiting", "running", "done", "stopped", "left_out"]

_NOT_COMPARED = frozenset({"data_dir"})
"""Fields of a configuration in which two runs of the same kind may differ."""


class Record:
    """What a comparison needs to know of a run, read from its events as they come."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.started: RunStarted | None = None
        self.progress: Progress | None = None
        self.evaluated: Evaluated | None = None
        self.ended: RunEnded | None = None
        self.epochs: dict[int, EpochEnded] = {}
        self._reader = run.reader()

    def read(self) -> None:
        """Whatever is new. Raises `OSError`."""
        while events := self._reader.read_new():
            for event in events:
                match event:
                    case RunStarted():
                        self.started, self.progress, self.evaluated, self.ended = event, None, None, None
                    case Progress():
                        self.progress = event
                    case EpochEnded():
                        self.epochs[event.epoch] = event
                    case Evaluated():
                        self.evaluated = event
                    case RunEnded():
                        self.ended = event

    @property
    def done_steps(self) -> int:
        """Batches that have been trained."""
        if self.started is None:
            return 0
        at = self.started
        if self.progress is None:
            return (at.epoch - 1) * at.steps_per_epoch + at.step
        return (self.progress.epoch - 1) * at.steps_per_epoch + self.progress.step

    @property
    def share(self) -> float:
        """Of the training, 0 to 1."""
        if self.evaluated is not None:
            return 1.0
        total = self.started.config.epochs * self.started.steps_per_epoch if self.started else 0
        return min(1.0, self.done_steps / total) if total else 0.0

    @property
    def seconds(self) -> float | None:
        """That the whole training takes, at its pace so far; None while that is not known."""
        share = self.share
        return self.progress.elapsed_s / share if self.progress is not None and share > 0 else None


@dataclass
class Part:
    """One run of a comparison."""

    config: RunConfig
    run: Run | None = None
    record: Record | None = None
    state: PartState = "waiting"
    reused: bool = False
    """It was finished before this comparison began."""
    why: Message | None = None
    """Why it is left out."""
    status: str = ""
    """`failed` or `diverged`, where it is left out."""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    launched: float = 0.0


def check_seeds(text: str) -> int:
    """How many seeds there are to be, as a person types it. Raises `InvalidSetting`."""
    value = int(text) if text.strip().isascii() and text.strip().isdigit() and len(text) < 10 else 0
    if not 1 <= value <= MAX_SEEDS:
        message = N_("the number of seeds must be a whole number from {low} to {high}, not {value}")
        raise InvalidSetting("seed", message, value=text or "''", low=1, high=MAX_SEEDS)
    return value


def check_models(models: Sequence[str]) -> None:
    """Raises `InvalidSetting` where there are not two networks, each once."""
    for position, model in enumerate(models):
        if model in models[:position]:
            raise InvalidSetting("model", "{model} is there twice: a network is not compared with itself", model=model)
    if len(models) < 2:
        raise InvalidSetting("model", "a comparison needs two networks or more, such as --models RN_1,RN_2")


def plan(models: Sequence[str], seeds: int, settings: RunConfig) -> list[RunConfig]:
    """The runs, seed by seed, so that what is finished when a comparison is interrupted makes pairs.

    The seeds are 0 to `seeds` − 1, and so the same whenever it is asked for. Raises `InvalidSetting`.
    """
    check_models(models)
    return [msgspec.structs.replace(settings, model=model, seed=seed) for seed in range(seeds) for model in models]


def default_threads(device: str) -> int:
    """Of each run, by the machine alone, so that a comparison finds its runs again: few, and many runs at once.

    Two runs side by side with one thread each do more in a second than one after the other with two.
    """
    return min(4, max(1, machine.usable_cores() // 8)) if device == "cpu" else 0


def at_once(device: str, threads: int) -> int:
    """As many runs as the machine serves best; on a device other than the CPU, which they would share, one."""
    return max(1, machine.usable_cores() // max(1, threads)) if device == "cpu" else 1


class Comparison:
    """Runs of a plan, carried out by worker processes. Call `advance` again and again, a few times a second.

    Nothing is lost when it is not called any more: the workers finish what they are at.
    """

    def __init__(self, runs_dir: Path, configs: Sequence[RunConfig], at_once: int) -> None:
        """Finds the runs that are there already. Raises `Problem`."""
        self._runs_dir = runs_dir
        self._at_once = max(1, at_once)
        self._stopping = False
        self.parts = [Part(config) for config in configs]
        self._adopt()

    def advance(self) -> bool:
        """Look after the runs in progress, and begin those that there is room for. False: there is nothing left to do.

        Raises `Problem` where a run cannot be made or its process not started.
        """
        for part in self._in_state("running"):
            self._watch(part)
        waiting = [] if self._stopping else self._in_state("waiting")
        for part in waiting[: max(0, self._at_once - len(self._in_state("running")))]:
            self._launch(part)
        return bool(self._in_state("running")) or (bool(self._in_state("waiting")) and not self._stopping)

    def stop(self) -> None:
        """Ask every run in progress to save a checkpoint and end; `advance` tells when they have."""
        self._stopping = True
        for part in self._in_state("running"):
            if part.run is not None:
                part.run.request_stop()

    @property
    def share(self) -> float:
        """Of all the work, 0 to 1: a network that takes ten times as long counts ten times as much."""
        seconds = self._seconds()
        total = sum(seconds)
        return (
            sum(each * _share(part) for each, part in zip(seconds, self.parts, strict=True)) / total if total else 1.0
        )

    def seconds_left(self) -> float | None:
        """At the pace so far; None while that is not known."""
        if not any(part.record is not None and part.record.seconds for part in self.parts):
            return None
        left = [each * (1 - _share(part)) for each, part in zip(self._seconds(), self.parts, strict=True)]
        return max(*left, sum(left) / self._at_once)

    def count(self, *states: PartState) -> int:
        return sum(part.state in states for part in self.parts)

    @property
    def records(self) -> list[Record]:
        """Of the finished runs."""
        return [part.record for part in self._in_state("done") if part.record is not None]

    def _in_state(self, state: PartState) -> list[Part]:
        return [part for part in self.parts if part.state == state]

    def _seconds(self) -> list[float]:
        """How long each run takes: measured on it, else on others of its network, else on any."""
        known: dict[str, list[float]] = {}
        for part in self.parts:
            if part.record is not None and (seconds := part.record.seconds):
                known.setdefault(part.config.model, []).append(seconds)
        anyhow = [seconds for of_model in known.values() for seconds in of_model] or [1.0]
        return [fmean(known.get(part.config.model, anyhow)) for part in self.parts]

    # The runs that are there already

    def _adopt(self) -> None:
        found: dict[object, list[runs.Summary]] = {}
        wanted = {_key(part.config, None) for part in self.parts}
        loose = {_loose_key(part.config) for part in self.parts}
        for summary in runs.Listing(self._runs_dir).read():
            if summary.config is None or _loose_key(summary.config) not in loose:
                continue
            key = _key(summary.config, _first_start(Run(self._runs_dir / summary.id)))
            if key in wanted and _is_current(summary):
                found.setdefault(key, []).append(summary)
        for part in self.parts:
            candidates = found.get(_key(part.config, None), [])
            best = max(candidates, key=_usefulness, default=None)
            if best is not None:
                self._take(part, best)

    def _take(self, part: Part, summary: runs.Summary) -> None:
        part.run = Run(self._runs_dir / summary.id)
        part.record = Record(part.run)
        self._read(part)
        if summary.state == "done":
            part.state, part.reused = "done", True
        elif summary.state in LIVE:
            worker = part.run.worker()
            part.state, part.launched = "running", worker.started if worker is not None else 0.0
        elif summary.state == "diverged":
            self._leave_out(part, "diverged", _end_message(part))

    # A run's life

    def _launch(self, part: Part) -> None:
        if part.run is None:
            part.run = runs.create(self._runs_dir, part.config)
            part.record = Record(part.run)
        part.run.withdraw_stop()
        try:
            with part.run.log_path.open("ab") as log:
                part.process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "core.worker", str(part.run.path)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as error:
            raise Problem("the worker process could not start: {reason}", reason=reason(error)) from error
        part.state, part.launched = "running", time.time()

    def _watch(self, part: Part) -> None:
        assert part.run is not None
        # Before reading: what it wrote before it ended is then read.
        alive = part.process.poll() is None if part.process is not None else part.run.state() in LIVE
        self._read(part)
        if alive or part.state != "running":
            return
        ended = part.record.ended if part.record is not None else None
        if ended is not None and ended.time >= part.launched:
            self._end(part, ended)
        elif part.process is None and not self._stopping:
            part.state = "waiting"  # somebody else's process is gone: it goes on here
        elif self._stopping:
            part.state = "stopped"
        else:
            last = (part.run.log_tail(1) or ["?"])[0]
            message = Message("run {run} crashed: {reason}", {"run": part.run.id, "reason": last})
            self._leave_out(part, "failed", message)

    def _end(self, part: Part, ended: RunEnded) -> None:
        assert part.run is not None
        if ended.status == "done":
            part.state = "done"
        elif ended.status != "stopped":
            self._leave_out(part, ended.status, _end_message(part))
        elif self._stopping:
            part.state = "stopped"
        else:
            self._leave_out(part, "failed", Message("run {run} was stopped", {"run": part.run.id}))

    def _leave_out(self, part: Part, status: str, why: Message) -> None:
        part.state, part.status, part.why = "left_out", status, why

    def _read(self, part: Part) -> None:
        assert part.record is not None
        try:
            part.record.read()
        except OSError as error:
            message = Message("run {run} is unreadable: {reason}", {"run": part.record.run.id, "reason": reason(error)})
            self._leave_out(part, "failed", message)


def _share(part: Part) -> float:
    if part.state in ("done", "left_out"):
        return 1.0
    return part.record.share if part.record is not None else 0.0


def _end_message(part: Part) -> Message:
    assert part.record is not None
    ended = part.record.ended
    return ended.message if ended is not None and ended.message is not None else Message("no reason was given")


def _key(config: RunConfig, started: RunStarted | None) -> object:
    """What two runs have in common that one can stand for the other: what was meant by `auto` counts, not the word."""
    if started is not None:
        device, dataset, threads = started.device, started.dataset, started.threads
        config = msgspec.structs.replace(config, device=device, dataset=dataset, threads=threads)
    if config.device.partition(":")[0] in ("cuda", "mps"):
        config = msgspec.structs.replace(config, threads=0)
    return _frozen(config, _NOT_COMPARED)


def _loose_key(config: RunConfig) -> object:
    return _frozen(config, _NOT_COMPARED | {"device", "dataset", "threads"})


def _frozen(config: RunConfig, without: Iterable[str]) -> tuple[tuple[str, Any], ...]:
    fields = msgspec.structs.asdict(config)
    return tuple((name, value) for name, value in fields.items() if name not in without)


def _first_start(run: Run) -> RunStarted | None:
    """What it said at its first batch, which every later start repeats; None where it never came so far."""
    reader = run.reader()
    while events := reader.read_new(1 << 16):
        for event in events:
            if isinstance(event, RunStarted):
                return event
    return None


def _is_current(summary: runs.Summary) -> bool:
    """Whether a network of the user's own is still what the run was made of."""
    path, colon, _class_name = summary.config.model.rpartition(":") if summary.config else ("", "", "")
    if not colon:
        return True
    try:
        return Path(path).stat().st_mtime <= summary.created
    except OSError:
        return False


def _usefulness(summary: runs.Summary) -> tuple[int, int, str]:
    """The greater, the sooner it is a finished run."""
    order = ["diverged", *sorted(RESUMABLE), *sorted(LIVE), "done"]
    rank = order.index(summary.state) if summary.state in order else -1
    if summary.state in RESUMABLE:
        rank = 1
    return rank, summary.epoch, summary.id
