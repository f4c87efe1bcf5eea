"""The commands on runs that there are: watch them, steer them, stop them, go on with them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from core.runs import directory, resumption
from core.runs.control import Request
from core.runs.record import RESUMABLE, State
from core.worker.at_end import AtEnd
from tui_app.console.arguments import (
    Json,
    Lang,
    Notify,
    NoUi,
    OnEnd,
    RunId,
    RunIds,
    RunInProgress,
    RunLive,
    RunsDir,
    RunToResume,
    Trust,
    folder_of,
)
from tui_app.console.command_line import app
from tui_app.console.launchers import refuse_several_processes
from tui_app.console.opening import no_dashboard, open_dashboard
from tui_app.console.options import takes_settings
from tui_app.console.translated import Command
from tui_app.i18n import _


@app.command(cls=Command, help=_("Open the dashboard on a run."))
def attach(context: typer.Context, run: RunId = None, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    folder = folder_of(runs_dir or context.obj)
    found = directory.find(folder, run)
    if no_dashboard(_("the run's lines follow")):
        from tui_app.console import training_command

        return training_command.follow(found, json=False)
    return open_dashboard(folder, {}, found.id)


@app.command(cls=Command, help=_("Print a run's lines from its start until it ends."))
def follow(
    context: typer.Context, run: RunId = None, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None
) -> int:
    from tui_app.console import training_command

    return training_command.follow(directory.find(folder_of(runs_dir or context.obj), run), json=json)


@app.command(cls=Command, help=_("Ask a run to stop: it saves a checkpoint first."))
def stop(
    context: typer.Context,
    run: RunInProgress = None,
    every: Annotated[bool, typer.Option("--all", help=_("Stop every run and comparison in progress."))] = False,
    waits: Annotated[bool, typer.Option("--wait", help=_("Wait until it has ended."))] = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import job_commands

    return job_commands.stop(folder_of(runs_dir or context.obj), run, every=every, waits=waits)


@app.command(cls=Command, help=_("Hold a run; resume lets it go on."))
def pause(
    context: typer.Context, run: RunLive = None, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None
) -> int:
    from tui_app.console import steering_commands

    return steering_commands.pause(folder_of(runs_dir or context.obj), run, json=json)


@app.command("set", cls=Command, help=_("Change a run in progress, from its next batch on."))
@takes_settings(only=("lr", "epochs"))
def change(
    context: typer.Context,
    run: RunLive = None,
    *,
    settings: dict[str, Any],
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import steering_commands

    return steering_commands.change(folder_of(runs_dir or context.obj), run, settings, json=json)


@app.command(cls=Command, help=_("Wait until runs have ended; the exit code is that of the first that is not done."))
def wait(context: typer.Context, run: RunIds, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    from tui_app.console import job_commands

    folder = folder_of(runs_dir or context.obj)
    return job_commands.wait([directory.find(folder, each) for each in dict.fromkeys(run)])


@app.command(cls=Command, help=_("Resume a run from its checkpoint."))
@takes_settings(only=("lr", "epochs"))
def resume(
    context: typer.Context,
    run: RunToResume = None,
    *,
    settings: dict[str, Any],
    no_ui: NoUi = False,
    trust: Trust = False,
    changed: Annotated[
        bool, typer.Option("--changed", help=_("Go on although the network's files have changed since."))
    ] = False,
    on_end: OnEnd = "",
    notify: Notify = True,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    refuse_several_processes()
    folder, at_end = folder_of(runs_dir or context.obj), AtEnd(on_end, notify)
    asked = Request(**settings)
    states: frozenset[State] = RESUMABLE | {"paused"}
    found = directory.find(folder, run, states | {"done"} if "epochs" in settings else states)
    if found.state() == "paused":
        from tui_app.console import steering_commands

        return steering_commands.steer(found, asked.then(Request(paused=False)), json=json)
    resumption.check_resumable(found, asked, trust=trust, changed=changed)
    if no_ui or json or no_dashboard():
        from tui_app.console import training_command

        return training_command.resume(found, asked, at_end, json=json)
    return open_dashboard(folder, {}, found.id, resume=asked, at_end=at_end)
