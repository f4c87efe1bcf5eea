"""What job scripts need: runs with a name, runs in the background, and waiting for runs and stopping them."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.comparing import stored
from core.config import RECORDING, RunConfig
from core.messages import N_, InvalidSetting, Problem, reason
from core.runs import directory, names, resumption
from core.runs.directory import Run
from core.runs.job_folder import JobFolder
from core.runs.record import LIVE, RESUMABLE, UNENDED, State
from core.worker.at_end import AtEnd
from core.worker.detach import StopSignals
from core.worker.launch import launch_run
from tui_app import terminal, wording
from tui_app.console import json_output, training_command
from tui_app.console.launchers import refuse_several_processes
from tui_app.console.training_command import EXIT_CODES, Watch
from tui_app.i18n import _, ngettext, say

_LOOK_S = 0.25
_MAY_DIFFER = RECORDING | {"device", "threads", "data_dir"}
"""Settings that may be others when a run is gone on with, as on another host."""
_GOES_ON = RESUMABLE - {"diverged"}
"""States in which a run with a name is resumed; one that diverged would again."""


def train_named(runs_dir: Path, name: str, settings: dict[str, Any], at_end: AtEnd, *, json: bool) -> int:
    """Start the run of this name, go on with it, or print its lines if it has ended; return the exit code.

    While another process trains it, its lines are printed, and the run is gone on with if that process ends early.
    `settings` are those that were given.
    """
    signals = StopSignals()
    signals.install()
    run, is_new = _obtain(runs_dir, name, settings)
    while True:
        state = run.state()
        if is_new or state in _GOES_ON:
            is_new = False
            run.withdraw_requests()
            code = training_command.carry_out(run, signals, at_end, json=json)
            if run.state() not in LIVE | {"done"} or code == EXIT_CODES["done"]:
                return code  # else another process was faster
        elif state not in LIVE:
            _note(_("{name} is run {run}: {state}.").format(name=name, run=run.id, state=wording.state_name(state)))
            return training_command.follow(run, json=json)
        else:
            text = _("{name} is run {run}, which another process trains: its lines follow.")
            _note(text.format(name=name, run=run.id))
            code = training_command.follow(run, json=json, while_in=LIVE, should_stop=signals)
            if signals.received is not None:
                return signals.exit_code
            if run.state() not in ("crashed", "silent"):
                return code


def train_detached(runs_dir: Path, name: str, settings: dict[str, Any], on_end: str, *, json: bool) -> int:
    """Start a run, or go on with the one of this name, in the background, and print its id; return the exit code."""
    if not name:  # else they all mean the one run of this name
        refuse_several_processes()
    run, is_new = _obtain(runs_dir, name, settings)
    if is_new or run.state() in _GOES_ON:
        run.withdraw_requests()
        launch_run(run, on_end)
    try:
        if json:
            json_output.print_line(json_output.Detached(run.id))
        else:
            print(run.id, file=terminal.output(), flush=True)
    except OSError as error:
        text = N_("run {run} trains in the background, but its id could not be printed: {reason}")
        raise Problem(text, run=run.id, reason=reason(error)) from None
    return EXIT_CODES["diverged"] if run.state() == "diverged" else 0


def wait(runs: Sequence[Run]) -> int:
    """Wait until the runs have ended, print how, and return the exit code of the first that is not done."""
    left = [(run, Watch(run, _note)) for run in runs]
    ended: dict[str, State] = {}
    while left:
        for run, watch in list(left):
            try:
                state = watch.look().state
            except Problem as problem:
                _note(f"mnist-tui: {say(problem)}")
                ended[run.id] = "unreadable"
            else:
                if _is_in_progress(run, state) and not watch.gives_up(state):
                    continue
                ended[run.id] = state
                print(f"{run.id} {wording.state_name(state)}", flush=True)
            left.remove((run, watch))
        if left:
            time.sleep(_LOOK_S)
    codes = [EXIT_CODES.get(ended[run.id], 1) for run in runs]
    return next(filter(None, codes), 0)


def stop(runs_dir: Path, run_id: str | None, *, every: bool, waits: bool) -> int:
    """Ask a run, or every run and comparison in progress, to stop; return the exit code.

    Without an id it is the one in progress, of the user's own if there are any. Raises `Problem` if that is not one.
    """
    comparisons = stored.in_progress(runs_dir) if every and run_id is None else []
    stopping = list(filter(_ask_to_stop, comparisons))  # first: they would start their next runs
    if run_id is not None:
        runs = [directory.find(runs_dir, run_id)]
        if not _is_in_progress(runs[0], runs[0].state()):
            _note(_("Run {run} is not in progress.").format(run=run_id))
            return 0
    else:
        listed = [(Run(runs_dir / each.id), each.state) for each in directory.Listing(runs_dir).read()]
        runs = [run for run, state in listed if _is_in_progress(run, state)]
        if not every:
            runs = [run for run in runs if run.is_own] or runs
        if not runs and not comparisons:
            _note(_("No run is in progress."))
            return 0
        if len(runs) > 1 and not every:
            ids = ", ".join(run.id for run in runs)
            raise InvalidSetting("run", "several runs are in progress: {runs}: name one, or add --all", runs=ids)
    asked = list(filter(_ask_to_stop, runs))
    for run in asked:
        _note(_("Run {run} will stop at its next batch.").format(run=run.id))
    if stopping:
        text = ngettext("{count} comparison will stop.", "{count} comparisons will stop.", len(stopping))
        _note(text.format(count=len(stopping)))
    if waits:
        wait(asked)
        while any(comparison.is_at_work for comparison in stopping):
            time.sleep(_LOOK_S)
    return int(len(asked) + len(stopping) < len(runs) + len(comparisons))


def _ask_to_stop(job: JobFolder) -> bool:
    """Ask a process to stop; if that is not possible, as with another user's, say why and return False."""
    try:
        job.request_stop()
    except Problem as problem:
        _note(f"mnist-tui: {say(problem)}")
        return False
    return True


def _is_in_progress(run: Run, state: State) -> bool:
    """Tell if a process may train a run in this state, or is known to train one whose settings are damaged."""
    return state in UNENDED or (state == "unreadable" and run.is_at_work)


def _note(line: str) -> None:
    print(line, file=sys.stderr)


def _obtain(runs_dir: Path, name: str, settings: dict[str, Any]) -> tuple[Run, bool]:
    """Return the run of this name and False, or a new one and True. Raises `Problem`."""
    config = RunConfig(**settings)
    known = names.find(runs_dir, name) if name else None
    if known is None:
        is_sure = config.architecture.is_built_in and not config.batch_norm and config.device in ("auto", "cpu")
        if not is_sure:
            training_command.prepare_for_torch()
            training_command.try_out(config)
        run = directory.create(runs_dir, config, name)
        try:
            known = names.give(runs_dir, name, run.id) if name else run.id
        except Problem:
            directory.discard(run)
            raise
        if known == run.id:
            return run, True
        directory.discard(run)  # another process was faster
    existing = Run(runs_dir / known)
    known_config = existing.config()
    other = [
        f"{field}={getattr(known_config, field)}"
        for field, value in settings.items()
        if field not in _MAY_DIFFER and getattr(known_config, field) != value
    ]
    if other:
        text = N_("{name} is the name of run {run}, which has other settings: {settings}")
        raise InvalidSetting("name", text, name=name, run=existing.id, settings=", ".join(other))
    resumption.check_trusted(existing, known_config, trust=False)
    return existing, False
