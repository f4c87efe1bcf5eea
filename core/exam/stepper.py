"""The exam's program, executed step by step in a thread of its own."""

from __future__ import annotations

import queue
from collections.abc import Callable
from threading import Thread
from typing import Any

import torch

from core.exam import seen
from core.exam.program import SEED, line_of, program
from core.exam.program_data import ProgramData
from core.exam.seen import BatchReader, BeforeStep
from core.exam.steps import BatchSeen, GradientSeen, LossSeen, Made, ProgramStop, StepAction, StepSeen
from core.exam.torch_state import TorchState, begin
from core.exam.tracing import Left, TracedProgram, unseen
from core.messages import Message, Problem

_POLL_S = 0.05
_LEAVE_S = 10.0


class Stepper:
    """A program that waits before a statement, and goes on as far as it is told to.

    Between two steps torch's generator and its settings are as others left them: what the program draws and computes
    depends on its own seed alone.
    """

    def __init__(self, model: str, data: ProgramData, num_threads: int) -> None:
        """Take the program to its first statement. Raises `Problem`."""
        self.source = program(model)
        self._data = data
        self._num_threads = num_threads
        self._traced = TracedProgram(self.source, data.root, self._look)
        self._statements = self._traced.statements
        self._lines = _Lines(self.source)
        self._action: StepAction = "line"
        self._is_interrupted = self._is_left = False
        self._commands: queue.SimpleQueue[StepAction] = queue.SimpleQueue()
        self._stops: queue.SimpleQueue[ProgramStop] = queue.SimpleQueue()
        self._made: dict[int, Made] = {}
        self._executed = 0
        self._num_printed = 0
        """Lines that it had printed when it was told to go on."""
        self._epoch = self._batch = self._num_batches = 0
        self._num_added = 0
        """Batches whose losses are in the running loss."""
        self._before_step: BeforeStep | None = None
        self._norm_before: float | None = None
        """What the statement in progress will change, as it was."""
        self._batches = BatchReader()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self.stop: ProgramStop = self._next_stop(lambda: None)
        """Where the program has stopped."""

    def go(
        self, action: StepAction, is_wanted: Callable[[], bool], tell: Callable[[int, int, int, int], None]
    ) -> ProgramStop:
        """Go on to the next statement, batch or epoch, or to the end; return where the program stops.

        It stops earlier, after a whole batch, once something else `is_wanted`. `tell` is told where it is meanwhile:
        the epoch, how many there are, the batch, and how many there are. Raises `Problem`.
        """
        if self.stop.is_over:
            return self.stop

        def meanwhile() -> None:
            self._is_interrupted = self._is_interrupted or is_wanted()
            tell(self._epoch, self._num_epochs, self._batch, self._num_batches)

        self._commands.put(action)
        self.stop = self._next_stop(meanwhile)
        return self.stop

    def _next_stop(self, meanwhile: Callable[[], None]) -> ProgramStop:
        """Wait for the program to stop. Raises `Problem` if it has gone without a word."""
        while True:
            is_alive = self._thread.is_alive()  # asked first: the last stop is told before the end
            try:
                return self._stops.get(timeout=_POLL_S)
            except queue.Empty:
                if not is_alive:
                    raise Problem("the program has ended unexpectedly") from None
                meanwhile()

    def leave(self) -> None:
        """End the program where it is. Raises `Problem` if the statement in progress does not end."""
        self._is_left = True
        self._commands.put("leave")
        self._thread.join(_LEAVE_S)
        if self._thread.is_alive():
            raise Problem("the program does not end: line {line} is still being executed", line=self._executed)

    # In the program's thread

    def _run(self) -> None:
        """Execute the program; whatever happens, tell that it is over."""
        stop = self._nothing_seen(None)
        try:
            stop = self._executed_to_its_end()
        except Exception as error:
            stop = self._nothing_seen(self._traced.fault or unseen(error))
        finally:
            self._stops.put(stop)

    def _executed_to_its_end(self) -> ProgramStop:
        torch.set_num_threads(self._num_threads)
        self._others = TorchState.now()
        try:
            begin(SEED)
            self._traced.run()
            if self._traced.fault is None and not self._is_left:
                self._finish(0, self._traced.names)
        finally:
            self._others.restore()
        return self._stopped(0)

    def _look(self, line: int, names: dict[str, Any]) -> None:
        """Look at what the last statement made; before the next one, wait if the program is to stop there."""
        if self._is_left:
            raise Left
        self._count(line, names)
        self._finish(line, names)
        if self._stops_at(line):
            self._wait(line)
        self._executed = line
        self._prepare(line, names)

    def _wait(self, line: int) -> None:
        own = TorchState.now()
        self._others.restore()
        self._stops.put(self._stopped(line))
        self._action = self._commands.get()
        self._others = TorchState.now()
        if self._action == "leave":
            raise Left
        self._is_interrupted = False
        self._num_printed = len(self._traced.printed)
        torch.set_num_threads(self._num_threads)
        own.restore()

    def _count(self, line: int, names: dict[str, Any]) -> None:
        """Keep count of epochs and batches, before the statement at `line`."""
        self._epoch = names["epoch"] + 1 if "epoch" in names else 0
        head = self._statements.loop_around(line)
        if self._has_begun_batch(line):
            self._batch += 1
        elif head and head != self._statements.loop_around(self._executed):
            self._batch, self._num_batches = 0, len(names[self._statements.loaders[head]])
        if self._executed == self._lines.add:
            self._num_added = self._batch
        elif line == self._lines.reset:
            self._num_added = 0

    def _has_begun_batch(self, line: int) -> bool:
        """Tell if the last statement was the head of a loop, and has found another batch."""
        return self._executed != line and line in self._statements.loops.get(self._executed, ())

    def _stops_at(self, line: int) -> bool:
        is_at_batch = line in self._statements.loops
        if self._is_interrupted and self._action in ("epoch", "end"):
            if not self._statements.loop_around(line) or (is_at_batch and self._is_last):
                return True
            if is_at_batch:  # go through one more batch, of which everything is seen
                self._action = "batch"
                return False
        match self._action:
            case "batch":
                return is_at_batch
            case "epoch":
                return len(self._traced.printed) > self._num_printed
            case "end":
                return False
        return True

    @property
    def _is_last(self) -> bool:
        return self._batch >= self._num_batches

    def _is_watched(self, line: int) -> bool:
        """Tell if what a statement makes will be seen: of a loop that runs on, only its last batch."""
        runs_on = self._action in ("epoch", "end") and self._statements.loop_around(line)
        return not runs_on or self._is_last

    def _prepare(self, line: int, names: dict[str, Any]) -> None:
        """Keep what the statement at `line` will change."""
        self._before_step, self._norm_before = None, None
        if not self._is_watched(line):
            return
        if line == self._lines.step:
            self._before_step = BeforeStep.of(names["model"])
        elif line in (self._lines.zero_grad, self._lines.backward):
            self._norm_before = seen.gradient_norm(names["model"])

    def _finish(self, next_line: int, names: dict[str, Any]) -> None:
        """Keep what the statement that was executed has made."""
        line = self._executed
        is_exhausted = line in self._statements.loops and not self._has_begun_batch(next_line)
        if not line or is_exhausted or not self._is_watched(line):
            return
        given = self._statements.names[line]
        self._made[line] = Made(
            line=line,
            epoch=self._epoch,
            batch=self._batch if self._statements.loop_around(line) else 0,
            names=tuple(seen.named(name, names[name]) for name in given if name in names),
            seen=self._seen(line, names),
            printed=self._traced.printed[-1] if line in self._lines.prints else "",
        )

    def _seen(self, line: int, names: dict[str, Any]) -> BatchSeen | LossSeen | GradientSeen | StepSeen | None:
        if loader := self._statements.loaders.get(line):
            return self._batches.read(names["images"], names["labels"], names[loader].dataset)
        if line == self._lines.loss:
            return seen.loss_seen(names["outputs"], names["labels"], names["loss"])
        if line in (self._lines.zero_grad, self._lines.backward):
            return seen.gradient_seen(names["model"], self._norm_before)
        if self._before_step is not None:
            return self._before_step.seen(names["model"], names["optimizer"])
        return None

    def _stopped(self, line: int) -> ProgramStop:
        """Return the program as it has stopped before the statement at `line`, or at its end."""
        running_loss = self._traced.names.get("running_loss", 0.0)
        return ProgramStop(
            line=line,
            last_line=self._executed,
            epoch=self._epoch,
            num_epochs=self._num_epochs,
            batch=self._batch,
            num_batches=self._num_batches,
            made=tuple(self._made[each] for each in sorted(self._made)),
            printed=tuple(self._traced.printed),
            mean=running_loss / self._num_added if self._num_added else None,
            dataset=self._data.name,
            fault=self._traced.fault,
        )

    def _nothing_seen(self, fault: Message | None) -> ProgramStop:
        """Return the program at its end, where nothing can be told of it."""
        return ProgramStop(0, self._executed, 0, 0, 0, 0, (), tuple(self._traced.printed), None, self._data.name, fault)

    @property
    def _num_epochs(self) -> int:
        return int(self._traced.names.get("num_epochs", 0))


class _Lines:
    """The lines of the statements that there is more to see of than variables."""

    def __init__(self, source: str) -> None:
        self.reset = line_of(source, "running_loss =")
        self.zero_grad = line_of(source, "optimizer.zero_grad")
        self.loss = line_of(source, "loss =")
        self.backward = line_of(source, "loss.backward")
        self.step = line_of(source, "optimizer.step")
        self.add = line_of(source, "running_loss +=")
        self.prints = (line_of(source, "print("), line_of(source, "print(", 3))
