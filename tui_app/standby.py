"""The worker that waits, its libraries loaded, for the dashboard's next run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import IO

from core import standby
from core.problems import Problem
from core.runs import Run
from core.standby import Answer, Question, Request, Train
from tui_app.i18n import _


class StandbyWorker:
    """A process in its own session: it ends when the dashboard does, unless it was handed a run."""

    def __init__(self) -> None:
        # To a file: a worker must not block, or end, because nobody reads what it prints.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "core.worker", "--standby"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            raise Problem("the worker process could not start: {reason}", reason=str(error)) from error

    def ask(self, question: Question) -> None:
        """`answers` will have the answer. Raises `Problem` where the worker is gone."""
        self._send(question)

    def hand_over(self, run: Run) -> None:
        """Let it carry out a run. Raises `Problem` where the worker is gone."""
        self._send(Train(str(run.path)))
        self.close()

    def close(self) -> None:
        """Nothing more will be asked."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()

    def abandon(self) -> None:
        """Whatever it is at, nobody waits for it any more."""
        self.close()
        self.process.terminate()

    async def answers(self) -> AsyncIterator[Answer]:
        """Until it has a run, or ends. Raises `Problem` where it ended by itself."""
        stdout = self.process.stdout
        assert stdout is not None
        reader = asyncio.StreamReader(limit=1 << 22)
        transport, _protocol = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stdout
        )
        try:
            while line := await reader.readline():
                yield standby.decode_answer.decode(line)
        finally:
            transport.close()
        if self.process.stdin is not None and not self.process.stdin.closed:
            raise Problem("the worker process ended: {reason}", reason=self._last_words())

    def _send(self, request: Request) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(standby.encode(request) + b"\n")
            self.process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Problem("the worker process ended: {reason}", reason=self._last_words()) from error

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read(1 << 16).decode(errors="replace").split("\n")
        return next(
            (line for line in reversed(lines) if line.strip()), _("exit code {code}").format(code=self.process.poll())
        )
