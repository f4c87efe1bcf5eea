"""How many threads a run gets for its arithmetic on the CPU."""

from __future__ import annotations

from core.config import RunConfig
from core.runs.directory import Listing, Run
from core.training import devices


def for_run(run: Run, config: RunConfig) -> int:
    """Return the threads that the settings ask for, else those it had before, for the same numbers, else its share.

    Threads that wait for each other beside a busy core lose far more time than a second thread gains.
    """
    if config.threads:
        return config.threads
    started = run.first_start()
    return started.threads if started is not None else share_of_cores(run)


def share_of_cores(run: Run) -> int:
    """Return a run's share of the cores beside the other runs in progress."""
    others = [other for other in Listing(run.path.parent).read() if other.state == "running" and other.id != run.id]
    return max(1, devices.default_threads() // (1 + len(others)))
