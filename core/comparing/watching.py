"""A comparison as those see it who asked for it, or came by: its process is another one. Watching ends nothing."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from core.comparing import driver, stored
from core.comparing.parts import Part, PlannedRuns
from core.comparing.stored import Outcome, PartStanding, Plan, SlotStanding, StoredComparison
from core.messages import N_, Message, Problem
from core.runs import names
from core.runs.directory import FollowedRun, Run


class WatchedComparison(PlannedRuns):
    """A comparison that another process carries out, or has carried out. Call `look` a few times a second."""

    def __init__(self, comparison: StoredComparison, plan: Plan, *, starts: bool) -> None:
        """Find the newest process or, if `starts` and none is at work, start one at the first look.

        Raises `InvalidSetting`.
        """
        super().__init__(len(plan.slots), plan.most_together)
        self.slots: tuple[SlotStanding, ...] = ()
        """Where runs are trained, and which."""
        self.waits_for: Message | None = None
        self.outcome: Outcome = "none"
        self.is_elsewhere = bool(plan.cluster)
        """True if it is carried out on a cluster."""
        self._stored = comparison
        self._planned = plan.parts()
        self._starts = starts
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        is_there = not starts or (comparison.is_in_progress and not comparison.stop_requested())
        self._attempt_before = comparison.attempt - is_there
        """Number of the newest attempt that is not the one to watch."""
        self._attempt = 0
        """Number of the attempt that is watched, 0 before it has said anything."""

    def look(self) -> bool:
        """Read how far the comparison is; return False once it has ended, with its `outcome`. Raises `Problem`."""
        # In this order, so that everything that a process wrote before its end is read.
        has_started_in_vain = self._process is not None and self._process.poll() is not None
        is_at_work = self._stored.is_at_work
        standing = self._stored.standing()
        if self._stopping and 0 < self._attempt < self._stored.attempt:  # it has been started anew meanwhile
            self.outcome = "stopped"
            return False
        if standing.attempt > self._attempt_before:
            self._attempt = standing.attempt
            self._take(standing.parts)
            self.slots, self.waits_for = standing.slots, standing.waits_for
            self._at_once = len(standing.slots) or self._at_once
            self.outcome = standing.outcome
            if standing.outcome == "failed":
                raise Problem.of(standing.message or Message("no reason given"), standing.advice)
        if self.outcome != "none":
            return False
        if is_at_work or (self._process is not None and not has_started_in_vain):
            return True
        if self._stopping:
            self.outcome = "stopped"
            return False
        if has_started_in_vain or not self._starts:
            said = [line for line in self._stored.log_tail() if line.strip()]
            advice = N_("The same comparison, asked for again, goes on from where it was.")
            if not said:
                raise Problem("the process that carries out the comparison was killed", advice=advice)
            text = N_("the process that carries out the comparison ended; the last that it said: {reason}")
            raise Problem(text, advice=advice, reason=said[-1])
        self._start()
        return True

    def stop(self) -> None:
        """Ask the comparison to stop, and so each run that it trains to save a checkpoint and end. Raises `Problem`."""
        self._stopping = True
        self._stored.request_stop()

    def _start(self) -> None:
        self._stored.withdraw_requests()
        if self._stopping:  # a stop may come from another thread
            self._stored.request_stop()
        self._process = driver.launch(self._stored)

    def _take(self, standings: Sequence[PartStanding]) -> None:
        self.parts += self._planned[len(self.parts) : len(standings)]
        for part, standing in zip(self.parts, standings, strict=False):
            self._take_part(part, standing)

    def _take_part(self, part: Part, standing: PartStanding) -> None:
        run_id = part.followed.run.id if part.followed is not None else ""
        if standing.run != run_id:
            is_id = names.ID.fullmatch(standing.run) is not None
            run = Run(self._stored.runs_dir / standing.run)
            part.followed = FollowedRun(run, keep_losses=False) if is_id else None
        elif part.state == standing.state != "running":
            return
        if part.followed is not None:
            part.followed.read()
        part.state, part.reused = standing.state, standing.reused
        part.status, part.why = standing.status, standing.why


def begin(runs_dir: Path, plan: Plan) -> WatchedComparison:
    """Watch a comparison, which is started at the first look if no process carries it out. Raises `Problem`."""
    return WatchedComparison(stored.store(runs_dir, plan), plan, starts=True)


def newest(runs_dir: Path) -> tuple[Plan, WatchedComparison] | None:
    """Return one of the user's own comparisons, with its plan; None if there is none.

    It is one in progress, or else the one that ended last with a result.
    """
    for found in [*stored.in_progress(runs_dir), *stored.finished(runs_dir)]:
        if found.is_own:
            try:
                plan = found.plan()
                return plan, WatchedComparison(found, plan, starts=False)
            except Problem:
                continue
    return None
