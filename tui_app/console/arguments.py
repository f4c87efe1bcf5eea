"""The arguments and options that commands have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core import paths
from core.catalogue import EXAM_PAIR, NETWORKS
from core.runs.record import LIVE, RESUMABLE, UNENDED, State
from tui_app.console import completion
from tui_app.i18n import LANGUAGES, _


def folder_of(given: str | None) -> Path:
    """Return the folder of the runs, given the value of `--runs-dir`."""
    return paths.absolute(given) if given else paths.default_runs_dir()


def run_argument(help: str, *states: State) -> Any:
    """Make the argument RUN, completed with the ids of runs in any state or in one of these."""
    return typer.Argument(metavar=_("RUN"), help=help, autocompletion=completion.runs_in(folder_of, *states))


def print_version(wanted: bool) -> None:
    """Print the version and exit, if that is `wanted`."""
    if wanted:
        from core.doctor import version

        print(f"mnist-tui {version() or '?'}")
        raise typer.Exit()


def network_names() -> list[str]:
    """Return the names that complete a network."""
    return list(NETWORKS)


RunId = Annotated[str | None, run_argument(_("A run's id (the newest if none is given)."))]
RunIds = Annotated[list[str], run_argument(_("Ids of runs."))]
RunInProgress = Annotated[str | None, run_argument(_("A run's id (the one in progress if none is given)."), *UNENDED)]
RunLive = Annotated[str | None, run_argument(_("A run's id (the newest in progress if none is given)."), *LIVE)]
RunToResume = Annotated[
    str | None, run_argument(_("A run's id (the newest to be resumed if none is given)."), *RESUMABLE)
]
FinishedRuns = Annotated[list[str] | None, run_argument(_("Ids of runs (the newest finished one by default)."), "done")]
Trust = Annotated[
    bool, typer.Option("--trust", help=_("Execute the network's file although the run is another user's."))
]
Configurations = Annotated[
    list[str] | None,
    typer.Argument(
        metavar=_("CONFIG"),
        autocompletion=network_names,
        show_default=False,
        help=_("Networks, two or more; any may have settings of its own: RN_2 RN_2+dropout=0.3.")
        + " "
        + _("[default: {default}]").format(default=" ".join(EXAM_PAIR)),
    ),
]
RunsDir = Annotated[
    str | None,
    typer.Option(metavar=_("FOLDER"), help=_("Folder of the runs. [default: MNIST_TUI_RUNS, or your user folder]")),
]
Lang = Annotated[str | None, typer.Option(metavar="|".join(LANGUAGES), help=_("The language. [default: the locale's]"))]
Json = Annotated[bool, typer.Option("--json", help=_("Print JSON on stdout instead of text."))]
Version = Annotated[
    bool, typer.Option("--version", callback=print_version, is_eager=True, help=_("Print the version and exit."))
]
NoUi = Annotated[bool, typer.Option("--no-ui", help=_("Train in the foreground and print, without the dashboard."))]

OnEnd = Annotated[
    str,
    typer.Option(
        metavar=_("COMMAND"),
        show_default=False,
        help=_("Shell command for the end of the run, told of it by MNIST_TUI_RUN, MNIST_TUI_STATE and others."),
    ),
]
Notify = Annotated[
    bool, typer.Option("--notify/--no-notify", help=_("Have the terminal say when a run of 20 s or more ends."))
]


def network_argument() -> Any:
    """Make the argument for a network."""
    metavar = "|".join((*NETWORKS, _("FILE:CLASS")))
    return typer.Argument(metavar=metavar, help=_("A network."), autocompletion=network_names)
