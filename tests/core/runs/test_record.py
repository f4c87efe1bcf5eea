"""The fold of a run's events against a plain recount, and the tail of a run's events against the whole."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.messages import Message
from core.runs import directory, events
from core.runs.directory import FollowedRun, Run
from core.runs.events import (
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Notice,
    Progress,
    RunEnded,
    RunStarted,
    Status,
    Validated,
    encode,
)
from core.runs.record import Record
from tests.core.runs.run_files import claim, new_run, write
from tests.recorded import started

# Streams of events, as the training loop and its crashes leave them


@dataclass
class Training:
    """A run trained by one process after another, each of which may crash or end at any event."""

    draw: st.DrawFn
    config: RunConfig
    steps: int
    """Number of batches per epoch."""
    written: list[Event] = field(default_factory=list)
    checkpoint: tuple[int, int, float] | None = None
    """Epoch, step and training time of the newest checkpoint."""
    clock: float = 1.0
    attempts: int = 0
    """Number of processes so far."""

    def attempt(self) -> bool:
        """Train on from the checkpoint, and return whether the run can then be resumed."""
        self.clock += 1
        self.attempts += 1
        left = self.draw(st.one_of(st.integers(0, 6), st.integers(0, 60)))  # events until the process is killed
        for event in self._events():
            if left == 0:
                return True
            left -= 1
            self.clock += 0.125
            self.written.append(msgspec.structs.replace(event, time=self.clock, attempt=self.attempts))
        last = self.written[-1]
        return isinstance(last, RunEnded) and last.status in ("stopped", "failed")

    def _events(self) -> Iterator[Event]:
        if self.draw(st.booleans()):
            yield Notice(message=Message("downloading"), fraction=0.5)
        if self._happens(12):
            yield RunEnded(status="failed", message=Message("no data"))
            return
        epoch, step, elapsed = self.checkpoint or (1, 0, 0.0)
        yield started(self.config, steps_per_epoch=self.steps, epoch=epoch, step=step)
        if step == self.steps:
            epoch, step = epoch + 1, 0
        while epoch <= self.config.epochs:
            for end in self._ends(step):
                losses = [self.draw(st.floats(0, 10, width=32)) for _ in range(end - step)]
                step, elapsed = end, elapsed + 0.5
                if outcome := self._outcome():
                    yield from self._early_end(outcome, epoch, step, losses, elapsed)
                    return
                yield self._progress(epoch, step, losses, elapsed)
                if step < self.steps and self._happens(3):
                    yield self._saved(epoch, step, elapsed)
                elif self._happens(8):
                    yield Notice(message=Message("the disk is full"))
            yield EpochEnded(epoch=epoch, loss=self.draw(st.floats(0, 10)), seconds=0.5)
            if self.config.validate:
                yield Validated(epoch=epoch, loss=self.draw(st.none() | st.floats(0, 10)), accuracy=epoch / 100)
            if epoch == self.config.epochs or self._happens(2):
                yield self._saved(epoch, self.steps, elapsed)
            epoch, step = epoch + 1, 0
        correct = self.draw(st.integers(0, 1000))
        yield Evaluated(correct=correct, total=1000, accuracy=correct / 1000, test_loss=0.5, confusion=())
        status: Status = "failed" if self._happens(5) else "done"
        yield RunEnded(status=status, message=Message("no room") if status == "failed" else None)

    def _happens(self, one_in: int) -> bool:
        return self.draw(st.integers(1, one_in)) == one_in

    def _ends(self, first: int) -> list[int]:
        """Return the steps at which progress is reported: some, and always the last of the epoch."""
        between = st.sets(st.integers(first + 1, self.steps - 1)) if first + 1 < self.steps else st.just(set[int]())
        return [*sorted(self.draw(between)), self.steps]

    def _outcome(self) -> Status | None:
        return self.draw(st.sampled_from(("stopped", "diverged", "failed"))) if self._happens(25) else None

    def _early_end(self, status: Status, epoch: int, step: int, losses: list[float], elapsed: float) -> Iterator[Event]:
        if status == "diverged":
            yield self._progress(epoch, step, [*losses[:-1], None], elapsed)
        elif status == "stopped":
            yield self._progress(epoch, step, losses, elapsed)
            yield self._saved(epoch, step, elapsed)
        yield RunEnded(status=status, message=None if status == "stopped" else Message(f"it {status}"))

    def _progress(self, epoch: int, step: int, losses: list[float] | list[float | None], elapsed: float) -> Progress:
        loss = None if None in losses else 1.5
        speed = float(self.draw(st.integers(1, 10_000)))
        return Progress(epoch=epoch, step=step, loss=loss, losses=tuple(losses), images_per_s=speed, elapsed_s=elapsed)

    def _saved(self, epoch: int, step: int, elapsed: float) -> CheckpointSaved:
        """Save the checkpoint before reporting it: the process may die in between."""
        self.checkpoint = epoch, step, elapsed
        return CheckpointSaved(epoch=epoch, step=step)


@st.composite
def trainings(draw: st.DrawFn) -> Training:
    config = RunConfig(
        epochs=draw(st.integers(1, 4)), batch_size=64, seed=1, dataset="auto", validate=draw(st.booleans())
    )
    training = Training(draw, config, draw(st.integers(1, 6)))
    for _ in range(draw(st.integers(0, 4))):
        if not training.attempt():
            break
    return training


# The recount


class Recount:
    """The same answers computed from all the events, each on its own, the slow way."""

    def __init__(self, written: list[Event]) -> None:
        self._starts = [i for i, event in enumerate(written) if isinstance(event, RunStarted)]
        self._last = written[self._starts[-1] :] if self._starts else written
        """Events from the newest start on."""
        self._written = written

    @property
    def started(self) -> RunStarted | None:
        first = self._last[0] if self._starts else None
        return first if isinstance(first, RunStarted) else None

    @property
    def evaluated(self) -> Evaluated | None:
        return next((event for event in reversed(self._last) if isinstance(event, Evaluated)), None)

    @property
    def ended(self) -> RunEnded | None:
        return next((event for event in reversed(self._last) if isinstance(event, RunEnded)), None)

    @property
    def position(self) -> tuple[int, int]:
        if self.started is None:
            return 0, 0
        if self.evaluated is not None:
            return self.started.config.epochs, self.started.steps_per_epoch
        told = [event for event in self._last if isinstance(event, Progress | RunStarted)]
        return told[-1].epoch, told[-1].step

    @property
    def done_steps(self) -> int:
        if self.started is None:
            return 0
        epoch, step = self.position
        return sum(self.started.steps_per_epoch for _ in range(1, epoch)) + step

    @property
    def share(self) -> float:
        return self.done_steps / (self.started.config.epochs * self.started.steps_per_epoch) if self.started else 0.0

    @property
    def seconds_left(self) -> float | None:
        told = [event for event in self._last if isinstance(event, Progress)]
        if self.started is None or not told:
            return None
        batches = self.started.config.epochs * self.started.steps_per_epoch - self.done_steps
        return batches * 64 / told[-1].images_per_s

    def losses(self) -> dict[int, float | None]:
        """Return the loss of each batch as last trained, counted from 0 over the whole run."""
        found: dict[int, float | None] = {}
        steps = self.started.steps_per_epoch if self.started else 0
        for event in self._written:
            if isinstance(event, RunStarted):
                begin = (event.epoch - 1) * steps + event.step
                found = {step: loss for step, loss in found.items() if step < begin}
            elif isinstance(event, Progress):
                end = (event.epoch - 1) * steps + event.step
                found |= dict(zip(range(end - len(event.losses), end), event.losses, strict=True))
        return found

    def epochs(self) -> list[EpochEnded]:
        return [event for event in self._per_epoch() if isinstance(event, EpochEnded)]

    def validations(self) -> list[Validated]:
        return [event for event in self._per_epoch() if isinstance(event, Validated)]

    def _per_epoch(self) -> list[EpochEnded | Validated]:
        """Return the events of epochs that no later start repeated."""
        kept = []
        for i, event in enumerate(self._written):
            if isinstance(event, EpochEnded | Validated):
                later = [start for start in self._written[i:] if isinstance(start, RunStarted)]
                if all((start.epoch, start.step) >= (event.epoch, start.steps_per_epoch) for start in later):
                    kept.append(event)
        return kept


def folded(written: list[Event]) -> Record:
    record = Record()
    record.apply(written)
    return record


@settings(max_examples=300, deadline=None)
@given(trainings())
def test_the_fold_is_the_plain_recount(training: Training) -> None:
    record, recount = folded(training.written), Recount(training.written)
    assert record.started == recount.started
    assert (record.position, record.done_steps) == (recount.position, recount.done_steps)
    assert record.share == recount.share
    assert record.seconds_left == pytest.approx(recount.seconds_left)
    assert (record.evaluated, record.ended) == (recount.evaluated, recount.ended)
    assert list(record.epochs) == recount.epochs()
    assert list(record.epoch_losses) == [event.loss for event in recount.epochs()]
    assert list(record.epoch_seconds) == [event.seconds for event in recount.epochs()]
    assert list(record.validations) == recount.validations()


@settings(max_examples=300, deadline=None)
@given(trainings())
def test_the_curves_are_the_plain_recount(training: Training) -> None:
    history, recount = folded(training.written).history, Recount(training.written)
    end = training.config.epochs * training.steps
    edges = range(end + 1)
    losses = recount.losses()
    finite = [losses.get(step) for step in range(end)]
    assert [column and column.mean for column in history.batches.columns(edges)] == finite
    assert history.batches.gaps(edges) == [step for step, loss in losses.items() if loss is None]
    last_steps = {event.epoch * training.steps - 1: event.loss for event in recount.epochs()}
    expected = [last_steps.get(step) for step in range(end)]
    assert [column and column.mean for column in history.epochs.columns(edges)] == expected
    accuracies = {event.epoch * training.steps - 1: event.accuracy for event in recount.validations()}
    expected = [accuracies.get(step) for step in range(end)]
    assert [column and column.mean for column in history.accuracy.columns(edges)] == expected


@settings(max_examples=100, deadline=None)
@given(trainings())
def test_the_status_is_that_of_the_newest_attempt(training: Training) -> None:
    record = folded(training.written)
    last = [event for event in training.written if event.attempt == training.attempts][-1:]
    expected = [event.status for event in last if isinstance(event, RunEnded)]
    assert record.status(training.attempts) == (expected[0] if expected else None)


# The tail


@contextmanager
def on_disk(training: Training) -> Iterator[Run]:
    """Yield a run directory with these events and a dead process; hypothesis would share a fixture among examples."""
    folder = Path(tempfile.mkdtemp())
    try:
        run = new_run(folder, **msgspec.structs.asdict(training.config))
        run.events_path.write_bytes(b"".join(map(encode, training.written)))
        if training.attempts:
            claim(run, attempt=training.attempts, lives=False)
        yield run
    finally:
        shutil.rmtree(folder)


@settings(max_examples=200, deadline=None)
@given(trainings(), st.sampled_from([1, 120, 300, 900, 2500, 1 << 16]))
def test_the_tail_says_what_the_whole_says(training: Training, span: int) -> None:
    """The list of runs shows the same, however little of a run's file is read."""
    with on_disk(training) as run, pytest.MonkeyPatch.context() as patch:
        whole = FollowedRun(run)
        whole.read()
        summary_of_whole = run.summary()
        patch.setattr(directory, "last_events", lambda path: events.last_events(path, span))
        tail = run.tail()
        assert run.summary() == summary_of_whole
        assert (tail.position, tail.done_steps, tail.share) == (
            whole.record.position,
            whole.record.done_steps,
            whole.record.share,
        )
        recount = Recount(training.written)
        assert summary_of_whole.epoch == recount.position[0]
        assert summary_of_whole.accuracy == (recount.evaluated.accuracy if recount.evaluated else None)
        assert summary_of_whole.message == (recount.ended.message if recount.ended else None)
        assert summary_of_whole.dataset == ("sample" if recount.started else "auto")


# Individual cases


def crashed_and_resumed() -> list[Event]:
    """Return the events of a run with 63 steps per epoch that crashed in epoch 3 and resumes at epoch 2, step 10."""
    start = started(RunConfig(epochs=5, seed=1, dataset="sample"))
    before = [
        Progress(epoch=epoch, step=step, loss=1.0, losses=(1.0,) * step, images_per_s=100.0, elapsed_s=float(epoch))
        for epoch, step in ((1, 63), (2, 63), (3, 50))
    ]
    return [start, *before, msgspec.structs.replace(start, epoch=2, step=10)]


def test_a_resumed_run_is_where_it_goes_on(tmp_path: Path) -> None:
    """It must not show the position that it had reached before it crashed."""
    run = new_run(tmp_path, epochs=5, dataset="sample")
    write(run, *crashed_and_resumed())
    record = folded(crashed_and_resumed())
    assert (record.position, record.done_steps, record.total_steps) == ((2, 10), 73, 315)
    assert run.tail().done_steps == 73
    assert run.summary().epoch == 2


def test_an_epoch_that_a_crash_repeats_is_read_once() -> None:
    first = started(RunConfig(epochs=3, validate=True), steps_per_epoch=10)
    record = Record()
    for attempt, value in ((first, 3.0), (msgspec.structs.replace(first, epoch=1, step=10), 2.0)):
        record.apply([attempt])
        for epoch in range(1 if attempt is first else 2, 3):
            record.apply([EpochEnded(epoch=epoch, loss=value, seconds=1)])
            record.apply([Validated(epoch=epoch, loss=value, accuracy=0.5)])
    assert [event.loss for event in record.validations] == [event.loss for event in record.epochs] == [3.0, 2.0]


def test_the_validation_points_are_bounded() -> None:
    history = Record().history
    for epoch in range(10_000):
        history.add_validation(10 * epoch, math.nan if epoch == 5 else 1.0, 0.9)
    assert len(history.validation) <= 4096
