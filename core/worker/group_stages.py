"""The stages of runs that are trained together: the data once, the training at once, then the test of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from core.data import datasets
from core.data.datasets import Dataset
from core.messages import N_, Message
from core.runs.control import NOTHING, Request
from core.runs.events import Event, Notice, RunEnded
from core.runs.lease import Lost
from core.runs.record import trained_together
from core.training import devices
from core.training.loop import Checkpoint
from core.training.member import Member, on_device
from core.training.together import train_together
from core.worker import stages
from core.worker.carry_out import RunAttempt
from core.worker.stages import Begun, Common

_OTHER_MASKS = N_("on {device}, dropout draws for all these runs at once: other units than it would for the run alone")
_TOO_MANY = N_("{number} runs at once do not fit in the memory: they go on in smaller groups")


def train_and_test_together(attempts: Sequence[RunAttempt]) -> None:
    """Carry out the stages of runs that differ only in their seed. What goes wrong in one of them ends only that one.

    Raises whatever goes wrong in what they do together: then those that have not ended can be gone on with.
    """
    try:
        common = _prepare(attempts)
        if common is None:
            return
        dataset = on_device(common.dataset, common.device)
        begun = [each for attempt in attempts if (each := _Taking.begin(attempt, common, dataset)) is not None]
        for each in begun:
            each.tell_of_others(len(begun))
        by_member = {each.member: each for each in begun}
        for member, event in train_together(list(by_member)):
            by_member[member].take(event)
    except Exception as error:
        problem = devices.out_of_memory(error)
        left = [attempt for attempt in attempts if attempt.ended is None]
        if problem is None or not left:
            raise
        if len(left) == 1:
            left[0].do(partial(_raise, problem))
            return
        for attempt in left:
            attempt.do(partial(_emit, attempt, Notice(message=Message(_TOO_MANY, {"number": len(left)}))))
        raise problem from error


def _prepare(attempts: Sequence[RunAttempt]) -> Common | None:
    """Load the data for all runs; return None if all were stopped meanwhile, or if that fails and so they all do."""

    def emit(event: Event) -> None:
        for attempt in attempts:
            if attempt.ended is None:
                attempt.do(partial(_emit, attempt, event))

    def should_stop() -> bool:
        for attempt in attempts:
            if attempt.ended is None:
                attempt.do(partial(_stop_if_asked, attempt))
        return all(attempt.ended is not None for attempt in attempts)

    try:
        past = stages.past_of(attempts[0].run, attempts[0].held)
        return stages.prepare(attempts[0].run, past, emit, should_stop)
    except datasets.Cancelled:
        return None
    except Exception as error:
        for attempt in attempts:
            if attempt.ended is None:
                attempt.do(partial(_raise, error))
        return None


class _Taking:
    """One of the runs, which takes what the training of all of them brings for it."""

    def __init__(self, attempt: RunAttempt, begun: Begun, dataset: Dataset) -> None:
        """Make the run a member. Raises `Problem` if its checkpoint does not fit."""
        self._attempt, self._begun = attempt, begun
        self.member = Member(
            begun.network,
            dataset,
            begun.helm.take(),
            begun.common.device,
            resume_from=begun.checkpoint,
            save=self._save,
            look=self._look,
        )

    @classmethod
    def begin(cls, attempt: RunAttempt, common: Common, dataset: Dataset) -> _Taking | None:
        """Begin a run; return None if it has ended instead."""
        made: list[_Taking] = []

        def part() -> None:
            run, held, emit, inbox = attempt.run, attempt.held, attempt.emit, attempt.inbox
            begun = stages.begin(run, held, emit, inbox, stages.past_of(run, held), common)
            made.append(cls(attempt, begun, dataset))

        if attempt.ended is None:
            _do(attempt, part)
        return made[0] if made else None

    def tell_of_others(self, number: int) -> None:
        """Say in the run's events that it is trained together with others, `number` in all."""
        messages = [trained_together(number)]
        config, device = self._begun.started.config, self._begun.common.device
        if config.dropout and device.type != "cpu":
            messages.append(Message(_OTHER_MASKS, {"device": str(device)}))
        for message in messages:
            self._do(partial(_emit, self._attempt, Notice(message=message)))

    def take(self, event: Event | None) -> None:
        """Write an event of the training, and test the network after the last."""
        if event is None:
            self._do(partial(stages.finish, self._begun))
        elif isinstance(event, RunEnded):
            self._do(lambda: event)
        else:
            self._do(partial(_emit, self._attempt, self._begun.helm.marked(event)))

    def _do(self, part: Callable[[], RunEnded | None]) -> None:
        if self._attempt.ended is None:
            _do(self._attempt, part)
        if self._attempt.ended is not None:
            self.member.leave()

    def _look(self, epoch: int, step: int) -> Request:
        asked = NOTHING

        def part() -> None:
            nonlocal asked
            asked = self._begun.helm.look(epoch, step)

        self._do(part)
        return asked

    def _save(self, state: Checkpoint) -> None:
        """Save a checkpoint, unless the run is no longer ours. Raises `OSError`."""
        try:
            self._begun.save(state)
        except Lost as lost:
            self._do(partial(_raise, lost))


def _do(attempt: RunAttempt, part: Callable[[], RunEnded | None]) -> None:
    """Do a part of one run's work. What it raises ends that run, but for a full memory, which is raised for all."""
    full: list[Exception] = []

    def guarded() -> RunEnded | None:
        try:
            return part()
        except Exception as error:
            if devices.out_of_memory(error) is None:
                raise
            full.append(error)
            return None

    attempt.do(guarded)
    if attempt.ended is not None and attempt.ended.status == "stopped":
        attempt.held.release()  # it can be gone on with elsewhere, while the others train
    if full:
        raise full[0]


def _emit(attempt: RunAttempt, event: Event) -> None:
    attempt.emit(event)


def _raise(error: Exception) -> None:
    raise error


def _stop_if_asked(attempt: RunAttempt) -> RunEnded | None:
    return RunEnded(status="stopped") if attempt.inbox.should_stop() else None
