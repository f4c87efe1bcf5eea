"""The dashboard's link to its worker, a process that waits with its libraries loaded and takes questions and runs."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import IO, Protocol

from textual.dom import DOMNode
from textual.message import Message
from textual.timer import Timer

from core.messages import Problem
from core.runs.directory import Run
from core.worker import protocol
from core.worker.launch import last_words, launch_standby
from core.worker.protocol import Answer, GiveWay, Question, Request, Train
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.i18n import _


class StandbyWorker(Protocol):
    """A worker that waits for the next run; it ends with the dashboard unless it was handed a run."""

    @property
    def is_alive(self) -> bool: ...

    def ask(self, question: Question) -> None:
        """Send a question, to be answered in `answers`. Raises `Problem` if the worker is gone."""

    def give_way(self) -> None:
        """Make the worker leave the processor to others for good. Raises `Problem` if it is gone."""

    def hand_over(self, run: Run) -> None:
        """Hand a run over to the worker. Raises `Problem` if the worker is gone."""

    def close(self) -> None:
        """Stop sending requests: an idle worker ends."""

    def abandon(self) -> None:
        """End the worker, whatever it is doing."""

    def answers(self) -> AsyncIterator[Answer]:
        """Yield answers until the worker ends or is handed a run. Raises `Problem` if it ended by itself."""


class StandbyProcess:
    """A standby worker in a process and session of its own."""

    def __init__(self, on_end: str = "") -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = launch_standby(self._errors, on_end)

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Question) -> None:
        self._send(question)

    def give_way(self) -> None:
        self._send(GiveWay())

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
        reader = asyncio.StreamReader(limit=1 << 24)
        transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stdout
        )
        try:
            while line := await reader.readline():
                yield protocol.decode_answer.decode(line)
        finally:
            transport.close()
        if self._process.stdin is not None and not self._process.stdin.closed:
            raise Problem("the training process ended: {reason}", reason=self._last_words())

    def _send(self, request: Request) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(protocol.encode(request) + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Problem("the training process ended: {reason}", reason=self._last_words()) from error

    def _last_words(self) -> str:
        return last_words(self._errors) or _("exit code {code}").format(code=self._process.poll())


IDLE_S = 600.0
"""Seconds without a question or a run after which the waiting worker ends."""

Launch = Callable[[], StandbyWorker]
"""A function that starts a worker, or raises `Problem`."""


class WorkerLink:
    """Keeper of a waiting worker, started when one is needed; its answers are posted to the screen as `Answered`."""

    GROUP = "standby"
    """Group name of the listening tasks, by which the screen recognises their failures."""

    class Answered(Message):
        """Sent with an answer of the worker."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, launch: Launch, screen: DOMNode) -> None:
        self._launch = launch
        self._screen = screen
        self._waiting: StandbyWorker | None = None
        self._gone: list[StandbyWorker] = []
        self._abandoned: StandbyWorker | None = None
        """Worker whose answers nobody waits for any more."""
        self._idle: Timer | None = None
        """Time left to the waiting worker."""
        self._gives_way: StandbyWorker | None = None
        """Worker that leaves the processor to others, and is no longer fit to train."""

    def start(self) -> StandbyWorker:
        """Return the waiting worker, started if necessary. Raises `Problem` if it cannot be started."""
        if self._waiting is None or not self._waiting.is_alive:
            self.reap()
            self._waiting = self._launch()
            self._screen.run_worker(self._listen(self._waiting), group=self.GROUP, exit_on_error=False)
        self._postpone_end()
        return self._waiting

    def ask(self, question: Question) -> None:
        """Send a question to the worker. Raises `Problem` if it is gone."""
        self.start().ask(question)

    def give_way(self) -> None:
        """Have the worker leave the processor to the runs in progress. Raises `Problem` if it is gone."""
        worker = self.start()
        if worker is not self._gives_way:
            worker.give_way()
            self._gives_way = worker

    def hand_over(self, run: Run) -> StandbyWorker:
        """Hand a run over to the worker, and return the worker. Raises `Problem` if it is gone.

        The next worker is started when no run is in progress any more, or when it is needed.
        """
        if self._waiting is not None and self._waiting is self._gives_way:
            self.close()
        worker, self._waiting = self.start(), None
        worker.hand_over(run)
        self._gone.append(worker)
        return worker

    def interrupt(self) -> None:
        """Replace the worker, so that the next run need not wait for its current answer. Raises `Problem`."""
        if self._waiting is not None:
            self._abandoned = self._waiting
            self._waiting.abandon()
            self._gone.append(self._waiting)
            self._waiting = None
        self.start()

    def reap(self) -> None:
        """Collect the exit status of ended workers, so that no zombie is left behind."""
        self._gone = [worker for worker in self._gone if worker.is_alive]

    def close(self) -> None:
        """Stop sending requests: the waiting worker ends, once it has answered."""
        if self._waiting is not None:
            self._waiting.close()
            self._gone.append(self._waiting)
            self._waiting = None

    def _postpone_end(self) -> None:
        """Let the waiting worker wait for another `IDLE_S`."""
        if self._idle is not None:
            self._idle.stop()
        self._idle = self._screen.set_timer(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        """End the waiting worker, unless somebody reads what it has stopped at."""
        screens = self._screen.app.screen_stack
        if any(screen.keeps_worker for screen in screens if isinstance(screen, AskingScreen)):
            self._postpone_end()
        else:
            self.close()

    async def _listen(self, worker: StandbyWorker) -> None:
        async for answer in worker.answers():
            if worker is self._waiting:
                self._postpone_end()
            if worker is not self._abandoned:
                self._screen.post_message(self.Answered(answer))
