"""Run directories: everything known about a run is in its directory, and everything that shows a run reads it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Container
from pathlib import Path

import msgspec

from core import files
from core.config import RunConfig, check_new
from core.messages import N_, Message, Problem, reason
from core.runs import labels, lease, names
from core.runs.events import Event, EventReader, Progress, RunStarted, first_events, last_events
from core.runs.formats import StoredConfig, decode_config, encode_config
from core.runs.job_folder import JobFolder
from core.runs.lease import Lease
from core.runs.record import UNENDED, Record, State

_MOST_READ = 4 << 20
"""Bytes of a run's events that the list of runs reads at most, beside their tail."""
_START_GRACE_S = 10.0
"""Seconds for which a run without a lease counts as starting: its process takes one before it loads torch."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run's entry in the list of runs."""

    id: str
    state: State
    config: RunConfig | None = None
    """Settings that it trains with now."""
    is_steered: bool = False
    """True if its learning rate or number of epochs was changed on the way: it stands for no other run."""
    created: float = 0.0
    """Creation time in seconds since the Unix epoch."""
    epoch: int = 0
    dataset: str = ""
    accuracy: float | None = None
    message: Message | None = None
    """Why the run is unreadable, or what it said at its end."""
    is_newer: bool = False
    """True if only a newer version understands all of the run, which so cannot stand for another."""
    silent_s: float | None = None
    """Seconds since the last sign of life of a silent run; None if unknown."""
    name: str = ""
    """Name that the run has: the one it was started under, or a later one."""
    device: str = ""
    loss: float | None = None
    """Newest loss: the running loss, or that of the last whole epoch."""
    elapsed_s: float | None = None
    """Training time in seconds."""
    ended: float | None = None
    """Time of its end in seconds since the Unix epoch; of a crashed run, that of its last progress."""
    attempts: int = 0
    host: str = ""
    """Host of its newest attempt."""
    pid: int | None = None
    """Process of its newest attempt."""
    epochs_done: int = 0
    """Number of whole epochs."""
    threads: int = 0
    """Number of CPU threads that it trains with; 0 if not known yet."""
    tags: tuple[str, ...] = ()
    note: str = ""

    @property
    def elsewhere(self) -> str:
        """Host of its newest attempt, if that is known and not this one; else empty."""
        return "" if self.host in ("?", socket.gethostname()) else self.host

    def as_of(self, record: Record, state: State) -> Summary:
        """Return the summary with everything that a run's record says."""
        started, progress, ended = record.started, record.newest_progress, record.ended
        epoch, step = record.position
        last = ended if ended and state == ended.status else progress or started if state == "crashed" else None
        return msgspec.structs.replace(
            self,
            state=state,
            config=record.config if started and record.is_steered else self.config,
            epoch=epoch,
            epochs_done=epoch - (step < started.steps_per_epoch) if started else 0,
            dataset=started.dataset if started else self.dataset,
            accuracy=record.evaluated.accuracy if record.evaluated else None,
            message=ended.message if ended else None,
            is_steered=record.is_steered,
            device=started.device if started else "",
            threads=record.threads,
            loss=progress.loss if progress else None,
            elapsed_s=progress.elapsed_s if progress else None,
            ended=last.time if last else None,
        )


class Run(JobFolder):
    """A run directory; its files may be missing, damaged or hostile."""

    def __repr__(self) -> str:
        return f"<run {self.id}>"

    @property
    def events_path(self) -> Path:
        return self.path / "events.jsonl"

    def result_paths(self, stem: str, suffix: str) -> list[Path]:
        """Return the files of a kind of result, such as `weights-0002.safetensors`, those of the newest attempt first.

        Older versions wrote only one of each kind, such as `weights.safetensors`.
        """
        pattern = re.compile(rf"{stem}-(\d{{4,12}})\{suffix}")
        found = {int(match[1]): name for name in os.listdir(self.path) if (match := pattern.fullmatch(name))}  # noqa: PTH208
        return [self.path / found[attempt] for attempt in sorted(found, reverse=True)] + [self.path / f"{stem}{suffix}"]

    def has_checkpoint(self) -> bool:
        """Return True if there is a checkpoint, whole or not."""
        return any(self.path.glob("checkpoint*.pt"))

    def config(self) -> RunConfig:
        """Load the run's settings, all of which this version knows. Raises `Problem`."""
        stored = self.stored_config()
        stored.check_trainable(self.id)
        return stored.config

    def stored_config(self) -> StoredConfig:
        """Load the run's settings as far as this version knows them. Raises `Problem`."""
        try:
            if self.path.is_symlink():
                raise OSError(f"{self.path} is a link")
            return decode_config(files.read_small(self.path / "config.json"))
        except (OSError, ValueError, RecursionError) as error:
            raise Problem("run {run} is unreadable: {reason}", run=self.id, reason=reason(error)) from error

    @property
    def identity(self) -> object:
        """What tells the run from another of the same id: its `config.json` is written once, when it is created.

        A new directory may get the inode of a removed one, so that alone would not do. None if there is no such file.
        """
        return files.version(self.path / "config.json")

    def reader(self) -> EventReader:
        return EventReader(self.events_path)

    # Progress and state

    def has_started(self) -> bool:
        """Return True if the run has reached its first batch."""
        return self.first_start() is not None

    def first_start(self) -> RunStarted | None:
        """Return the run's first start event; None if it never reached its first batch."""
        for span in (1 << 14, _MOST_READ):  # nearly always it is among the first lines
            try:
                events = first_events(self.events_path, span)
            except OSError:
                return None
            for event in events:
                if isinstance(event, RunStarted):
                    return event
        return None

    def state(self) -> State:
        return self.summary().state

    def summary(self) -> Summary:
        """Summarise the run from the tail of its events. A damaged run is `unreadable`."""
        try:
            stored = self.stored_config()
            created = (self.path / "config.json").lstat().st_mtime
        except Problem as problem:
            return Summary(id=self.id, state="unreadable", message=problem.message)
        except OSError:
            created = 0.0
        try:
            record = self.tail()
        except OSError as error:
            message = Message("run {run} is unreadable: {reason}", {"run": self.id, "reason": reason(error)})
            return Summary(id=self.id, state="unreadable", message=message)
        newest = lease.read(self.path)
        state, silent_s = self._state(record, created, newest)
        written = labels.read(self.path)
        found = Summary(
            id=self.id,
            state=state,
            config=stored.config,
            created=created,
            dataset=stored.config.dataset,
            is_newer=stored.is_newer,
            silent_s=silent_s,
            name=written.name or stored.name,
            attempts=newest.attempt if newest else 0,
            host=(newest.node or newest.host) if newest else "",
            pid=(newest.pid or None) if newest else None,
            tags=written.tags,
            note=written.note,
        )
        return found.as_of(record, state)

    def tail(self) -> Record:
        """Return the run's record, from the tail of its events where that is enough. Raises `OSError`."""
        record = Record(keep_losses=False)
        try:
            events = last_events(self.events_path)
        except FileNotFoundError:
            return record
        first = next((event for event in events if isinstance(event, RunStarted | Progress)), None)
        if isinstance(first, RunStarted) and (first.epoch, first.step) == (1, 0):
            record.apply(events)
        elif events and (any(isinstance(event, Progress) for event in events) or self._is_long()):
            started = self.first_start()
            record.apply([started, *events] if started else events)
        elif not self._is_long():  # the tail does not say how far the run is
            whole = FollowedRun(self, keep_losses=False)
            whole.read()
            record = whole.record
        return record

    def _is_long(self) -> bool:
        """Tell whether there are more events than a look at the list of runs may read. Raises `OSError`."""
        return self.events_path.lstat().st_size > _MOST_READ

    def _state(self, record: Record, created: float, newest: Lease | None) -> tuple[State, float | None]:
        """Return the state and, if that is `silent`, the seconds since the last sign of life."""
        status = record.status(newest.attempt if newest is not None else 0)
        if status is not None:
            return status, None
        if newest is None:
            if lease.is_held_by_older_version(self.path):
                return "running", None
            age_s = files.age_s(self.path, created)
            if age_s is None:  # who may not write here cannot tell, and must not wait for ever
                return "silent", None
            is_starting = age_s < _START_GRACE_S or files.is_locked_file(self.log_path)
            return "starting" if is_starting else "crashed", None
        sign = lease.sign(self.path, newest)
        alive: State = "paused" if record.paused else "running"
        states: dict[lease.Vitality, State] = {"alive": alive, "silent": "silent", "gone": "crashed"}
        return states[sign.vitality], sign.age_s if sign.vitality == "silent" else None


class FollowedRun:
    """A run whose events are read as they arrive, and its record so far."""

    def __init__(self, run: Run, *, keep_losses: bool = True) -> None:
        self.run = run
        self.record = Record(keep_losses=keep_losses)
        self._reader = run.reader()

    def read(self) -> None:
        """Fold all new events into the record."""
        while events := self.read_chunk():
            self.record.apply(events)

    def read_chunk(self) -> list[Event]:
        """Return the next new events without folding them in; an empty list means nothing new."""
        return self._reader.read_new()


def create(runs_dir: Path, config: RunConfig, name: str = "") -> Run:
    """Create a run directory with its settings and, if it has one, its name. Raises `Problem`."""
    check_new(config)
    class_name = config.model.rpartition(":")[2]
    stem = re.sub(r"(?<=rn)_(?=\d)|[^a-z0-9_]", "", class_name.lower())[:40] or "net"
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        number = max(names.last_number(runs_dir), *(_number(run.id) for run in _directories(runs_dir)), 0) + 1
        while True:
            path = runs_dir / f"{stem}-{number:04d}"
            try:
                path.mkdir()
                break
            except FileExistsError:  # another process was faster
                number += 1
        names.keep_number(runs_dir, number)
        try:
            files.replace(path / "config.json", encode_config(config, name))
        except OSError:
            path.rmdir()
            raise
    except OSError as error:
        raise Problem(
            "cannot create a run in {path}: {reason}",
            advice=N_("Choose a writable folder with --runs-dir or MNIST_TUI_RUNS."),
            path=str(runs_dir),
            reason=reason(error),
        ) from error
    return Run(path)


def discard(run: Run) -> None:
    """Remove the directory of a run that never started."""
    shutil.rmtree(run.path, ignore_errors=True)


def find(runs_dir: Path, run_id: str | None = None, states: frozenset[State] = frozenset()) -> Run:
    """Return the run with this id or name, or the newest in one of `states`, if any are given. Raises `Problem`.

    Where no run is named, it is one of the user's own, if that has any.
    """
    if run_id is None:
        runs = [run for run in reversed(_directories(runs_dir)) if not states or run.state() in states]
        own = [run for run in runs if run.is_own]
        if not runs:
            text = (
                N_("there is no run in {path} that this applies to") if states else N_("there is no run in {path} yet")
            )
            raise Problem(text, path=str(runs_dir))
        return (own or runs)[0]
    is_id = names.ID.fullmatch(run_id) is not None
    named = names.find(runs_dir, run_id) if names.is_name(run_id) and not is_id else None
    run = Run(runs_dir / (named or run_id))
    if not (named or is_id) or run.path.is_symlink() or not run.path.is_dir():
        raise names.unknown(runs_dir, run_id, [each.id for each in _directories(runs_dir)])
    return run


def summaries(runs_dir: Path, *, beside: Container[str] = frozenset()) -> list[Summary]:
    """Summarise the runs in a folder beside those with the given ids, oldest first. Raises `Problem`."""
    return [run.summary() for run in _directories(runs_dir) if run.id not in beside]


class Listing:
    """The summaries of every run in a folder; runs that have not changed are not read again."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._kept: dict[str, tuple[object, Summary]] = {}

    def read(self) -> list[Summary]:
        """Return the summaries, oldest run first. Raises `Problem`."""
        kept, self._kept = self._kept, {}
        for run in _directories(self._runs_dir):
            version = tuple(map(files.version, (run.events_path, lease.path(run.path), labels.path(run.path))))
            known = kept.get(run.id)
            if known is None or known[0] != version or known[1].state in UNENDED:
                known = (version, run.summary())
            self._kept[run.id] = known
        return [summary for _version, summary in self._kept.values()]


def _number(run_id: str) -> int:
    match = names.ID.fullmatch(run_id)
    return int(match[1]) if match else 0


def _directories(runs_dir: Path) -> list[Run]:
    try:
        with os.scandir(runs_dir) as entries:
            found = [entry.name for entry in entries if entry.is_dir() or entry.is_symlink()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise Problem("cannot read {path}: {reason}", path=str(runs_dir), reason=reason(error)) from error
    ids = sorted(filter(names.ID.fullmatch, found), key=lambda run_id: (_number(run_id), run_id))
    return [Run(runs_dir / run_id) for run_id in ids]
