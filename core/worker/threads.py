"""The number of CPU threads that a run gets for its arithmetic."""

from __future__ import annotations

import torch

from core.config import RunConfig
from core.runs.directory import Listing, Run
from core.training import devices

_TORCH_DEFAULT = torch.get_num_threads()


def for_run(run: Run, config: RunConfig) -> int:
    """Return the threads that the settings ask for, else those of the run's first start, else its share of the cores.

    With the same threads, a resumed run gives the same numbers. More than its share would lose time: if one core is
    busy, the other threads wait for it, which costs far more than a second thread gains. An exact run starts with
    torch's default, as the exam's program does.
    """
    if config.threads:
        return config.threads
    started = run.first_start()
    if started is not None:
        return started.threads
    return _TORCH_DEFAULT if config.exact else share_of_cores(run)


def share_of_cores(run: Run) -> int:
    """Return a run's share of the cores, given the other runs in progress."""
    others = [other for other in Listing(run.path.parent).read() if other.state == "running" and other.id != run.id]
    return max(1, devices.default_threads() // (1 + len(others)))
