"""The commands for other programs: runs in their formats, and the schema of what is printed as JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from core import paths
from tui_app.console.arguments import Lang, RunsDir, folder_of, run_argument
from tui_app.console.command_line import app
from tui_app.console.translated import Command
from tui_app.i18n import _

ExportedRuns = Annotated[list[str] | None, run_argument(_("Ids of runs (the newest one by default)."))]


@app.command(cls=Command, help=_("Write runs for other programs: as CSV files, or for TensorBoard."))
def export(
    context: typer.Context,
    run: ExportedRuns = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="csv|tensorboard", help=_("The format."), autocompletion=lambda: ["csv", "tensorboard"]),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            metavar=_("FOLDER"),
            show_default=False,
            help=_("The folder, in which each run gets one of its own. [default: exported]"),
        ),
    ] = "exported",
    every: Annotated[bool, typer.Option("--all", help=_("Write every run that has started."))] = False,
    live: Annotated[bool, typer.Option("--live", help=_("Go on writing while runs train, until they end."))] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_("Replace what was exported before."))] = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import export_command

    runs = export_command.chosen(folder_of(runs_dir or context.obj), run or (), every=every, live=live)
    return export_command.export(runs, to, paths.absolute(output), overwrites=overwrite, live=live)


@app.command(cls=Command, help=_("Print the JSON Schema of everything that --json prints."))
def schema(lang: Lang = None) -> None:
    from tui_app.console.schema_command import print_schema

    print_schema()
