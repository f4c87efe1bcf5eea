"""Several runs trained at once, each as if alone: its own batches and events, and its own steps up to rounding.

The runs differ in their seed only. Those that are as far as each other take their steps together; one that lags behind,
because its last checkpoint is older or it was paused, catches up first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from core.runs.control import NOTHING
from core.runs.events import Event, RunEnded, SettingsChanged
from core.training.loop import CHECKPOINT_INTERVAL_S, HOLD_LOOK_S, LOSS_NOT_FINITE, PARAMETERS_NOT_FINITE, diverged
from core.training.member import Member, StackedTraining
from core.training.meter import CHECKPOINT_SHARE, PROGRESS_INTERVAL_S

MAX_TELLING_SHARE = 0.02
"""Most of the time that reports of all runs take: with many runs they are rarer than ten times a second."""
MIN_SHARE_PRESENT = 0.75
"""Least share of the stacked runs that still take part: with fewer, the others are stacked anew."""
MAX_INTERVAL_S = 2.0
"""Greatest time between two reports, as somebody may wait for an answer."""


def train_together(members: Sequence[Member]) -> Iterator[tuple[Member, Event | None]]:
    """Train all members and yield the events of each; None once its training is over and its network can be tested.

    A member leaves before that with its `RunEnded`, or without a word if the caller makes it `leave`. The members are
    of one dataset, on one device, and have the same settings but for the seed.
    """
    yield from _Group(members).train()


class _Group:
    def __init__(self, members: Sequence[Member]) -> None:
        self._members = list(members)
        for member in members[1:]:
            member.share_validation(members[0])
        self._stack: StackedTraining | None = None
        self._next_report = time.perf_counter()
        self._last_saved = time.perf_counter()
        self._save_cost = 0.0

    def train(self) -> Iterator[tuple[Member, Event | None]]:
        while self._present():
            for member in self._present():
                if member.is_over(member.epoch):
                    yield from self._finish(member)
            ready = [member for member in self._present() if not member.is_paused]
            if not ready:
                yield from self._look_at_paused()
                time.sleep(HOLD_LOOK_S)
                continue
            at = min(member.position for member in ready)
            active = [member for member in ready if member.position == at]
            later = [step for epoch, step in (member.position for member in ready) if epoch == at[0] and step > at[1]]
            self._count_time_of(active)
            until = min(later, default=active[0].num_steps)
            yield from self._take_steps(active, until)
            if any(member.step_done == member.num_steps for member in active):
                yield from self._end_epoch([member for member in active if not member.has_left])

    def _present(self) -> list[Member]:
        self._members = [member for member in self._members if not member.has_left]
        return list(self._members)

    def _take_steps(self, active: list[Member], until: int) -> Iterator[tuple[Member, Event]]:
        """Take the steps up to `until`, or until a member leaves, pauses or changes its learning rate."""
        first = active[0].step_done
        stack = self._stacked(active)
        orders = stack.orders()
        losses = torch.zeros(until - first, len(stack.members), device=orders.device)
        reported = first
        for step in range(first + 1, until + 1):
            losses[step - first - 1] = stack.step(orders, step)
            if step < until and time.perf_counter() < self._next_report:
                continue
            if step == active[0].num_steps:
                for member in active:
                    member.draw_ahead()
            new = losses[reported - first : step - first].t().tolist()  # waits for the device, once for all
            began = time.perf_counter()
            for member, own in zip(stack.members, new, strict=True):
                member.step_done = step
                member.meter.add_all(reported + 1, own)
            if step == active[0].num_steps:
                for member, is_finite in zip(stack.members, stack.are_finite(), strict=True):
                    member.ends_finite = is_finite
            reported = step
            lrs = [member.lr for member in active]
            for member in active:
                yield from self._report(member)
            yield from self._save_where_due(active)
            yield from self._look_at_paused()
            cost = time.perf_counter() - began
            self._next_report = began + max(PROGRESS_INTERVAL_S, min(MAX_INTERVAL_S, cost / MAX_TELLING_SHARE))
            if lrs != [member.lr for member in active]:
                self._unstack()
            at = active[0].position
            to_catch_up = [each for each in self._present() if not each.is_paused and each.position <= at]
            if to_catch_up != active or self._stack is None:
                return

    def _report(self, member: Member) -> Iterator[tuple[Member, Event]]:
        """Report the new losses of a member, and do what is asked of it."""
        if member.has_left:
            return
        epoch, step = member.position
        progress = member.meter.progress(epoch, step)
        yield member, progress
        if progress.loss is None:
            yield member, diverged(LOSS_NOT_FINITE, epoch, progress.step)
            member.leave()
            return
        member.asked = member.look(epoch, step)
        if member.asked is not NOTHING:
            for event in member.change(epoch, step, member.asked):
                yield member, event

    def _save_where_due(self, active: Sequence[Member]) -> Iterator[tuple[Member, Event]]:
        """Save checkpoints within an epoch: of all members if they are due, and of those that are to halt."""
        is_due = self._save_is_due(CHECKPOINT_INTERVAL_S)
        began = time.perf_counter()
        for member in active:
            halts = member.asked.stop or bool(member.asked.paused)
            if member.has_left or not (is_due or halts) or member.step_done == member.num_steps:
                continue
            yield from self._save(member)
            if halts:
                yield from self._halt(member)
        if is_due:
            self._last_saved = time.perf_counter()
            self._save_cost = self._last_saved - began

    def _save(self, member: Member) -> Iterator[tuple[Member, Event]]:
        for event in member.checkpoint(*member.position, member.save):
            yield member, event

    def _halt(self, member: Member) -> Iterator[tuple[Member, Event]]:
        """Let a member end or pause, as it was asked to, after its checkpoint."""
        if member.has_left:
            return
        if member.asked.stop:
            yield member, RunEnded(status="stopped")
            member.leave()
        elif member.asked.paused:
            member.is_paused, member.idle_since = True, time.perf_counter()
            yield member, SettingsChanged(epoch=member.epoch, step=member.step_done, paused=True)

    def _look_at_paused(self) -> Iterator[tuple[Member, Event]]:
        """Let the paused members that are asked to go on do so, or end."""
        for member in self._present():
            if not member.is_paused:
                continue
            epoch, step = member.position
            asked = member.look(epoch, step)
            if asked.stop:
                member.asked = asked
                yield from self._halt(member)
                continue
            if not asked.paused:
                member.is_paused = False
                yield member, SettingsChanged(epoch=epoch, step=step, paused=False)
            for event in member.change(epoch, step, asked):
                yield member, event

    def _end_epoch(self, active: Sequence[Member]) -> Iterator[tuple[Member, Event]]:
        """Report the end of an epoch, validate, and save checkpoints where they are due."""
        for member in active:
            epoch, step = member.position
            yield member, member.meter.epoch_ended(epoch)
            if not member.ends_finite:
                yield member, diverged(PARAMETERS_NOT_FINITE, epoch, step)
                member.leave()
        for member in active:
            if member.has_validation and not member.has_left:
                with self._time_of_no_other(member, active):
                    yield member, member.validate(member.epoch)
        is_due = self._save_is_due()
        began = time.perf_counter()
        for member in active:
            halts = member.asked.stop or bool(member.asked.paused)
            if member.has_left:
                continue
            if is_due or halts or member.is_over(member.epoch + 1):
                yield from self._save(member)
            if halts:
                yield from self._halt(member)
            member.end_of_epoch()
        if is_due:
            self._last_saved = time.perf_counter()
            self._save_cost = self._last_saved - began

    def _save_is_due(self, interval_s: float = 0.0) -> bool:
        wait = max(interval_s, self._save_cost / CHECKPOINT_SHARE)
        return time.perf_counter() - self._last_saved >= wait

    def _finish(self, member: Member) -> Iterator[tuple[Member, Event | None]]:
        for event in member.restore_best(member.epoch - 1):
            yield member, event
        if not member.has_left:
            yield member, None
        member.leave()

    def _count_time_of(self, active: Sequence[Member]) -> None:
        """Let no time pass for those that wait."""
        now = time.perf_counter()
        for member in self._members:
            if member not in active:
                member.idle_since = member.idle_since or now
            elif member.idle_since is not None:
                member.meter.exclude(now - member.idle_since)
                member.idle_since = None

    @contextmanager
    def _time_of_no_other(self, member: Member, others: Sequence[Member]) -> Iterator[None]:
        """Exclude what happens inside from the training time of the others."""
        began = time.perf_counter()
        yield
        seconds = time.perf_counter() - began
        for other in others:
            if other is not member:
                other.meter.exclude(seconds)

    def _stacked(self, active: list[Member]) -> StackedTraining:
        """Return the stack of these members. Some that have left may still be in it, where they disturb nobody.

        A new one costs more than they do as long as they are few, and rounds other numbers.
        """
        members = [] if self._stack is None else self._stack.members
        present = [member for member in members if not member.has_left]
        if self._stack is None or present != active or len(present) < MIN_SHARE_PRESENT * len(members):
            self._unstack()
            self._stack = StackedTraining(active)
        return self._stack

    def _unstack(self) -> None:
        if self._stack is not None:
            self._stack.release()
        self._stack = None
