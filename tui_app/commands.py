"""The command line: its commands and options, each text in the language in use."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths, runs
from core.config import RunConfig, setting_from_text
from core.problems import Problem
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
    """The library's own words in the help."""
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

RunId = Annotated[str | None, typer.Argument(metavar=_("RUN"), help=_("A run's id; the newest without one."))]
RunIdNeeded = Annotated[str, typer.Argument(metavar=_("RUN"), help=_("A run's id."))]
RunsDir = Annotated[
    str | None, typer.Option(metavar=_("FOLDER"), help=_("Where the runs are. [default: MNIST_TUI_RUNS, or yours]"))
]
Lang = Annotated[str | None, typer.Option(metavar="fr|en", help=_("The language. [default: the locale's]"))]
Json = Annotated[bool, typer.Option("--json", help=_("JSON on stdout instead of text."))]
NoUi = Annotated[bool, typer.Option("--no-ui", help=_("Train in the foreground and print, without the dashboard."))]


@app.callback(invoke_without_command=True, help=_("Train the exam's two networks on MNIST, and watch them learn."))
def dashboard(
    context: typer.Context,
    no_ui: NoUi = False,
    model: Annotated[
        str | None, typer.Option(metavar=_("NET"), help=_("RN_1, RN_2 or path/to/file.py:ClassName. [default: RN_1]"))
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar=_("NAME"), help=_("auto, cpu, cuda, cuda:N or mps. [default: auto]"))
    ] = None,
    epochs: Annotated[
        str | None, typer.Option(metavar="N", help=_("Passes over the training set. [default: 5]"))
    ] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="N", help=_("Images per batch. [default: 64]"))] = None,
    lr: Annotated[str | None, typer.Option(metavar="X", help=_("Adam's learning rate. [default: 0.001]"))] = None,
    seed: Annotated[str | None, typer.Option(metavar="N", help=_("Of all that is random. [default: drawn]"))] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar=_("NAME"), help=_("auto, mnist, fashion-mnist, kmnist, qmnist or sample. [default: auto]")
        ),
    ] = None,
    data_dir: Annotated[
        str | None, typer.Option(metavar=_("FOLDER"), help=_("Where the data are. [default: MNIST_TUI_DATA, or yours]"))
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="fp32|bf16", help=_("Of the arithmetic. [default: fp32]"))
    ] = None,
    threads: Annotated[str | None, typer.Option(metavar="N", help=_("On the CPU. [default: what suits it]"))] = None,
    exact: Annotated[
        bool,
        typer.Option("--exact", help=_("The exam program's own arithmetic: on the CPU its losses, digit for digit.")),
    ] = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int | None:
    context.obj = runs_dir
    if context.invoked_subcommand is not None:
        return None
    typed = {
        "model": model,
        "device": device,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "seed": seed,
        "dataset": dataset,
        "precision": precision,
        "threads": threads,
    }
    settings = {field: setting_from_text(field, text) for field, text in typed.items() if text is not None}
    if data_dir is not None:
        settings["data_dir"] = str(Path(data_dir).expanduser().absolute())
    if exact:
        settings["exact"] = True
    config = RunConfig(**settings)
    folder = _runs_dir(runs_dir)
    if no_ui or json or _no_dashboard():
        from tui_app import headless

        return headless.train(folder, config, json=json)
    return _open_dashboard(folder, settings)


@app.command(cls=_Command, help=_("Print the layer table of a network: of both without one."))
def layers(
    network: Annotated[str | None, typer.Argument(metavar=_("RN_1|RN_2|FILE:CLASS"), help=_("A network."))] = None,
    json: Json = False,
    lang: Lang = None,
) -> None:
    from tui_app import headless

    headless.print_layers([setting_from_text("model", network)] if network else ["RN_1", "RN_2"], json=json)


@app.command("runs", cls=_Command, help=_("List the runs."))
def list_runs(context: typer.Context, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None) -> None:
    from tui_app import headless

    headless.print_runs(_runs_dir(runs_dir or context.obj), json=json)


@app.command(cls=_Command, help=_("Open the dashboard on a run."))
def attach(context: typer.Context, run: RunId = None, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    folder = _runs_dir(runs_dir or context.obj)
    found = runs.find(folder, run)
    if _no_dashboard():
        from tui_app import headless

        return headless.follow(found, json=False)
    return _open_dashboard(folder, {}, found.id)


@app.command(cls=_Command, help=_("Print a run's lines from its start until it ends."))
def follow(
    context: typer.Context, run: RunId = None, json: Json = False, runs_dir: RunsDir = None, lang: Lang = None
) -> int:
    from tui_app import headless

    return headless.follow(runs.find(_runs_dir(runs_dir or context.obj), run), json=json)


@app.command(cls=_Command, help=_("Ask a run to stop: it saves a checkpoint first."))
def stop(context: typer.Context, run: RunIdNeeded, runs_dir: RunsDir = None, lang: Lang = None) -> None:
    found = runs.find(_runs_dir(runs_dir or context.obj), run)
    state = found.state()
    if state not in runs.LIVE:
        raise Problem("run {run} is not in progress", run=found.id)
    found.request_stop()
    print(_("Run {run} will stop at its next batch.").format(run=found.id), file=sys.stderr)


@app.command(cls=_Command, help=_("Go on with a run from its checkpoint."))
def resume(
    context: typer.Context,
    run: RunIdNeeded,
    no_ui: NoUi = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    folder = _runs_dir(runs_dir or context.obj)
    found = runs.find(folder, run)
    runs.check_resumable(found)
    if no_ui or json or _no_dashboard():
        from tui_app import headless

        return headless.resume(found, json=json)
    return _open_dashboard(folder, {}, found.id, resume=True)


def _runs_dir(given: str | None) -> Path:
    return Path(given).expanduser().absolute() if given else paths.default_runs_dir()


def _no_dashboard() -> bool:
    """Whether there is no terminal to draw on; if so, says it."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(_("No terminal: training in text, as with --no-ui."), file=sys.stderr)
        return True
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        print(_("This terminal cannot show the dashboard: text only, as with --no-ui."), file=sys.stderr)
        return True
    return False


def _open_dashboard(folder: Path, settings: dict[str, Any], run_id: str | None = None, resume: bool = False) -> int:
    from tui_app.app import MnistTui

    return MnistTui(folder, settings, run_id, resume=resume).run_in_terminal()
