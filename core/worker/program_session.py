"""The exam's program, executed for a dashboard: step by step, or whole, beside a changed one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch

from core.exam.program import change
from core.exam.program_data import ProgramFolders
from core.exam.stepper import Stepper
from core.exam.steps import Outcome
from core.exam.trials import outcome
from core.messages import Message, Problem
from core.worker.protocol import ChangeTried, ProgramAnswer, Stepped, StepProgram, TryChange

Tell = Callable[[Message, float], None]
_TELL_S = 0.2
"""Minimum seconds between two messages about the progress."""


class ProgramSession:
    """The program of a dashboard, which waits between two requests where it has stopped.

    `is_wanted` tells that another request has come, which interrupts the program.
    """

    def __init__(self, is_wanted: Callable[[], bool]) -> None:
        self._is_wanted = is_wanted
        self._folders = ProgramFolders()
        self._stepper: Stepper | None = None
        self._told_s = 0.0

    def answer(self, request: StepProgram | TryChange, tell: Tell) -> ProgramAnswer:
        """Answer a request, with the number of threads that torch has now. Raises `Problem`."""
        threads = torch.get_num_threads()
        try:
            if isinstance(request, TryChange):
                return self._tried(request, tell)
            return self._stepped(request, tell)
        finally:
            torch.set_num_threads(threads)  # the program's thread may have had others

    def close(self) -> None:
        """End the program, and remove the data that were written for it. Raises `Problem` if it does not end."""
        try:
            self._leave()
        finally:
            self._folders.close()

    def remove_written(self) -> None:
        """Remove the data that were written for the program; the process ends."""
        self._folders.close()

    def _leave(self) -> None:
        if self._stepper is not None:
            self._stepper.leave()
            self._stepper = None

    def _stepped(self, request: StepProgram, tell: Tell) -> Stepped:
        if request.action == "leave":
            self.close()
            return Stepped(request, None)
        if request.action == "start":
            self._leave()
            self._stepper = Stepper(request.model, self._folders.of(Path(request.data_dir)), torch.get_num_threads())
        if self._stepper is None:
            raise Problem("the program has not been started")
        if request.action in ("start", "stop"):
            return Stepped(request, self._stepper.stop)

        def where(epoch: int, num_epochs: int, batch: int, num_batches: int) -> None:
            share = (max(0, epoch - 1) + batch / max(1, num_batches)) / max(1, num_epochs)
            values = {"epoch": epoch, "epochs": num_epochs, "batch": batch, "batches": num_batches}
            self._tell(tell, Message("epoch {epoch}/{epochs}, batch {batch}/{batches}", dict(values)), share)

        return Stepped(request, self._stepper.go(request.action, self._is_wanted, where))

    def _tried(self, request: TryChange, tell: Tell) -> ChangeTried:
        edit = change(request.change)
        root = self._folders.sample(is_sorted=edit.is_sorted).root
        original, changed = edit.sources(request.model)

        def executed(source: str, message: Message, begun: float) -> Outcome:
            return outcome(source, root, self._is_wanted, lambda share: self._tell(tell, message, begun + share / 2))

        first = executed(original, Message("The original program"), 0)
        second = executed(changed, Message("The changed program"), 0.5)
        return ChangeTried(request, first, second)

    def _tell(self, tell: Tell, message: Message, share: float) -> None:
        now = time.monotonic()
        if now - self._told_s >= _TELL_S:
            self._told_s = now
            tell(message, share)
