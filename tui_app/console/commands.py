"""The command line: its commands and options, with every text in the current language."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths
from core.catalogue import EXAM_PAIR, NETWORKS
from core.config import RunConfig, check_new, setting_from_text
from core.runs import directory, resumption
from core.runs.control import Request
from core.runs.record import RESUMABLE, State
from core.worker.at_end import AtEnd
from tui_app.console import completion
from tui_app.console.arguments import (
    Configurations,
    FinishedRuns,
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
    Version,
    folder_of,
    network_argument,
)
from tui_app.console.options import takes_settings
from tui_app.i18n import _


class _Group(typer.core.TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


class _Command(typer.core.TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


def _translate(formatter: Any) -> None:
    """Translate the words that the library itself puts into the help."""
    words = {
        "Usage:": _("Usage:"),
        "Arguments:": _("Arguments:"),
        "Options:": _("Options:"),
        "Commands:": _("Commands:"),
        "Show this message and exit.": _("Show this message and exit."),
        "[required]": _("[required]"),
    }
    for english, ours in words.items():
        formatter.buffer[:] = [part.replace(english, ours) for part in formatter.buffer]


app = typer.Typer(
    cls=_Group,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    options_metavar=_("[OPTIONS]"),
    subcommand_metavar=_("COMMAND [ARGUMENTS]..."),
)


@app.callback(invoke_without_command=True, help=_("Train the exam's two networks on MNIST, and watch them learn."))
@takes_settings()
def dashboard(
    context: typer.Context,
    no_ui: NoUi = False,
    *,
    settings: dict[str, Any],
    name: Annotated[
        str | None,
        typer.Option(metavar=_("NAME"), help=_("Start the run of this name, or go on with it if it has not ended.")),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help=_("Train in the background, and print only the run's id."))
    ] = False,
    on_end: OnEnd = "",
    notify: Notify = True,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
    version: Version = False,
) -> int | None:
    context.obj = runs_dir
    if context.invoked_subcommand is not None:
        return None
    config = RunConfig(**settings)
    check_new(config)
    folder, at_end = folder_of(runs_dir), AtEnd(on_end, notify)
    if detach or name is not None:
        from tui_app.console import job_commands

        if detach:
            return job_commands.train_detached(folder, name or "", settings, on_end)
        return job_commands.train_named(folder, name or "", settings, at_end, json=json)
    if no_ui or json or _no_dashboard():
        from tui_app.console import training_command

        return training_command.train(folder, config, at_end, json=json)
    return _open_dashboard(folder, settings, at_end=at_end)


@app.command(cls=_Command, help=_("Print the layer table of a network (of each built-in one if none is given)."))
@takes_settings(only=("dropout", "width", "batch_norm"))
def layers(
    network: Annotated[str | None, network_argument()] = None,
    *,
    settings: dict[str, Any],
    json: Json = False,
    lang: Lang = None,
) -> None:
    from tui_app.console.listing_commands import print_layers

    models = [setting_from_text("model", network)] if network else NETWORKS
    print_layers([RunConfig(model=model, **settings).architecture for model in models], json=json)


@app.command("runs", cls=_Command, help=_("List the runs."))
def list_runs(context: typer.Context, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None) -> None:
    from tui_app.console.listing_commands import print_runs

    print_runs(folder_of(runs_dir or context.obj), json=json)


@app.command(cls=_Command, help=_("Open the dashboard on a run."))
def attach(context: typer.Context, run: RunId = None, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    folder = folder_of(runs_dir or context.obj)
    found = directory.find(folder, run)
    if _no_dashboard(_("the run's lines follow")):
        from tui_app.console import training_command

        return training_command.follow(found, json=False)
    return _open_dashboard(folder, {}, found.id)


@app.command(cls=_Command, help=_("Print a run's lines from its start until it ends."))
def follow(
    context: typer.Context, run: RunId = None, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None
) -> int:
    from tui_app.console import training_command

    return training_command.follow(directory.find(folder_of(runs_dir or context.obj), run), json=json)


@app.command(cls=_Command, help=_("Ask a run to stop: it saves a checkpoint first."))
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


@app.command(cls=_Command, help=_("Hold a run; resume lets it go on."))
def pause(context: typer.Context, run: RunLive = None, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    from tui_app.console import steering_commands

    return steering_commands.pause(folder_of(runs_dir or context.obj), run)


@app.command("set", cls=_Command, help=_("Change a run in progress, from its next batch on."))
@takes_settings(only=("lr", "epochs"))
def change(
    context: typer.Context,
    run: RunLive = None,
    *,
    settings: dict[str, Any],
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import steering_commands

    return steering_commands.change(folder_of(runs_dir or context.obj), run, settings)


@app.command(cls=_Command, help=_("Wait until runs have ended; the exit code is that of the first that is not done."))
def wait(context: typer.Context, run: RunIds, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    from tui_app.console import job_commands

    folder = folder_of(runs_dir or context.obj)
    return job_commands.wait([directory.find(folder, each) for each in dict.fromkeys(run)])


@app.command(cls=_Command, help=_("Resume a run from its checkpoint."))
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
    folder, at_end = folder_of(runs_dir or context.obj), AtEnd(on_end, notify)
    asked = Request(**settings)
    states: frozenset[State] = RESUMABLE | {"paused"}
    found = directory.find(folder, run, states | {"done"} if "epochs" in settings else states)
    if found.state() == "paused":
        from tui_app.console import steering_commands

        return steering_commands.steer(found, asked.then(Request(paused=False)))
    resumption.check_resumable(found, asked, trust=trust, changed=changed)
    if no_ui or json or _no_dashboard():
        from tui_app.console import training_command

        return training_command.resume(found, asked, at_end, json=json)
    return _open_dashboard(folder, {}, found.id, resume=asked, at_end=at_end)


@app.command(
    cls=_Command, help=_("Train configurations on the same seeds, and tell which is better, and how confidently.")
)
@takes_settings(without=("model", "seed", "exact"))
def compare(
    context: typer.Context,
    configuration: Configurations = None,
    models: Annotated[
        str | None, typer.Option(metavar=_("CONFIG,CONFIG,..."), help=_("The same as one argument."))
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="N", show_default=False, help=_("Runs of each configuration. [default: 5]"))
    ] = None,
    until_decided: Annotated[
        bool, typer.Option("--until-decided", help=_("Add seeds until it is decided on these test images."))
    ] = False,
    max_seeds: Annotated[
        str | None,
        typer.Option(metavar="N", show_default=False, help=_("Most seeds with --until-decided. [default: 30]")),
    ] = None,
    margin: Annotated[
        str,
        typer.Option(
            metavar="X", show_default=False, help=_("Smallest difference that matters, in points. [default: 0.1]")
        ),
    ] = "0.1",
    *,
    settings: dict[str, Any],
    conditions: Annotated[
        bool,
        typer.Option("--conditions", help=_("Also test under harder conditions: shifted, rotated and noisy images.")),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(metavar=_("FILE"), help=_("Write a report: one .html file, or .md with its pictures beside it.")),
    ] = None,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from core.comparing.verdict import check_margin
    from core.data.conditions import default
    from tui_app.console import compare_command

    typed = [*(configuration or ()), *(models.split(",") if models is not None else ())]
    request = compare_command.ComparisonRequest(
        configurations=tuple(typed or EXAM_PAIR),
        seeds=compare_command.number_of_seeds(seeds, max_seeds, until_decided),
        until_decided=until_decided,
        settings=RunConfig(**settings, seed=0),
        conditions=tuple(default()) if conditions else (),
        report=paths.absolute(report) if report is not None else None,
        margin=check_margin(margin),
        json=json,
    )
    return compare_command.compare(folder_of(runs_dir or context.obj), request)


@app.command(cls=_Command, help=_("Test finished runs on shifted, rotated and noisy digits, without retraining."))
def conditions(
    context: typer.Context,
    run: FinishedRuns = None,
    shift: Annotated[str | None, typer.Option(metavar="N,N,...", help=_("Shifts in pixels, 1 to 4."))] = None,
    turn: Annotated[str | None, typer.Option(metavar="N,N,...", help=_("Rotations in degrees, 5 to 45."))] = None,
    noise: Annotated[
        str | None,
        typer.Option(metavar="X,X,...", help=_("Standard deviations of the noise, above 0 and at most 1 (1 = white).")),
    ] = None,
    trust: Trust = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from core.data.conditions import Kind, default, from_text
    from tui_app.console.conditions_command import print_conditions

    typed: dict[Kind, str | None] = {"shift": shift, "turn": turn, "noise": noise}
    asked = [one for kind, text in typed.items() if text is not None for one in from_text(kind, text)]
    folder = folder_of(runs_dir or context.obj)
    found = [directory.find(folder, each) for each in dict.fromkeys(run or ())]
    found = found or [directory.find(folder, None, frozenset({"done"}))]
    for each in found:
        resumption.check_trusted(each, each.config(), trust=trust)
    return print_conditions(found, asked or default(), json=json)


@app.command(cls=_Command, help=_("Say what there is here, whether it works, and what to do where it does not."))
@takes_settings(only=("data_dir",))
def doctor(
    context: typer.Context,
    *,
    settings: dict[str, Any],
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console.doctor_command import print_doctor

    data_dir = Path(settings["data_dir"]) if settings else paths.default_data_dir()
    return print_doctor(folder_of(runs_dir or context.obj), data_dir, json=json)


@app.command("completion", cls=_Command, help=_("Print what completes commands, options and runs in your shell."))
def print_completion(
    shell: Annotated[
        str | None,
        typer.Argument(
            metavar="|".join(completion.SHELLS),
            help=_("A shell (yours if none is given). In its startup file: {line}").format(
                line=completion.STARTUP_LINE
            ),
            autocompletion=lambda: list(completion.SHELLS),
        ),
    ] = None,
    lang: Lang = None,
) -> None:
    print(completion.script(shell))


def _no_dashboard(instead: str = _("text mode, as with --no-ui")) -> bool:
    """Tell if the dashboard cannot be drawn here, and print why and what comes instead."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        text = _("No terminal: {instead}.")
    elif os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        text = _("This terminal cannot show the dashboard: {instead}.")
    else:
        return False
    print(text.format(instead=instead), file=sys.stderr)
    return True


def _open_dashboard(
    folder: Path,
    settings: dict[str, Any],
    run_id: str | None = None,
    resume: Request | None = None,
    at_end: AtEnd = AtEnd(),  # noqa: B008 - it is immutable
) -> int:
    from core.worker.process_title import entitle
    from tui_app.dashboard.app import MnistTui

    entitle()
    return MnistTui(folder, settings, run_id, resume=resume, at_end=at_end).run_in_terminal()
