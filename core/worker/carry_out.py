"""Carrying out a run, from its settings to its result; every event is written, then shown.

This module does not load torch: the run has a process that holds its lease before that takes its seconds.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from contextlib import suppress

from core import files
from core.machine import has_nvidia_driver
from core.messages import N_, Message, Problem, reason, writing
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import Event, EventWriter, Notice, RunEnded
from core.runs.lease import Held, Lost
from core.worker.inbox import Inbox
from core.worker.process_title import RunTitle

_CANNOT_WRITE = N_("cannot write to the run directory ({reason}): training continues")
_INTERRUPTED = N_("stopped while waiting for a sign of its last process")
_LOADING = N_("loading torch and its libraries for GPUs: from a cold disk this takes some ten seconds")
_WAITING = N_("its last process may still be at work: waiting at most {seconds} s for a sign of it")


def carry_out(
    run: Run,
    show: Callable[[Event], None],
    should_stop: Callable[[], bool],
    *,
    begin: Callable[[], None] = lambda: None,
) -> RunEnded:
    """Train and test a run, from its checkpoint if it has one; write every event, then show it.

    The end that is returned was not written if the run is another process's by then, its folder was deleted, or the
    disk refuses it: a resumption then tests again.
    `begin` is called once no other process can be at work. Raises `Problem` if the run is being trained already, or its
    directory cannot be used at all.
    """

    def tell_wait(seconds: float) -> None:
        if should_stop() or run.stop_requested():
            raise _Interrupted
        show(Notice(message=Message(_WAITING, {"seconds": round(seconds)})))

    try:
        with lease.hold(run.path, tell_wait) as held:
            begin()
            return _carry_out(run, held, show, should_stop)
    except _Interrupted:
        return RunEnded(status="stopped", message=Message(_INTERRUPTED))


class _Interrupted(Exception):
    """A stop request while the run's last process may still live: nothing has been written."""


def _carry_out(run: Run, held: Held, show: Callable[[Event], None], should_stop: Callable[[], bool]) -> RunEnded:
    """Train and test a run that is held. Raises `Problem`."""
    attempt = RunAttempt(run, held, show, should_stop, RunTitle(run.id))
    try:
        attempt.do(lambda: _train_and_test(run, held, attempt.emit, attempt.inbox))
    finally:
        attempt.close()
    assert attempt.ended is not None
    return attempt.ended


def _train_and_test(run: Run, held: Held, emit: Callable[[Event], None], inbox: Inbox) -> RunEnded:
    tell_of_loading(run, emit)
    from core.worker.stages import train_and_test

    return train_and_test(run, held, emit, inbox)


def tell_of_loading(run: Run, emit: Callable[[Event], None]) -> None:
    """Say what is waited for, before torch is loaded on a machine with a GPU. Raises `Problem`, such as `Lost`."""
    if "torch" not in sys.modules and run.config().device != "cpu" and has_nvidia_driver():
        emit(Notice(message=Message(_LOADING)))


class RunAttempt:
    """An attempt at a run in this process: its lease, its events, and what is asked of it.

    Other attempts, at other runs, may be made in the same process: what goes wrong in one ends only that.
    """

    def __init__(
        self,
        run: Run,
        held: Held,
        show: Callable[[Event], None],
        should_stop: Callable[[], bool],
        title: RunTitle | None,
    ) -> None:
        """Open the run's events. Raises `Problem` if its directory cannot be used at all."""
        with writing(run.path):
            files.sweep(run.path)
            self._writer = EventWriter(run.events_path, held.attempt)
        self.run = run
        self.held = held
        self.emit = _Emitter(held, self._writer, show, title)
        self.inbox = Inbox(run, held, should_stop)
        self.ended: RunEnded | None = None
        """How the attempt ended. It was not written if the run is another process's by then, or the disk refuses it."""
        self._show = show
        self._unsaved: OSError | None = None

    def do(self, part: Callable[[], RunEnded | None]) -> None:
        """Do a part of the work. The attempt ends with what that returns, if anything, or with what it raises."""
        try:
            ended = self._try(part)
            if ended is None:
                return
            self.emit(ended)
            if ended.status == "stopped":
                self.run.withdraw_requests()  # not at the start: a stop may be requested while the libraries load
            self.held.look()
            self._unsaved = self._writer.flush()
        except Lost as lost:
            ended = RunEnded(status="failed", message=lost.message)
            self._show(self._writer.stamped(ended))
        self.ended = ended

    def close(self) -> None:
        """Make the events durable; a finished run whose end is not safe has failed."""
        self._unsaved = self._writer.close() or self._unsaved
        if self._unsaved is not None and self.ended is not None and self.ended.status == "done":
            message = Message("the end of the run could not be saved: {reason}", {"reason": reason(self._unsaved)})
            advice = Message("Free some disk space, then resume the run.")
            self.ended = RunEnded(status="failed", message=message, advice=advice)
            self._show(self._writer.stamped(self.ended))

    def _try(self, part: Callable[[], RunEnded | None]) -> RunEnded | None:
        """Return what a part returns, or how the run ends because of what it raises. Raises `Lost`."""
        try:
            return part()
        except Lost:
            raise
        except Problem as problem:
            advice = problem.advice if problem.advice.text else None
            return RunEnded(status="failed", message=problem.message, advice=advice)
        except (Exception, SystemExit) as error:  # a custom network may raise anything
            self.held.look()
            with suppress(OSError), self.run.append_to_log() as log:
                traceback.print_exc(file=log)
            message = Message("{kind}: {reason}", {"kind": type(error).__name__, "reason": reason(error)})
            return RunEnded(status="failed", message=message, advice=Message("See the run's log for the details."))


class _Emitter:
    """A writer of events, which then shows them, also in the process's title.

    Events that cannot be written are kept until they can be.
    """

    def __init__(self, held: Held, writer: EventWriter, show: Callable[[Event], None], title: RunTitle | None) -> None:
        self._held = held
        self._writer = writer
        self._show = show
        self._title = title
        self._is_failing = False

    def __call__(self, event: Event) -> None:
        """Write an event, then show it. Raises `Lost`."""
        self._held.look()
        error = self._writer.write(event)
        if error is not None and not self._is_failing:
            self._show(self._writer.stamped(Notice(message=Message(_CANNOT_WRITE, {"reason": reason(error)}))))
        self._is_failing = error is not None
        if self._title is not None:
            self._title.take(event)
        self._show(self._writer.stamped(event))
