"""Runs in the foreground, without the dashboard: train, resume and follow."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from core.config import RunConfig
from core.messages import Problem
from core.runs import directory
from core.runs.directory import Run
from core.runs.record import LIVE
from core.worker.detach import StopSignals, redirect_output
from tui_app import i18n, terminal
from tui_app.console.printer import Printer
from tui_app.i18n import _

EXIT_CODES = {"done": 0, "failed": 1, "diverged": 3, "stopped": 130}

_FOLLOW_INTERVAL_S = 0.2


def train(runs_dir: Path, config: RunConfig, *, json: bool) -> int:
    """Create a run, train it in the foreground, and return the exit code."""
    if leaves_it_to_the_first():
        return 0
    signals = StopSignals()
    signals.install()
    prepare_for_torch()
    from core.data.split_and_permute import expected_train_size
    from core.training import devices, trial

    # Fail before the run is created: a certain failure leaves no run behind.
    device = devices.resolve(config.device)
    trial.try_out(config, device, expected_train_size(config))
    run = directory.create(runs_dir, config)
    code = _carry_out(run, signals, json=json)
    if code == EXIT_CODES["failed"] and not run.log_tail() and not run.has_started():
        directory.discard(run)
    return code


def resume(run: Run, *, json: bool) -> int:
    """Resume a run in the foreground and return the exit code."""
    if leaves_it_to_the_first():
        return 0
    signals = StopSignals()
    signals.install()
    prepare_for_torch()
    run.withdraw_stop()
    return _carry_out(run, signals, json=json)


def leaves_it_to_the_first() -> bool:
    """Tell if another of several processes, as torchrun starts them, does what this one was told; say so in each.

    Exit code 0 is for those left over: at any other, torchrun would kill the one that trains.
    """
    count, rank = (os.environ.get(name, "") for name in ("WORLD_SIZE", "RANK"))
    if not count.isdecimal() or int(count) < 2:
        return False
    is_first = not rank.isdecimal() or int(rank) == 0
    text = _("{count} processes (WORLD_SIZE) do not train one run together yet: only the first one trains.")
    if not is_first:
        text = _("{count} processes (WORLD_SIZE) do not train one run together yet: this one, RANK {rank}, ends.")
    print(text.format(count=count, rank=rank), file=sys.stderr)
    return not is_first


def prepare_for_torch() -> None:
    """Print, on a terminal only, that torch is being loaded; from now on stdout is kept from what a network prints."""
    terminal.claim_stdout()
    if sys.stderr.isatty():
        print(_("Loading torch…"), file=sys.stderr, flush=True)


def _carry_out(run: Run, signals: StopSignals, *, json: bool) -> int:
    from core.worker.carry_out import carry_out

    err = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors=terminal.SIMPLIFY)
    printer = Printer(run.id, terminal.output(), err, json=json)
    logged = _size(run.log_path)
    redirect_output(run.log_path)  # what a network prints for every batch is not for the terminal
    try:
        ended = carry_out(run, printer.show, signals)
    except Problem as problem:  # stderr now goes to the log
        printer.note(f"mnist-tui: {i18n.say(problem)}")
        return EXIT_CODES["failed"]
    if _size(run.log_path) > logged:
        printer.note(_("What was printed meanwhile is in {path}").format(path=i18n.printable(str(run.log_path))))
    if ended.status == "stopped" and signals.received is not None:
        return 128 + signals.received
    return EXIT_CODES[ended.status]


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def follow(run: Run, *, json: bool) -> int:
    """Print a run's events from its start until it ends or the reader is gone, and return the exit code."""
    printer = Printer(run.id, terminal.output(), sys.stderr, json=json)
    reader = run.reader()
    while True:
        summary = run.summary()  # before reading, so that everything written before the end is read
        state = summary.state
        if state == "unreadable" and summary.message is not None:
            raise Problem.of(summary.message)
        while events := reader.read_new():
            for event in events:
                printer.show(event)
        if not printer.is_read:
            return 1
        if state not in LIVE:
            break
        time.sleep(_FOLLOW_INTERVAL_S)
    if state == "crashed":
        printer.note(_("Run {run} crashed. The end of its log:").format(run=run.id))
        for line in run.log_tail():
            printer.note(f"  {i18n.printable(line)}")
        printer.note(_("To continue: mnist-tui resume {run}").format(run=run.id))
    return EXIT_CODES.get(state, 1)
