"""The commands that start something: runs, comparisons, tests of the runs there are; and what describes this place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths
from core.catalogue import EXAM_PAIR, NETWORKS
from core.config import RECORDING, RunConfig, check_new, setting_from_text
from core.runs import directory, resumption
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
    RunsDir,
    Trust,
    Version,
    folder_of,
    network_argument,
)
from tui_app.console.command_line import app
from tui_app.console.launchers import refuse_several_processes
from tui_app.console.opening import no_dashboard, open_dashboard
from tui_app.console.options import takes_settings
from tui_app.console.translated import Command
from tui_app.i18n import _


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
            return job_commands.train_detached(folder, name or "", settings, on_end, json=json)
        return job_commands.train_named(folder, name or "", settings, at_end, json=json)
    refuse_several_processes()
    if no_ui or json or no_dashboard():
        from tui_app.console import training_command

        return training_command.train(folder, config, at_end, json=json)
    return open_dashboard(folder, settings, at_end=at_end)


@app.command(cls=Command, help=_("Print the layer table of a network (of each built-in one if none is given)."))
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


@app.command(
    cls=Command, help=_("Train configurations on the same seeds, and tell which is better, and how confidently.")
)
@takes_settings(without=("model", "seed", "exact", *RECORDING))
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
    together: Annotated[
        bool,
        typer.Option(
            "--together",
            help=_("Train the seeds of a network at once, equal up to rounding: on a GPU far sooner than one by one."),
        ),
    ] = False,
    devices: Annotated[
        str | None,
        typer.Option(
            metavar=_("all|NAME,..."),
            show_default=False,
            help=_("Devices to train on: all GPUs, or the CPU without one. [default: all]"),
        ),
    ] = None,
    per_device: Annotated[
        str | None,
        typer.Option(
            metavar="N",
            show_default=False,
            help=_("Runs on each device at once. [default: 1 on a GPU, as many as there are cores for on the CPU]"),
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar=_("ray|ray://HOST:PORT|slurm"),
            show_default=False,
            help=_("Train on a cluster: the Ray cluster of this machine or of an address, or Slurm's."),
        ),
    ] = None,
    slurm: Annotated[
        str | None,
        typer.Option(
            metavar=_("NAME=VALUE,..."),
            show_default=False,
            help=_("With --on slurm: what each job asks for, such as partition=gpu,gres=gpu:1,time=30, and workers=N."),
        ),
    ] = None,
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
    from core.comparing.parts import check_per_device
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
        together=together,
        devices=compare_command.check_devices(devices, settings.get("device", "auto")),
        per_device=check_per_device(per_device) if per_device is not None else 0,
        cluster=compare_command.check_cluster(on, devices, per_device, slurm),
        slurm=compare_command.check_slurm(slurm),
        json=json,
    )
    return compare_command.compare(folder_of(runs_dir or context.obj), request)


@app.command(cls=Command, help=_("Show where the runs of comparisons in progress are trained, and how fast."))
def slots(context: typer.Context, *, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    from tui_app.console.slots_command import print_slots

    return print_slots(folder_of(runs_dir or context.obj), json=json)


@app.command(cls=Command, help=_("Test finished runs on shifted, rotated and noisy digits, without retraining."))
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


@app.command(cls=Command, help=_("Say what there is here, whether it works, and what to do where it does not."))
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


@app.command("completion", cls=Command, help=_("Print what completes commands, options and runs in your shell."))
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
