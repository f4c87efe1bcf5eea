"""Carrying out several runs in one process, which trains them together; each is written as if it were alone.

Like `carry_out`, this module does not load torch before the runs' leases are held.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

from core.messages import Problem
from core.runs import lease
from core.runs.directory import Run
from core.worker.carry_out import RunAttempt, tell_of_loading
from core.worker.process_title import RunTitle


def carry_out_together(runs: Sequence[Run], should_stop: Callable[[], bool]) -> None:
    """Train and test runs that differ only in their seed, each from its checkpoint if it has one.

    A run that another process trains, or whose directory cannot be used, is left out; so is one whose last process may
    still live, for which the others do not wait. Whatever is raised here ended the work on all of them: those that have
    not ended by then can be gone on with, in smaller groups if there was not enough memory.
    """
    with ExitStack() as stack:
        attempts: list[RunAttempt] = []
        for run in runs:
            if not lease.is_certain(run.path):
                continue
            title = None if attempts else RunTitle(f"{run.id} and {len(runs) - 1} more")
            try:
                held = stack.enter_context(lease.hold(run.path))
                attempts.append(RunAttempt(run, held, lambda _event: None, should_stop, title))
            except Problem as problem:
                print(problem, file=sys.stderr)
            else:
                stack.callback(attempts[-1].close)
        for attempt in attempts:
            attempt.do(partial(tell_of_loading, attempt.run, attempt.emit))
        if attempts:
            from core.worker.group_stages import train_and_test_together

            train_and_test_together(attempts)
