"""Steering a run in progress: pause it, let it go on, change its learning rate or number of epochs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from core.messages import N_, InvalidSetting, Problem
from core.runs import control, directory
from core.runs.control import Request
from core.runs.directory import Run
from core.runs.events import SettingsChanged, last_events
from core.runs.record import LIVE, RESUMABLE, State
from tui_app import wording
from tui_app.console.json_output import print_line
from tui_app.i18n import _

_ANSWER_S = 10.0
"""Seconds that a command waits for a run to answer; a batch or the libraries may take longer."""
_LOOK_S = 0.05


def pause(runs_dir: Path, run_id: str | None, *, json: bool) -> int:
    """Hold a run after its next batch, and return the exit code. Raises `Problem`."""
    run = _in_progress(runs_dir, run_id, LIVE - {"paused"})
    if run.state() == "paused":
        print(_("Run {run} is paused already.").format(run=run.id), file=sys.stderr)
        return 0
    return steer(run, Request(paused=True), json=json)


def change(runs_dir: Path, run_id: str | None, settings: dict[str, Any], *, json: bool) -> int:
    """Change settings of a run from its next batch on, and return the exit code. Raises `Problem`."""
    if not settings:
        raise InvalidSetting("lr", "say what is to change: --lr or --epochs")
    run = _in_progress(runs_dir, run_id)
    epoch = run.summary().epoch
    if settings.get("epochs", epoch) < epoch:
        text = N_("run {run} is in epoch {epoch} already: ask for at least as many")
        raise InvalidSetting("epochs", text, run=run.id, epoch=epoch)
    return steer(run, Request(**settings), json=json)


def steer(run: Run, request: Request, *, json: bool) -> int:
    """Ask a run for something, print what it answers, and return the exit code. Raises `Problem`.

    With `json`, the answers are the run's own `settings_changed` events.
    """
    known = _changes(run)
    control.ask(run.path, request)
    deadline = time.monotonic() + _ANSWER_S
    while time.monotonic() < deadline:
        new = [change for change in _changes(run) if change not in known]
        answers = [(event, line) for event in new if (line := wording.change_line(event))]
        for event, line in answers:
            print(_("Run {run}: {change}.").format(run=run.id, change=line), file=sys.stderr)
            if json:
                print_line(event)
        if answers:
            return 0
        if run.state() not in LIVE:
            raise Problem("run {run} ended before that", run=run.id)
        time.sleep(_LOOK_S)
    print(_("Run {run} has not answered yet: it will at its next batch.").format(run=run.id), file=sys.stderr)
    return 0


def _in_progress(runs_dir: Path, run_id: str | None, rather: frozenset[State] = LIVE) -> Run:
    """Return the run to steer; the newest in progress, `rather` in these states, and say which, if none is named.

    Raises `Problem`.
    """
    try:
        run = directory.find(runs_dir, run_id, rather)
    except Problem:
        run = directory.find(runs_dir, run_id, LIVE)
    if run_id is None:
        print(_("Run {run}.").format(run=run.id), file=sys.stderr)
    elif run.state() not in LIVE:
        state = wording.state_name(run.state())
        advice = N_("To continue: mnist-tui resume {run}") if run.state() in RESUMABLE else ""
        raise Problem("run {run} is not in progress: it is {state}", advice=advice, run=run.id, state=state)
    return run


def _changes(run: Run) -> list[SettingsChanged]:
    try:
        return [event for event in last_events(run.events_path) if isinstance(event, SettingsChanged)]
    except OSError:
        return []
