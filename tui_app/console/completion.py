"""Completion of commands, options, runs and networks in bash, zsh and fish, by typer's scripts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import typer

from core.messages import Problem
from core.runs.directory import Listing
from core.runs.record import State

SHELLS = ("bash", "zsh", "fish")
STARTUP_LINE = 'eval "$(mnist-tui completion)"'
_VARIABLE = "_MNIST_TUI_COMPLETE"


def prepare() -> None:
    """Teach the command line library to answer shells, if one asks; loading that takes time, so only then."""
    if _VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()


def script(shell: str | None) -> str:
    """Return the script that makes a shell ask, by default the user's. Raises `Problem`."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    chosen = shell or Path(os.environ.get("SHELL", "")).name
    if chosen not in SHELLS:
        raise Problem(
            "there is no completion for the shell {shell}: name one of {known}", shell=chosen, known=", ".join(SHELLS)
        )
    text: str = get_completion_script(prog_name="mnist-tui", complete_var=_VARIABLE, shell=chosen)
    return text


def runs_in(folder_of: Callable[[str | None], Path], *states: State) -> Callable[[typer.Context], list[str]]:
    """Return a function that lists the ids of runs, the newest first, in any state or in one of these."""

    def ids(ctx: typer.Context) -> list[str]:
        given, around = ctx.params.get("runs_dir"), ctx.parent
        while not given and around is not None:
            given, around = around.params.get("runs_dir"), around.parent
        try:
            found = Listing(folder_of(given)).read()
        except Problem:  # there is nobody to tell
            return []
        return [summary.id for summary in reversed(found) if not states or summary.state in states]

    return ids
