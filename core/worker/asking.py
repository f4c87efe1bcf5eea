"""A question to a process that has torch, from one that has not."""

from __future__ import annotations

import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress

from core.messages import Message, Problem
from core.worker import protocol
from core.worker.launch import last_words, launch_standby

_LOOK_S = 0.1


class GivenUp(Exception):
    """Raised when nobody waits for the answer any more."""


def ask(
    question: protocol.Question, tell: Callable[[Message, float | None], None], should_stop: Callable[[], bool]
) -> protocol.Answer:
    """Start a process, return its answer, and end it; `tell` takes what it says meanwhile.

    Raises `Problem` if it refuses or ends by itself, and `GivenUp` once it `should_stop`.
    """
    with tempfile.TemporaryFile() as errors:
        process = launch_standby(errors)
        try:
            for answer in _answers(process, question, should_stop):
                match answer:
                    case protocol.Ready():
                        continue
                    case protocol.ProgressNote(message=message, fraction=fraction):
                        tell(message, fraction)
                    case protocol.Refused():
                        raise answer.problem()
                    case _:
                        return answer
        finally:
            process.terminate()
            process.communicate()
        last = last_words(errors)
    raise Problem("the training process ended: {reason}", reason=last or str(process.returncode))


def _answers(
    process: subprocess.Popen[bytes], question: protocol.Question, should_stop: Callable[[], bool]
) -> Iterator[protocol.Answer]:
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.write(protocol.encode(question) + b"\n")
        process.stdin.flush()
    answers = process.stdout.fileno()
    begun = b""
    while True:
        if should_stop():
            raise GivenUp
        if not select.select([answers], [], [], _LOOK_S)[0]:
            continue
        if not (read := os.read(answers, 1 << 16)):
            return
        *lines, begun = (begun + read).split(b"\n")
        yield from map(protocol.decode_answer.decode, lines)
