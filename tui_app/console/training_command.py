"""Runs in the foreground, without the dashboard: train, resume and follow."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from core.config import RunConfig
from core.messages import N_, Message, Problem, reason
from core.runs import control, directory
from core.runs.control import NOTHING, Request
from core.runs.directory import Run, Summary
from core.runs.record import UNENDED, State
from core.worker.at_end import AtEnd, run_command
from core.worker.detach import StopSignals, redirect_output
from tui_app import i18n, notification, terminal, wording
from tui_app.console.printer import Printer
from tui_app.i18n import _
from tui_app.settings import threads_warning

EXIT_CODES = {"done": 0, "failed": 1, "diverged": 3, "silent": os.EX_TEMPFAIL, "stopped": 130}
"""Exit code of one who watches a run, for the state in which it ended; any other is a failure."""

GIVE_UP_S = 600.0
"""Seconds without a sign of a run's process after which nobody waits for it any longer."""
_FOLLOW_INTERVAL_S = 0.2


def train(runs_dir: Path, config: RunConfig, at_end: AtEnd, *, json: bool) -> int:
    """Create a run, train it in the foreground, and return the exit code."""
    signals = StopSignals()
    signals.install()
    prepare_for_torch()
    try_out(config)
    return carry_out(directory.create(runs_dir, config), signals, at_end, json=json)


def try_out(config: RunConfig) -> None:
    """Raise `Problem` for settings that are certain to fail, so that they leave no run behind."""
    from core.data.split_and_permute import expected_train_size
    from core.training import devices, trial

    trial.try_out(config, devices.resolve(config.device), expected_train_size(config))


def resume(run: Run, asked: Request, at_end: AtEnd, *, json: bool) -> int:
    """Resume a run in the foreground, with what is `asked` to change, and return the exit code."""
    signals = StopSignals()
    signals.install()
    run.withdraw_requests()
    return carry_out(run, signals, at_end, asked, json=json)


def prepare_for_torch() -> None:
    """Print, on a terminal only, that torch is being loaded; from now on stdout is kept from what a network prints."""
    terminal.claim_stdout()
    say_that_torch_is_loaded()


def say_that_torch_is_loaded() -> None:
    """Print, on a terminal only, what is waited for."""
    if sys.stderr.isatty():
        print(_("Loading torch…"), file=sys.stderr, flush=True)


def carry_out(run: Run, signals: StopSignals, at_end: AtEnd, asked: Request = NOTHING, *, json: bool) -> int:
    """Train a run in this process, with what is `asked` to change, print its lines, and return the exit code.

    A run that fails before it has started leaves nothing behind if it is new.
    """
    from core.worker.carry_out import carry_out

    prepare_for_torch()
    begun = time.monotonic()
    is_new = not run.has_started() and not run.log_tail()
    err = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors=sys.stderr.errors)
    printer = Printer(run.id, terminal.output(), err, json=json)
    logged = _size(run.log_path)

    if warning := threads_warning(run.config().threads):
        printer.note(warning)

    def begin() -> None:
        if asked != NOTHING:  # not before: a process that still lives would do it
            control.ask(run.path, asked)
        redirect_output(run.log_path)  # what a network prints for every batch is not for the terminal

    try:
        ended = carry_out(run, printer.show, signals, begin=begin)
    except Problem as problem:  # stderr may go to the log by now
        printer.note(f"mnist-tui: {i18n.say(problem)}")
        printer.show_failure(problem, EXIT_CODES["failed"], run.attempt)
        return EXIT_CODES["failed"]
    if _size(run.log_path) > logged:
        printer.note(_("What was printed meanwhile is in {path}").format(path=i18n.printable(str(run.log_path))))
    if at_end.notifies and time.monotonic() - begun >= notification.LEAST_S and err.isatty():
        accuracy = run.summary().accuracy
        err.write(notification.sequence(wording.ended_line(run.id, ended.status, accuracy)))
    if wrong := run_command(at_end.command, run, err):
        printer.note(f"mnist-tui: {i18n.say(wrong)}")
    is_ours = run.attempt == 1  # else another process took it over
    if ended.status == "failed" and is_new and is_ours and not run.has_started() and not run.log_tail():
        directory.discard(run)
    if ended.status == "stopped":
        return signals.exit_code
    return _code(printer, EXIT_CODES[ended.status])


class Watch:
    """A run in the eyes of one who waits for its end."""

    def __init__(self, run: Run, note: Callable[[str], None]) -> None:
        self._run = run
        self._note = note
        self._identity = run.identity
        self._silent_since: float | None = None

    def look(self) -> Summary:
        """Return the run's summary. Raises `Problem` once its folder was deleted, or another run is in its place."""
        summary = self._run.summary()
        if self._run.identity != self._identity:
            raise Problem("the folder of run {run} was deleted", run=self._run.id)
        return summary

    def gives_up(self, state: State) -> bool:
        """Tell if a run in this state has been silent for too long; note when it falls silent."""
        if state != "silent":
            self._silent_since = None
            return False
        if self._silent_since is None:
            self._silent_since = time.monotonic()
            self._note(_("No sign of the process of run {run}: waiting.").format(run=self._run.id))
        return time.monotonic() - self._silent_since > GIVE_UP_S


def _code(printer: Printer, code: int) -> int:
    """Return the exit code, that of a failure if a line could not be printed; say so."""
    if printer.failure is None:
        return code
    text = Message(N_("the output could not be written: {reason}"), {"reason": reason(printer.failure)})
    printer.note(f"mnist-tui: {i18n.say(text)}")
    return code or 1


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def follow(
    run: Run,
    *,
    json: bool,
    while_in: frozenset[State] = UNENDED,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Print a run's events from its start until its state is none of `while_in`, and return the exit code.

    It ends early once the reader is gone, or `should_stop` returns True.
    """
    printer = Printer(run.id, terminal.output(), sys.stderr, json=json)
    reader = run.reader()
    watch = Watch(run, printer.note)
    while True:
        summary = watch.look()  # before reading, so that everything written before the end is read
        state = summary.state
        if state == "unreadable" and summary.message is not None:
            raise Problem.of(summary.message)
        while events := reader.read_new():
            printer.host = summary.elsewhere
            for event in events:
                printer.show(event)
        if not printer.is_read:
            return _code(printer, 0)
        if watch.gives_up(state) or state not in while_in or should_stop():
            break
        time.sleep(_FOLLOW_INTERVAL_S)
    if state == "crashed":
        if lines := run.log_tail():
            printer.note(_("Run {run} crashed. The end of its log:").format(run=run.id))
        else:
            printer.note(_("Run {run} crashed; its log is empty.").format(run=run.id))
        for line in lines:
            printer.note(f"  {i18n.printable(line)}")
        printer.note(_("To continue: mnist-tui resume {run}").format(run=run.id))
    code = EXIT_CODES.get(state, 1)
    if state in ("crashed", "silent"):
        text = N_("run {run} crashed") if state == "crashed" else N_("there is no sign of the process of run {run}")
        printer.show_failure(Problem(text, run=run.id), code, run.attempt)
    return code
