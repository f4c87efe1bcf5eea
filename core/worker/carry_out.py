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
    with writing(run.path):
        files.sweep(run.path)
        writer = EventWriter(run.events_path, held.attempt)
    unsaved: OSError | None = None
    try:
        ended = _train_and_test(run, held, _Emitter(run.id, held, writer, show), Inbox(run, held, should_stop))
        held.look()
        unsaved = writer.flush()
    except Lost as lost:
        ended = RunEnded(status="failed", message=lost.message)
        show(writer.stamped(ended))
    finally:
        unsaved = writer.close() or unsaved
    if unsaved is not None and ended.status == "done":
        message = Message("the end of the run could not be saved: {reason}", {"reason": reason(unsaved)})
        advice = Message("Free some disk space, then resume the run.")
        ended = RunEnded(status="failed", message=message, advice=advice)
        show(writer.stamped(ended))
    return ended


def _train_and_test(run: Run, held: Held, emit: _Emitter, inbox: Inbox) -> RunEnded:
    """Carry out the stages, and write how they ended. Raises `Lost`."""
    try:
        if "torch" not in sys.modules and run.config().device != "cpu" and has_nvidia_driver():
            emit(Notice(message=Message(_LOADING)))
        from core.worker.stages import train_and_test

        ended = train_and_test(run, held, emit, inbox)
    except Lost:
        raise
    except Problem as problem:
        advice = problem.advice if problem.advice.text else None
        ended = RunEnded(status="failed", message=problem.message, advice=advice)
    except (Exception, SystemExit) as error:  # a custom network may raise anything
        held.look()
        with suppress(OSError), run.log_path.open("a", encoding="utf-8", errors="replace") as log:
            traceback.print_exc(file=log)
        message = Message("{kind}: {reason}", {"kind": type(error).__name__, "reason": reason(error)})
        ended = RunEnded(status="failed", message=message, advice=Message("See the run's log for the details."))
    emit(ended)
    if ended.status == "stopped":
        run.withdraw_requests()  # not at the start: a stop may be requested while the libraries load
    return ended


class _Emitter:
    """A writer of events, which then shows them, also in the process's title.

    Events that cannot be written are kept until they can be.
    """

    def __init__(self, run_id: str, held: Held, writer: EventWriter, show: Callable[[Event], None]) -> None:
        self._held = held
        self._writer = writer
        self._show = show
        self._title = RunTitle(run_id)
        self._is_failing = False

    def __call__(self, event: Event) -> None:
        """Write an event, then show it. Raises `Lost`."""
        self._held.look()
        error = self._writer.write(event)
        if error is not None and not self._is_failing:
            self._show(self._writer.stamped(Notice(message=Message(_CANNOT_WRITE, {"reason": reason(error)}))))
        self._is_failing = error is not None
        self._title.take(event)
        self._show(self._writer.stamped(event))
