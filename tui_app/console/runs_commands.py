"""The command `runs` and its own commands: a list of runs, and what keeps them in order."""

from __future__ import annotations

from typing import Annotated, get_args

import typer

from core.runs.record import State
from tui_app import run_columns
from tui_app.console.arguments import Json, Lang, RunsDir, folder_of, network_names, run_argument
from tui_app.console.command_line import app
from tui_app.console.translated import Command, group
from tui_app.i18n import _
from tui_app.run_selection import Selection, age_s, from_words, number

runs = group(invoke_without_command=True)
app.add_typer(runs, name="runs", help=_("List the runs, find some of them, and keep them in order."))

_ENDED = tuple(state for state in get_args(State) if state in ("done", "stopped", "diverged", "failed", "crashed"))


def _words() -> list[str]:
    return [column.word for column in run_columns.all_columns()]


States = Annotated[
    str | None,
    typer.Option(
        "--state",
        metavar=_("STATE,..."),
        help=_("Only runs in these states: done, stopped, crashed…"),
        autocompletion=lambda: list(get_args(State)),
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar=_("TEXT"),
        help=_("Only runs whose network has this in its name."),
        autocompletion=network_names,
    ),
]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar=_("TEXT"), help=_("Only runs with this in their name; * stands for anything.")),
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar=_("TAG"), help=_("Only runs with this tag."))]
Run = Annotated[str, run_argument(_("A run's id or name."))]
Runs = Annotated[list[str], run_argument(_("Ids or names of runs."))]
EndedRuns = Annotated[list[str], run_argument(_("Ids or names of runs."), *_ENDED)]
Yes = Annotated[bool, typer.Option("--yes", help=_("Delete without asking."))]


@runs.callback()
def list_runs(
    context: typer.Context,
    state: States = None,
    model: Model = None,
    name: Name = None,
    tag: Tags = None,
    since: Annotated[
        str | None,
        typer.Option(metavar=_("TIME"), help=_("Only runs started since: 2026-11-26, or 30min, 12h, 3d, 2w ago.")),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar=_("COLUMN"),
            help=_("Sort by a column; with a minus before it, from the greatest: -accuracy."),
            autocompletion=_words,
        ),
    ] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="N", help=_("At most N runs: the newest, or with --sort the first."))
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar=_("COLUMN,..."), help=_("Columns to show: {words}.").format(words=", ".join(_words()))),
    ] = None,
    differing: Annotated[
        bool, typer.Option("--differing", help=_("Show only the columns in which the runs differ."))
    ] = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> None:
    context.obj = runs_dir or context.obj
    if context.invoked_subcommand is not None:
        return
    from tui_app.console.listing_commands import print_runs

    selection = _selection(
        state=state, model=model, name=name, tag=tag, since=since, sort=sort, limit=limit, columns=columns
    )
    if differing:
        selection = from_words([("differing", "")], selection)
    print_runs(folder_of(context.obj), selection, json=json)


@runs.command(cls=Command, help=_("Delete runs. What is in progress stays."))
def delete(
    context: typer.Context,
    run: EndedRuns,
    yes: Yes = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import runs_in_order

    return runs_in_order.delete(folder_of(runs_dir or context.obj), run, sure=yes, json=json)


@runs.command(
    cls=Command,
    help=_("Delete runs that nobody needs.")
    + " "
    + _(
        "It shows those that failed, diverged or crashed before their first epoch was done, or all that have ended and"
        " that --older-than or --keep name; --yes deletes them. Runs with a name, a tag or a note stay, unless --name"
        " or --tag chooses them."
    ),
)
def prune(
    context: typer.Context,
    state: States = None,
    model: Model = None,
    name: Name = None,
    tag: Tags = None,
    older_than: Annotated[
        str | None, typer.Option(metavar=_("AGE"), help=_("Every run that ended so long ago: 12h, 30d, 8w."))
    ] = None,
    keep: Annotated[str | None, typer.Option(metavar="N", help=_("Every run but the newest N."))] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("Delete them."))] = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import runs_in_order

    return runs_in_order.prune(
        folder_of(runs_dir or context.obj),
        _selection(state=state, model=model, name=name, tag=tag),
        older_than_s=age_s(older_than) if older_than is not None else None,
        keep=number("keep", keep) if keep is not None else None,
        sure=yes,
        json=json,
    )


@runs.command(cls=Command, help=_("Give a run a name, in place of the one it has."))
def rename(
    context: typer.Context,
    run: Run,
    name: Annotated[str, typer.Argument(metavar=_("NAME"), help=_("A name that no other run has."))],
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import runs_in_order

    return runs_in_order.rename(folder_of(runs_dir or context.obj), run, name)


@runs.command(cls=Command, help=_("Give a run tags, by which it is found."))
def tag(
    context: typer.Context,
    run: Run,
    tags: Annotated[list[str], typer.Argument(metavar=_("TAG..."), help=_("Words without blanks."))],
    remove: Annotated[bool, typer.Option("--remove", help=_("Take these tags away."))] = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import runs_in_order

    return runs_in_order.tag(folder_of(runs_dir or context.obj), run, tags, remove=remove)


@runs.command(cls=Command, help=_("Write a note on a run, in place of the one before."))
def note(
    context: typer.Context,
    run: Run,
    text: Annotated[list[str], typer.Argument(metavar=_("TEXT"), help=_('The note; "" removes it.'))],
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import runs_in_order

    return runs_in_order.note(folder_of(runs_dir or context.obj), run, " ".join(text))


def _selection(*, tag: list[str] | None = None, **given: str | None) -> Selection:
    """Make a selection of the options that were given. Raises `InvalidSetting`."""
    words = [(word, value) for word, value in given.items() if value is not None]
    return from_words([*words, *(("tag", each) for each in tag or ())])
