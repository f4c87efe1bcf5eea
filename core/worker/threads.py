"""The number of CPU threads that a run gets for its arithmetic, at its start and when others take its cores."""

from __future__ import annotations

import time

import psutil
import torch

from core import machine
from core.config import RunConfig
from core.runs import lease
from core.runs.directory import Listing, Run
from core.training import devices

_TORCH_DEFAULT = torch.get_num_threads()
_WINDOW_S = 0.5
"""Seconds over which the pace is measured."""
_SLOW = 2.0
"""Times as slow as before that a pace counts as slow: threads that wait for a core taken away cost far more."""
_SLOW_WINDOWS = 2
"""Windows in a row that must be slow, so that a pause is not taken for it."""


def for_run(run: Run, config: RunConfig, last: int) -> int:
    """Return the threads that the settings ask for, else the `last` that the run had, if any, else its share of cores.

    With the same threads, a resumed run gives the same numbers. More than its share would lose time: if one core is
    busy, the other threads wait for it, which costs far more than a second thread gains. An exact run starts with
    torch's default, as the exam's program does.
    """
    if config.threads:
        return config.threads
    if last:
        return last
    return _TORCH_DEFAULT if config.exact else share_of_cores(run)


def share_of_cores(run: Run) -> int:
    """Return a run's share of the cores, given the other runs in progress on this machine."""
    runs_dir = run.path.parent
    others = [Run(runs_dir / each.id) for each in Listing(runs_dir).read() if each.state == "running"]
    beside = sum(other.id != run.id and _is_on_this_machine(other) for other in others)
    return max(1, devices.default_threads() // (1 + beside))


def _is_on_this_machine(run: Run) -> bool:
    newest = lease.read(run.path)
    return newest is None or newest.is_of_this_boot  # an older version's process keeps no lease


class CoreWatch:
    """A watch for other processes that take a run's cores while it trains, to be asked after every batch."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._best = 0.0
        """Greatest pace so far, in batches per second."""
        self._slow_windows = 0
        self._is_over = threads < 2
        self._begin()

    def after_batch(self) -> int | None:
        """Return how many threads there are cores for, once the pace has dropped for lack of cores; else None."""
        if self._is_over:
            return None
        self._batches += 1
        now = time.perf_counter()
        if now - self._since < _WINDOW_S:
            return None
        pace = self._batches / (now - self._since)
        cores = machine.usable_cores() - self._taken_by_others()
        is_slow = pace * _SLOW < self._best and cores < self._threads - 0.25
        self._slow_windows = self._slow_windows + 1 if is_slow else 0
        self._best = max(self._best, pace)
        self._begin()
        if self._slow_windows < _SLOW_WINDOWS:
            return None
        self._threads = max(1, min(self._threads - 1, int(cores)))
        self._slow_windows, self._best, self._is_over = 0, 0.0, self._threads < 2
        return self._threads

    def _begin(self) -> None:
        self._batches = 0
        self._since = time.perf_counter()
        self._busy_at_first, self._own_at_first = _busy_seconds(), _own_seconds()

    def _taken_by_others(self) -> float:
        """Return how many cores other processes kept busy in this window, on average."""
        others_s = _busy_seconds() - self._busy_at_first - (_own_seconds() - self._own_at_first)
        return max(0.0, others_s) / (time.perf_counter() - self._since)


def _busy_seconds() -> float:
    """Return the seconds for which the cores that this process may use have been busy."""
    cores = psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else None
    every = psutil.cpu_times(percpu=True)
    used = [every[core] for core in cores if core < len(every)] if cores else every
    return float(sum(sum(each) - each.idle - getattr(each, "iowait", 0.0) for each in used))


def _own_seconds() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)
