"""The runs that exist already for a comparison: those of earlier ones, and what others start beside it."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from core.config import RunConfig
from core.runs import directory, sameness, source
from core.runs.directory import FollowedRun, Run, Summary
from core.runs.record import LIVE, RESUMABLE, Record, State

_LOCK_WAIT_S = 10.0
"""Seconds to wait for the lock at most: a run that two comparisons train is better than none."""
_HUNG_WAIT_S = 0.5
"""The same after a wait in vain: who has it hangs."""


class ExistingRuns:
    """The runs in a folder that can stand for those of a plan."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._seen: set[str] = set()
        self._patience_s = _LOCK_WAIT_S

    @contextmanager
    def while_others_wait(self) -> Iterator[None]:
        """Let no other comparison create runs meanwhile, so that the second one sees those of the first.

        Where locks do not work, or one is held for long, do it all the same.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self._runs_dir / ".creating.lock")
        try:
            self._runs_dir.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=self._patience_s)
            self._patience_s = _LOCK_WAIT_S
        except Timeout:
            self._patience_s = _HUNG_WAIT_S
        except (OSError, NotImplementedError):
            pass  # locks do not work here, or its file is another user's
        try:
            yield
        finally:
            lock.release()

    def add(self, run: Run) -> None:
        """Count a run as seen: the caller has created it."""
        self._seen.add(run.id)

    def look_anew(self) -> None:
        """Count no run as seen: for a part that had a run, the others were not looked at."""
        self._seen.clear()

    def find(self, configs: Sequence[RunConfig], devices: Collection[str]) -> list[tuple[Summary, FollowedRun] | None]:
        """Return the most useful run for each of `configs`, if there is one; `devices` are those to go on on.

        Raises `Problem`.
        """
        return self._best(configs, directory.summaries(self._runs_dir), devices)

    def find_new(
        self, configs: Sequence[RunConfig], devices: Collection[str]
    ) -> list[tuple[Summary, FollowedRun] | None]:
        """Do as `find`, but only among the runs that have come since the last look. Raises `Problem`."""
        new = directory.summaries(self._runs_dir, beside=self._seen)
        return self._best(configs, new, devices) if new else [None] * len(configs)

    def _best(
        self, configs: Sequence[RunConfig], summaries: Sequence[Summary], devices: Collection[str]
    ) -> list[tuple[Summary, FollowedRun] | None]:
        found: dict[Hashable, list[tuple[Summary, FollowedRun]]] = {}
        wanted = {sameness.stands_for_key(config) for config in configs}
        possible = {sameness.could_stand_for_key(config) for config in configs}
        for summary in summaries:
            if summary.config is None:  # it is just being created, or damaged
                continue
            self._seen.add(summary.id)
            if summary.is_newer or sameness.could_stand_for_key(summary.config) not in possible:
                continue
            followed = FollowedRun(Run(self._runs_dir / summary.id), keep_losses=False)
            followed.read()
            if not is_as_planned(followed.record):
                continue
            started = followed.record.started
            if summary.state in RESUMABLE and device_of(followed, summary.config) not in ("", *devices):
                continue  # it would go on on a device that was not asked for
            config = summary.config if started is None else sameness.effective_config(started)
            key = sameness.stands_for_key(config)
            if started is None and key not in wanted:
                self._seen.discard(summary.id)  # it may be another one once it has settled what `auto` means
            if key in wanted and source.is_current(followed.run.path, summary.config.model, summary.created):
                found.setdefault(key, []).append((summary, followed))
        return [
            max(found.get(sameness.stands_for_key(config), []), key=_usefulness, default=None) for config in configs
        ]


def is_as_planned(record: Record) -> bool:
    """Tell if a run's numbers are those of its settings; those of one that was changed are of no other run."""
    return not (record.threads_changed or record.is_steered)


def device_of(followed: FollowedRun, config: RunConfig | None = None) -> str:
    """Return the device that a run has begun on or, if `config` is given, begins on; empty if that is not known."""
    started = followed.record.started
    if started is not None:
        return started.device
    return config.device if config is not None and config.device not in ("auto", "cuda") else ""


def _usefulness(candidate: tuple[Summary, FollowedRun]) -> tuple[int, int, str]:
    """Return a sort key: the greater it is, the sooner the run will be finished."""
    summary, _followed = candidate
    ranks: list[frozenset[State]] = [frozenset({"diverged"}), RESUMABLE, LIVE, frozenset({"done"})]
    rank = next((rank for rank, states in enumerate(ranks) if summary.state in states), -1)
    return rank, summary.epoch, summary.id
