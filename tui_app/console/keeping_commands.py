"""The list of runs, and what keeps it in order: deleting, naming, tags and notes."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from core.messages import InvalidSetting, Problem
from core.runs import deletion, directory, labels
from core.runs.directory import Run, Summary
from tui_app import run_columns, wording
from tui_app.console.arguments import Json, Lang, RunIds, RunsDir, folder_of, run_argument
from tui_app.console.command_line import Command, CommandGroup, app
from tui_app.i18n import _, ngettext, say

_WITHOUT_RESULT = ("crashed", "failed", "diverged")

RunName = Annotated[str, run_argument(_("A run's id."))]
Yes = Annotated[bool, typer.Option("--yes", help=_("Do it without asking."))]
State = Annotated[
    str | None,
    typer.Option(
        metavar=_("STATE,..."),
        help=_("Runs in one of these states."),
        autocompletion=lambda: list(run_columns.STATES),
    ),
]
Model = Annotated[str | None, typer.Option(metavar=_("TEXT"), help=_("Runs whose network's name contains this."))]
Name = Annotated[str | None, typer.Option(metavar=_("PATTERN"), help=_("Runs whose id or name is like this: job-*."))]
Tag = Annotated[str | None, typer.Option(metavar=_("TAG"), help=_("Runs with this tag."))]
Since = Annotated[
    str | None, typer.Option(metavar=_("TIME"), help=_("Runs created since then: 12h, 7d, 2w, or 2026-11-26."))
]

runs_app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    options_metavar=_("[OPTIONS]"),
    subcommand_metavar=_("[COMMAND] [ARGUMENTS]..."),
)
app.add_typer(runs_app, name="runs", help=_("List the runs, and keep them in order."))


@runs_app.callback(invoke_without_command=True)
def list_runs(
    context: typer.Context,
    state: State = None,
    model: Model = None,
    name: Name = None,
    tag: Tag = None,
    since: Since = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar=_("COLUMN"),
            help=_("Sort by this column; downwards with a - before it."),
            autocompletion=lambda: list(run_columns.columns()),
        ),
    ] = None,
    limit: Annotated[str | None, typer.Option(metavar="N", help=_("At most so many runs."))] = None,
    columns: Annotated[
        str | None, typer.Option(metavar=_("COLUMN,..."), help=_("The columns to show, instead of the usual ones."))
    ] = None,
    differing: Annotated[
        bool, typer.Option("--differing", help=_("Show only what is not the same for all of these runs."))
    ] = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> None:
    context.obj = runs_dir or context.obj
    if context.invoked_subcommand is not None:
        return
    from tui_app.console.listing_commands import print_runs

    typed = _typed(state=state, model=model, name=name, tag=tag, since=since, sort=sort, limit=limit)
    keys = [each for each in (columns or "").replace(" ", ",").split(",") if each]
    print_runs(folder_of(context.obj), run_columns.selection(**typed), keys, differing=differing, json=json)


@runs_app.command(cls=Command, help=_("Delete runs; none in progress."))
def delete(context: typer.Context, run: RunIds, yes: Yes = False, runs_dir: RunsDir = None, lang: Lang = None) -> int:
    folder = folder_of(runs_dir or context.obj)
    found = [directory.find(folder, each) for each in dict.fromkeys(run)]
    for each in found:
        if not deletion.is_deletable(each):
            raise deletion.in_progress(each)
    if not yes and not _agrees(found):
        return 1
    return _delete(folder, found)


@runs_app.command(cls=Command, help=_("Delete runs that ended without a result; shows which unless --yes is given."))
def prune(
    context: typer.Context,
    state: State = None,
    model: Model = None,
    name: Name = None,
    tag: Tag = None,
    older_than: Annotated[
        str | None, typer.Option(metavar=_("TIME"), help=_("Only runs created before then: 12h, 7d, 2w, or a date."))
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help=_("Delete them."))] = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    folder = folder_of(runs_dir or context.obj)
    typed = _typed(state=state or ",".join(_WITHOUT_RESULT), model=model, name=name, tag=tag)
    before = run_columns.moment(older_than) if older_than else time.time() + timedelta(days=1).total_seconds()
    selected = run_columns.selection(**typed).of(directory.Listing(folder).read())
    summaries = {one.id: one for one in selected if one.created <= before}
    found = [run for run in (Run(folder / run_id) for run_id in summaries) if deletion.is_deletable(run)]
    if not found:
        print(_("There is nothing to delete."), file=sys.stderr)
        return 0
    if yes:
        return _delete(folder, found)
    for run in found:
        print(_describe(run, summaries[run.id]))
    text = ngettext(
        "{count} run, {size}: add --yes to delete it.", "{count} runs, {size}: add --yes to delete them.", len(found)
    )
    total = sum(deletion.size(run) for run in found)
    print(text.format(count=len(found), size=wording.size(total)), file=sys.stderr)
    return 0


@runs_app.command(cls=Command, help=_("Give a run a name, as --name does; the one it had is free then."))
def rename(
    context: typer.Context,
    run: RunName,
    name: Annotated[str, typer.Argument(metavar=_("NAME"), help=_("The new name."))],
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> None:
    found = directory.find(folder_of(runs_dir or context.obj), run)
    labels.rename(found.path, found.summary().name, name)


@runs_app.command(cls=Command, help=_("Give a run tags."))
def tag(
    context: typer.Context,
    run: RunName,
    tags: Annotated[list[str], typer.Argument(metavar=_("TAG..."), help=_("Tags."))],
    remove: Annotated[bool, typer.Option("--remove", help=_("Take these tags from it instead."))] = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> None:
    path = directory.find(folder_of(runs_dir or context.obj), run).path
    labels.tag(path, [] if remove else tags, tags if remove else [])


@runs_app.command(cls=Command, help=_("Give a run a note; an empty one removes it."))
def note(
    context: typer.Context,
    run: RunName,
    text: Annotated[str, typer.Argument(metavar=_("TEXT"), help=_("The note."))],
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> None:
    labels.annotate(directory.find(folder_of(runs_dir or context.obj), run).path, text)


def _typed(**given: str | None) -> dict[str, str]:
    return {name: value for name, value in given.items() if value is not None}


def _describe(run: Run, summary: Summary) -> str:
    what = [run.id, wording.state_of(summary), run_columns.settings_line(summary), wording.size(deletion.size(run))]
    return "  ".join(filter(None, what))


def _agrees(found: Sequence[Run]) -> bool:
    """Ask whether to delete runs; without a terminal to ask on, the answer must be given by an option."""
    for run in found:
        print(_describe(run, run.summary()), file=sys.stderr)
    if not sys.stdin.isatty():
        raise InvalidSetting("yes", "add --yes to delete them: there is no terminal to ask on")
    text = ngettext("Delete {count} run? [y/N]", "Delete {count} runs? [y/N]", len(found))
    print(text.format(count=len(found)), end=" ", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes", _("y"), _("yes"))


def _delete(folder: Path, found: Sequence[Run]) -> int:
    """Delete runs, print each with its size, and return the exit code: 1 if one could not be deleted."""
    code = 0
    deletion.sweep(folder)
    for run in found:
        try:
            print(_("{run} deleted, {size}").format(run=run.id, size=wording.size(deletion.delete(run))))
        except Problem as problem:
            print(f"mnist-tui: {say(problem)}", file=sys.stderr)
            code = 1
    return code
