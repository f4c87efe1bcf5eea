"""The dashboard's link to its worker: a process that waits, its libraries loaded, answers, and takes runs on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import IO, Protocol

from textual.dom import DOMNode
from textual.message import Message

from core.messages import Problem
from core.runs.directory import Run
from core.worker import protocol
from core.worker.launch import launch_standby
from core.worker.protocol import Answer, Question, Request, Train
from tui_app.i18n import _


class StandbyWorker(Protocol):
    """A worker that waits for the next run; it ends when the dashboard does, unless it was handed a run."""

    @property
    def is_alive(self) -> bool: ...

    def ask(self, question: Question) -> None:
        """Have a question answered in `answers`. Raises `Problem` where the worker is gone."""

    def hand_over(self, run: Run) -> None:
        """Let it carry out a run. Raises `Problem` where the worker is gone."""

    def close(self) -> None:
        """Ask nothing more."""

    def abandon(self) -> None:
        """End it, whatever it is at."""

    def answers(self) -> AsyncIterator[Answer]:
        """Yield what it says until it has a run, or ends. Raises `Problem` where it ended by itself."""


class StandbyProcess:
    """The real one: a process in its own session."""

    def __init__(self) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = launch_standby(self._errors)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Question) -> None:
        self._send(question)

    def hand_over(self, run: Run) -> None:
        self._send(Train(str(run.path)))
        self.close()

    def close(self) -> None:
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def abandon(self) -> None:
        self.close()
        self._process.terminate()

    async def answers(self) -> AsyncIterator[Answer]:
        stdout = self._process.stdout
        assert stdout is not None
        reader = asyncio.StreamReader(limit=1 << 22)
        transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stdout
        )
        try:
            while line := await reader.readline():
                yield protocol.decode_answer.decode(line)
        finally:
            transport.close()
        if self._process.stdin is not None and not self._process.stdin.closed:
            raise Problem("the worker process ended: {reason}", reason=self._last_words())

    def _send(self, request: Request) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(protocol.encode(request) + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Problem("the worker process ended: {reason}", reason=self._last_words()) from error

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read(1 << 16).decode(errors="replace").split("\n")
        code = self._process.poll()
        return next((line for line in reversed(lines) if line.strip()), _("exit code {code}").format(code=code))


Launch = Callable[[], StandbyWorker]
"""Starts a worker. Raises `Problem`."""


class WorkerLink:
    """Keeps one worker waiting; what it answers comes to the screen as `Answered`."""

    GROUP = "standby"
    """The name of the tasks that listen, by which the screen knows their failures."""

    class Answered(Message):
        """The worker said something."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, launch: Launch, screen: DOMNode) -> None:
        self._launch = launch
        self._screen = screen
        self._waiting: StandbyWorker | None = None
        self._gone: list[StandbyWorker] = []

    def start(self) -> StandbyWorker:
        """Return the worker that waits, started where there is none. Raises `Problem` where it cannot be."""
        if self._waiting is None or not self._waiting.is_alive:
            self._waiting = self._launch()
            self._screen.run_worker(self._listen(self._waiting), group=self.GROUP, exit_on_error=False)
        return self._waiting

    def ask(self, question: Question) -> None:
        """Have a question answered. Raises `Problem` where there is no worker."""
        self.start().ask(question)

    def hand_over(self, run: Run) -> StandbyWorker:
        """Let the worker carry out a run, and return it. Raises `Problem` where it is gone.

        The next one is started when no run needs the processor, or somebody needs it.
        """
        worker, self._waiting = self.start(), None
        worker.hand_over(run)
        self._gone.append(worker)
        return worker

    def interrupt(self) -> None:
        """Have the worker leave what it is at, so that the next run need not wait for it. Raises `Problem`."""
        if self._waiting is not None:
            self._waiting.abandon()
            self._gone.append(self._waiting)
            self._waiting = None
        self.start()

    def reap(self) -> None:
        """Take the exit status of those that have ended: nothing of them is left behind."""
        self._gone = [worker for worker in self._gone if worker.is_alive]

    def close(self) -> None:
        """Ask nothing more: the worker ends."""
        if self._waiting is not None:
            self._waiting.close()

    async def _listen(self, worker: StandbyWorker) -> None:
        async for answer in worker.answers():
            self._screen.post_message(self.Answered(answer))
