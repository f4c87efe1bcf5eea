"""The process that carries out a comparison, whoever asked for it, and whether or not anyone watches.

It starts the runs, adds seeds where these are to be added until the answer is decided, and writes down how far it is.
It does not train itself, and loads no torch. If it is killed, the runs in progress go on (on a Ray cluster they end),
and the next one takes over.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from core import files
from core.comparing import clusters, statistics
from core.comparing.comparison import Comparison
from core.comparing.engine import Slot
from core.comparing.parts import Part
from core.comparing.sequential import IMAGES_FROM
from core.comparing.stored import Outcome, PartStanding, SlotStanding, Standing, StoredComparison
from core.messages import Message, Problem
from core.runs import lease
from core.runs.lease import Held, Lost
from core.worker.detach import StopSignals, redirect_output
from core.worker.launch import launch_job
from core.worker.process_title import entitle

_POLL_S = 0.1
_SEEDS_TOGETHER = 10
"""Seeds that are added at a time where they are trained together: a few too many cost less than waiting for them."""


def main() -> None:
    """Carry out the comparison in the given folder; do nothing if another process does."""
    stored = StoredComparison(Path(sys.argv[1]))
    redirect_output(stored.log_path)
    signals = StopSignals()
    signals.install()
    os.environ[lease.COMPARISON_VARIABLE] = stored.id
    try:
        carry_out(stored, signals)
    except Problem as problem:
        print(problem, file=sys.stderr)


def launch(stored: StoredComparison) -> subprocess.Popen[bytes]:
    """Start the process. Raises `Problem`."""
    return launch_job(__name__, stored)


def carry_out(stored: StoredComparison, should_stop: Callable[[], bool]) -> None:
    """Carry out a comparison to its end, or until it should stop.

    Raises `Problem` if another process carries it out, or its folder cannot be used or was deleted.
    """
    with lease.hold(stored.path) as held:
        files.sweep(stored.path)
        journal = _Journal(stored, held)
        try:
            outcome = _train(stored, journal, should_stop)
        except Lost:
            raise
        except Problem as problem:
            journal.write("failed", problem)
        else:
            journal.write(outcome)
        stored.withdraw_requests()


def _train(stored: StoredComparison, journal: _Journal, should_stop: Callable[[], bool]) -> Outcome:
    """Train the runs of the first seeds, then add seeds until they are used up or every pair is decided.

    Raises `Problem`.
    """
    plan = stored.plan()
    later = plan.parts()
    per_seed = len(plan.configurations)
    first = len(later) if plan.margin is None else per_seed * IMAGES_FROM
    with closing(clusters.engine_of(stored, plan)) as engine:
        step = per_seed * max(1, engine.at_once // per_seed, min(plan.most_together, _SEEDS_TOGETHER))
        made = Comparison(stored.runs_dir, later[:first], engine, plan.most_together, stored.id)
        journal.parts = made.parts
        del later[:first]
        _check_finished(made)
        is_stopping = False
        while True:
            if not is_stopping and (should_stop() or stored.stop_requested()):
                is_stopping = True
                made.stop()
            goes_on = made.advance()
            journal.waits_for = engine.waits_for
            journal.slots = tuple(_slot_standing(slot, parts) for slot, parts in made.occupied())
            journal.write()
            entitle(f"comparison, {made.count('done', 'left_out')} of {len(made.parts) + len(later)} runs")
            if goes_on:
                engine.wait(_POLL_S)
            elif plan.margin is not None and _is_decided(made, plan.margin):
                return "decided"
            elif made.count("done", "left_out") == len(made.parts) and not later:
                return "done"
            elif is_stopping:
                return "stopped"
            else:
                made.extend(later[:step])
                del later[:step]


def _check_finished(made: Comparison) -> None:
    """Fail early if a finished run cannot be reused. Raises `Problem`."""
    if made.finished:
        statistics.check_comparable(made.finished)
    for finished in made.finished:
        statistics.read_predictions(finished)


def _is_decided(made: Comparison, margin: float) -> bool:
    """Tell if every pair is decided, so that no more seeds are needed. Raises `Problem`."""
    if not made.finished or made.count("done", "left_out") < len(made.parts):
        return False
    return statistics.summarise(made.finished, made.left_out, made.names, margin=margin).is_decided


class _Journal:
    """Record of how far a comparison is, for those who watch it."""

    def __init__(self, stored: StoredComparison, held: Held) -> None:
        self.parts: list[Part] = []
        self.slots: tuple[SlotStanding, ...] = ()
        self.waits_for: Message | None = None
        self._stored = stored
        self._held = held
        self._written: Standing | None = None

    def write(self, outcome: Outcome = "none", problem: Problem | None = None) -> None:
        """Write down how far the comparison is, unless that is known. Raises `Lost`."""
        self._held.look()
        standing = Standing(
            attempt=self._held.attempt,
            parts=tuple(map(_standing, self.parts)),
            waits_for=self.waits_for if outcome == "none" else None,
            slots=self.slots if outcome == "none" else (),
            outcome=outcome,
            message=problem.message if problem is not None else None,
            advice=problem.advice if problem is not None else None,
        )
        if standing != self._written:
            try:
                self._stored.keep(standing)
                self._written = standing
            except OSError:  # the runs do not depend on it, and the next one may be possible again
                if problem is not None:
                    print(problem, file=sys.stderr, flush=True)


def _slot_standing(slot: Slot, parts: Sequence[Part]) -> SlotStanding:
    runs = tuple(part.followed.run.id for part in parts if part.followed is not None)
    return SlotStanding(slot.node, slot.device, runs, parts[0].since if parts else 0.0)


def _standing(part: Part) -> PartStanding:
    run_id = part.followed.run.id if part.followed is not None else ""
    return PartStanding(run_id, part.state, part.reused, part.status, part.why)
