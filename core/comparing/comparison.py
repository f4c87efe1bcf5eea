"""Carrying out a comparison: the same seeds for every configuration, as ordinary runs, as many at once as fit.

The same plan finds its runs again: a finished one is reused, a stopped, failed or crashed one is resumed, and one that
is being trained is waited for. So whatever ended a comparison, starting it again continues it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import msgspec

from core.comparing import existing
from core.comparing.engine import Engine, Slot
from core.comparing.existing import ExistingRuns
from core.comparing.parts import MOST_TOGETHER, Part, PlannedRuns
from core.messages import N_, Message
from core.runs import control, directory, lease
from core.runs.control import Request
from core.runs.directory import FollowedRun, Run, Summary
from core.runs.events import RunEnded
from core.runs.record import LIVE, State

MAX_RETRIES = 3
"""Times that a run is gone on with after the loss of its slot, before it counts as the reason for that."""


class Comparison(PlannedRuns):
    """The runs of a plan, carried out by the workers of an engine. Call `advance` repeatedly, a few times a second.

    Nothing is lost if the calls end: a run in progress ends, or goes on from its newest checkpoint.
    """

    def __init__(self, runs_dir: Path, parts: Sequence[Part], engine: Engine, together: int = 1, key: str = "") -> None:
        """Find the runs that exist already; a process trains up to so many of the others `together`.

        `key` is the name of the comparison's folder, by which it knows the runs that an earlier process has begun.
        Raises `Problem`.
        """
        super().__init__(engine.at_once, together)
        self._runs_dir = runs_dir
        self._engine = engine
        self._existing = ExistingRuns(runs_dir)
        self._key = key
        self._stopping = False
        self.extend(parts)

    def extend(self, parts: Sequence[Part]) -> None:
        """Add runs to the plan, and find those that exist already. Raises `Problem`."""
        self._adopt(parts, self._existing.find([part.config for part in parts], self._engine.devices))
        self.parts += parts

    def advance(self) -> bool:
        """Check the runs in progress, and start those that there is room for. Return False if nothing is left to do.

        Raises `Problem` if a run cannot be created or its process cannot be started.
        """
        for part in self._in_state("running"):
            self._watch(part)
        if not self._stopping:
            self._start_waiting()
        is_at_work = self.count("running") > 0 or any(part.together > 1 and _is_busy(part) for part in self.parts)
        return is_at_work or (not self._stopping and (self.count("waiting") > 0 or self._awaits_left_out()))

    def _start_waiting(self) -> None:
        groups = self._groups(self._in_state("waiting"))
        self._engine.want(len(groups))
        slots = self._engine.slots
        free = self._free(slots)
        devices = {slot.device for slot in slots}
        for group in groups:
            if not free:
                break
            device = group[0].device
            fitting = [slot for slot in free if slot.device == device]
            if device in devices and not fitting:
                continue  # it goes on on the device where it was, once there is room
            slot = fitting[0] if fitting else free[0]
            free.remove(slot)
            if not self._launch(group, slot):
                break

    def stop(self) -> None:
        """Ask every run that is trained for this comparison to save a checkpoint and end.

        `advance` returns False once they have.
        """
        self._stopping = True
        for part in self._in_state("running"):
            if part.followed is not None:
                self._pass_on_stop(part, part.followed.run)

    def _pass_on_stop(self, part: Part, run: Run) -> None:
        """Ask a run to stop that is trained for this comparison, once that is known; leave it if others want it."""
        is_ours = self._is_ours(part, run)
        if is_ours is False:
            part.state = "waiting"
        elif is_ours and not run.stop_requested():
            run.request_stop()

    def occupied(self) -> list[tuple[Slot, list[Part]]]:
        """Return the slots, each with the runs that are trained there, or with none."""
        jobs: dict[int, list[Part]] = {}
        for part in self._in_state("running"):
            jobs.setdefault(id(part.worker or part), []).append(part)
        taken = [(parts[0].slot or Slot(parts[0].device), parts) for parts in jobs.values()]
        sending = {id(part.worker): part.slot for part in self.parts if part.state != "running" and _is_busy(part)}
        idle = [slot for worker, slot in sending.items() if slot is not None and worker not in jobs]
        return taken + [(slot, []) for slot in (*idle, *self._free(self._engine.slots))]

    # Existing runs

    def _adopt(self, parts: Sequence[Part], found: Sequence[tuple[Summary, FollowedRun] | None]) -> None:
        """Take the runs that were found for a part each."""
        for part, candidate in zip(parts, found, strict=True):
            if candidate is None:
                continue
            summary, part.followed = candidate
            part.device = existing.device_of(part.followed, summary.config)
            self._take(part, part.followed, summary.state)
            part.reused = part.state == "done"

    def _adopt_new(self) -> bool:
        """Take the runs that other comparisons have begun since for parts of this one; return True if there are any.

        Raises `Problem`.
        """
        parts = [part for part in self._in_state("waiting") if part.followed is None]
        self._adopt(parts, self._existing.find_new([part.config for part in parts], self._engine.devices))
        return any(part.followed is not None for part in parts)

    def _take(self, part: Part, followed: FollowedRun, state: State) -> None:
        """Take a run that exists as it is: to be started if it is neither finished nor in progress."""
        if state == "done":
            part.state = "done"
        elif state in LIVE:
            part.state, part.attempts_before, part.is_paused = "running", followed.run.attempt - 1, False
            part.slot, part.worker, part.together = self._engine.trains(followed.run) or (None, None, 1)
        elif state == "diverged":
            _leave_out(part, "diverged", _end_message(followed))

    # The life of a run

    def _groups(self, waiting: Sequence[Part]) -> list[list[Part]]:
        """Return the runs by the process that is to train them: those of one configuration together, if asked for."""
        groups: list[list[Part]] = []
        open_groups: dict[tuple[str, str], list[Part]] = {}
        only = next(iter(self._engine.devices)) if len(self._engine.devices) == 1 else ""
        a_share = ceil(len(waiting) / self._engine.at_once)  # so that no slot is left without
        for part in waiting:
            most = min(self._together, part.most_together, a_share) if part.config.architecture.is_built_in else 1
            if most > 1 and part.followed is not None and not _is_certain(part, part.followed):
                most = 1  # the others need not wait until its last process gives no sign of life
            group = open_groups.get((part.name, part.device or only))
            if most > 1 and group is not None and len(group) < min(most, *(each.most_together for each in group)):
                group.append(part)
                continue
            groups.append([part])
            if most > 1:
                open_groups[part.name, part.device or only] = groups[-1]
        return groups

    def _free(self, slots: Sequence[Slot]) -> list[Slot]:
        """Return the slots in which no process is at work.

        A run that another program trains takes one, too, if it may be there: on this machine.
        """
        free = list(slots)
        for part in {id(part.worker or part): part for part in self.parts if _takes_slot(part)}.values():
            slot = part.slot or _slot_here(part, free)
            if slot in free:
                free.remove(slot)
        return free

    def _launch(self, group: Sequence[Part], slot: Slot) -> bool:
        """Start runs in a slot, as far as they are still to be trained. Raises `Problem`.

        Return False if others have begun runs meanwhile: what is to be trained where is another question then.
        """
        with self._existing.while_others_wait():
            for part in group:
                self._update(part)
            if self._adopt_new():
                return False
            parts = [part for part in group if part.state == "waiting"]
            for part in parts:
                part.device = part.device or slot.device
            runs = [self._run_of(part) for part in parts]
        for part, run in zip(parts, runs, strict=True):
            run.withdraw_requests()
            if part.is_paused:
                control.ask(run.path, Request(paused=True))
        worker = self._engine.start(runs, slot) if runs else None
        now = time.time()
        for part in parts if worker is not None else ():
            part.worker, part.slot, part.since, part.state = worker, slot, now, "running"
            part.together = len(parts)
            part.is_new = part.is_certain = False
        return True

    def _update(self, part: Part) -> None:
        """Look at a run that waits: another program may have gone on with it, or deleted it."""
        followed = part.followed
        if followed is None:
            return
        if followed.run.is_deleted:
            self._give_up(part)
            return
        if _is_untouched(part, followed.run):
            return
        attempt = followed.run.attempt
        part.is_paused &= attempt <= part.attempts_before + 1  # else somebody has gone on with it meanwhile
        part.attempts_before = attempt
        state = followed.run.state()
        followed.read()
        if not existing.is_as_planned(followed.record):
            self._give_up(part)
            return
        self._take(part, followed, state)
        part.device = existing.device_of(followed) or part.device
        if part.state == "waiting" and part.device not in ("", *self._engine.devices):
            self._give_up(part)

    def _give_up(self, part: Part) -> None:
        """Have another run begun in the place of one that is no longer right."""
        part.followed, part.device, part.is_new, part.is_certain = None, "", False, False
        part.is_paused, part.attempts_before, part.losses_of_slot, part.most_together = False, 0, 0, MOST_TOGETHER
        self._existing.look_anew()

    def _run_of(self, part: Part) -> Run:
        """Return a part's run, which is created if it does not exist. Raises `Problem`."""
        if part.followed is None:
            config = msgspec.structs.replace(part.config, device=part.device)
            part.followed = FollowedRun(directory.create(self._runs_dir, config), keep_losses=False)
            self._existing.add(part.followed.run)
            part.is_new = True
        return part.followed.run

    def _watch(self, part: Part) -> None:
        followed = part.followed
        assert followed is not None
        # Check before reading, so that everything that the process wrote before its end is read.
        alive = part.worker.is_busy if part.worker is not None else followed.run.state() in LIVE
        followed.read()
        ended = followed.record.ended
        has_ended = ended is not None and ended.attempt > part.attempts_before
        if alive and not (part.together > 1 and ended is not None and has_ended and self._is_final(ended)):
            if not has_ended:
                part.is_paused = part.worker is not None and followed.record.paused
                if self._stopping:
                    self._pass_on_stop(part, followed.run)
            part.device = part.device or existing.device_of(followed)
            return
        if ended is not None and has_ended:
            self._end(part, followed, ended)
        elif part.worker is not None and part.worker.died_idle and followed.run.attempt == part.attempts_before:
            part.state = "waiting"  # it never took the run
        elif part.worker is not None and followed.run.is_at_work:
            if self._is_ours(part, followed.run) is False:  # another program was faster, and trains it
                part.worker, part.slot, part.together = None, None, 1
            # Else its process is gone, or its slot seems to be: that is certain once its lease has run out.
        elif part.worker is None and not self._stopping:
            part.state = "waiting"  # the process that trained it is gone: the run continues here
        elif self._stopping:
            part.state = "stopped"
        elif part.together > 1 and part.worker is not None and part.worker.has_died:
            _halve(part)  # they may have needed too much memory
        elif self._goes_on_elsewhere(part):
            part.state = "waiting"
        elif part.together > 1:
            _halve(part)
        else:
            _leave_out(part, "failed", _cause_of_death(followed.run))

    def _end(self, part: Part, followed: FollowedRun, ended: RunEnded) -> None:
        run_id = followed.run.id
        if followed.record.is_steered:
            _leave_out(part, "failed", Message(N_("run {run} was changed while it trained"), {"run": run_id}))
        elif ended.status == "done":
            part.state = "done"
        elif ended.status != "stopped":
            _leave_out(part, ended.status, _end_message(followed))
        elif self._stopping:
            part.state = "stopped"
        elif self._is_ours(part, followed.run) is False or self._goes_on_elsewhere(part):
            part.state = "waiting"
        else:
            _leave_out(part, "failed", Message("run {run} was stopped", {"run": run_id}))

    def _is_final(self, ended: RunEnded) -> bool:
        """Tell if a run's end is the last word while its group goes on: it may only stop because its slot is to go."""
        return ended.status != "stopped" or self._stopping

    def _is_ours(self, part: Part, run: Run) -> bool | None:
        """Tell if a run's newest attempt is this comparison's, also of a process before this one; None if unknown."""
        newest = lease.read(run.path)
        if newest is None:
            return True if part.worker is not None else None  # nobody has taken it yet, and others let it be
        if not newest.token or newest.attempt <= part.attempts_before:
            return None
        return newest.comparison == self._key

    def _awaits_left_out(self) -> bool:
        """Tell if another program goes on with a run that was left out; one that it has finished counts."""
        is_awaited = False
        for part in self._in_state("left_out"):
            if part.followed is None:
                continue
            state = part.followed.run.state()
            part.followed.read()
            if existing.is_as_planned(part.followed.record):
                is_awaited |= state in LIVE
                if state == "done":
                    part.state, part.status, part.why = "done", "", None
        return is_awaited

    def _goes_on_elsewhere(self, part: Part) -> bool:
        """Tell if a run ended only because its slot did, which has not happened too often."""
        if part.worker is None or not part.worker.is_lost:
            return False
        part.losses_of_slot += 1
        return part.losses_of_slot <= MAX_RETRIES


def _slot_here(part: Part, free: Sequence[Slot]) -> Slot | None:
    """Return the slot of this machine that a run takes which another program trains."""
    here = [slot for slot in free if not slot.node]
    return next((slot for slot in here if slot.device == part.device), here[0] if here else None)


def _is_untouched(part: Part, run: Run) -> bool:
    """Tell if a run was made by this comparison, and no process has taken it yet."""
    return part.is_new and run.attempt == 0 and not run.is_at_work


def _is_certain(part: Part, followed: FollowedRun) -> bool:
    part.is_certain = part.is_certain or lease.is_certain(followed.run.path)
    return part.is_certain


def _halve(part: Part) -> None:
    """Have a run wait to be trained with half as many others."""
    part.state, part.most_together, part.losses_of_slot = "waiting", part.together // 2, 0


def _takes_slot(part: Part) -> bool:
    return part.state == "running" or _is_busy(part)


def _is_busy(part: Part) -> bool:
    """Tell if the process that trains a run has not done its job: it may, for others of its group, or send more."""
    return part.worker is not None and part.worker.is_busy


def _cause_of_death(run: Run) -> Message:
    last = run.log_tail(1)
    if last:
        return Message("run {run} crashed: {reason}", {"run": run.id, "reason": last[0]})
    text = N_("the folder of run {run} was deleted") if run.is_deleted else N_("run {run} was killed")
    return Message(text, {"run": run.id})


def _leave_out(part: Part, status: str, why: Message) -> None:
    part.state, part.status, part.why = "left_out", status, why


def _end_message(followed: FollowedRun) -> Message:
    ended = followed.record.ended
    return ended.message if ended is not None and ended.message is not None else Message("no reason given")
