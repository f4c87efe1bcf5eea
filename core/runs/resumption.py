"""Checks before a run is trained on, or its network's file is executed."""

from __future__ import annotations

import os

from core.config import RunConfig
from core.messages import N_, InvalidSetting, Problem
from core.runs import lease, source
from core.runs.control import NOTHING, Request
from core.runs.directory import Run
from core.runs.record import RESUMABLE, Record, State


def check_resumable(run: Run, asked: Request = NOTHING, *, trust: bool = False, changed: bool = False) -> None:
    """Raise `Problem` with the reason if a run cannot be resumed.

    `asked` is what is to change then: a finished run goes on only for more epochs. `trust` allows what
    `check_trusted` refuses, and `changed` accepts a custom network's files as they are now.
    """
    state = run.state()
    if asked.epochs is not None:
        _check_more_epochs(run, asked.epochs, state)
    texts = {
        "done": N_("run {run} is finished: there is nothing to resume"),
        "unreadable": N_("run {run} is unreadable, and cannot be resumed"),
    }
    may_be_dead = state == "running" and not lease.is_certain(run.path)
    may_be_new = state == "starting" and run.attempt == 0  # its process may be dead: if not, one of the two trains it
    is_wanted_longer = state == "done" and asked.epochs is not None
    if state not in RESUMABLE and not may_be_dead and not may_be_new and not is_wanted_longer:
        may_go_on = state == "done" and not _has_no_patience_left(run.tail())
        advice = N_("More epochs: mnist-tui resume {run} --epochs N") if may_go_on else ""
        raise Problem(texts.get(state, N_("run {run} is already being trained")), advice=advice, run=run.id)
    config = run.config()
    check_trusted(run, config, trust=trust)
    if changed:
        source.accept_changes(run.path, config.model)
    source.check_unchanged(run.path, config.model)


def _check_more_epochs(run: Run, epochs: int, state: State) -> None:
    """Raise `Problem` if a run cannot be trained until it has had so many epochs."""
    record = run.tail()
    if record.started is None:
        return
    epoch, step = record.position
    if epochs < epoch or (epochs == epoch and step == record.started.steps_per_epoch):
        text = N_("run {run} has begun epoch {epoch} already: ask for more epochs")
        raise InvalidSetting("epochs", text, run=run.id, epoch=epoch)
    if state == "done" and _has_no_patience_left(record):
        raise Problem(
            "patience ended run {run} after epoch {epoch}: it would end there again",
            advice=N_("Start a new run with a greater --patience, or without."),
            run=run.id,
            epoch=epoch,
        )


def _has_no_patience_left(record: Record) -> bool:
    """Tell if a run would end again at once, however many epochs it was given."""
    restored = record.restored
    patience = record.config.patience if record.started is not None else 0
    return bool(patience) and restored is not None and record.position[0] - restored.epoch >= patience


def check_trusted(run: Run, config: RunConfig, *, trust: bool) -> None:
    """Raise `Problem` if a run of another user names a Python file, which nobody but `trust` allows to execute."""
    if config.architecture.is_built_in or trust:
        return
    owners = {path.lstat().st_uid for path in (run.path, run.path / "config.json")}
    if owners != {os.geteuid()}:
        raise Problem(
            "run {run} belongs to another user, and its network is a Python file, {model}: it is not executed",
            advice=N_("Read that file; if you trust it, add --trust."),
            run=run.id,
            model=config.model,
        )
