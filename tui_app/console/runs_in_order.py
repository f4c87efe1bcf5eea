"""Keeping runs in order: deleting, renaming, tagging and annotating them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.comparing import deletion
from core.messages import InvalidSetting, Message, Problem
from core.runs import directory, labels, names
from core.runs.directory import Run, Summary
from core.runs.record import State
from tui_app import terminal, wording
from tui_app.console.json_output import print_document
from tui_app.i18n import _, ngettext, number, printable, say
from tui_app.run_selection import Selection


class Deletion(msgspec.Struct, frozen=True):
    """A run that was to be deleted, or that `--yes` would delete."""

    run: str
    """Id of the run."""
    name: str
    state: State
    size: int
    """Size of its files in bytes."""
    is_deleted: bool
    message: Message | None = None
    """Why it could not be deleted."""


def delete(runs_dir: Path, typed: Sequence[str], *, sure: bool, json: bool) -> int:
    """Name runs with their sizes, and delete them once the user agrees; return the exit code. Raises `Problem`.

    What is in progress before the user is asked stays, even if it has ended by the answer: it was not named.
    """
    found = {run.id: run for run in (directory.find(runs_dir, each) for each in typed)}
    summaries = {run.id: run.summary() for run in found.values()}
    whys = {run_id: deletion.why_it_stays(run, summaries[run_id].state) for run_id, run in found.items()}
    staying = {run_id: why for run_id, why in whys.items() if why is not None}
    sizes = _sizes(runs_dir, list(summaries.values()))
    ended = [summary for summary in summaries.values() if summary.id not in staying]
    if not json:
        _name(ended, sizes)
    if ended and not sure and not _agrees(len(ended), json=json):
        print(_("Nothing was deleted."), file=sys.stderr)
        return 1
    return _delete(runs_dir, list(summaries.values()), sizes, staying, json=json)


def prune(
    runs_dir: Path, selection: Selection, *, older_than_s: float | None, keep: int | None, sure: bool, json: bool
) -> int:
    """Name the runs that nobody seems to need, and delete them if the user is sure; return the exit code."""
    listed = selection.runs(directory.Listing(runs_dir).read())
    found = deletion.prunable(
        listed, older_than_s=older_than_s, keep=keep, marked=bool(selection.name or selection.tags)
    )
    sizes = _sizes(runs_dir, found)
    if not json:
        _name(found, sizes)
    if found and sure:
        return _delete(runs_dir, found, sizes, {}, json=json)
    if json:
        print_document([Deletion(each.id, each.name, each.state, sizes[each.id], False) for each in found])
    else:
        text = _("Nothing was deleted: --yes deletes them.") if found else _("There is nothing to prune.")
        print(text, file=sys.stderr)
    return 0


def rename(runs_dir: Path, typed: str, name: str) -> int:
    """Give a run another name, and return the exit code. Raises `Problem`."""
    run = directory.find(runs_dir, typed)
    names.rename(runs_dir, run.id, name)
    print(_("Run {run} is called {name}.").format(run=run.id, name=name), file=sys.stderr)
    return 0


def tag(runs_dir: Path, typed: str, tags: list[str], *, remove: bool) -> int:
    """Give a run tags, or take them away, and return the exit code. Raises `Problem`."""
    run = directory.find(runs_dir, typed)
    now = labels.tag(run.path, tags, remove=remove)
    text = _("Run {run} has the tags {tags}.") if now else _("Run {run} has no tag.")
    print(text.format(run=run.id, tags=", ".join(now)), file=sys.stderr)
    return 0


def note(runs_dir: Path, typed: str, text: str) -> int:
    """Write a note on a run, and return the exit code. Raises `Problem`."""
    run = directory.find(runs_dir, typed)
    labels.note(run.path, text)
    said = _("Run {run} has a note.") if text.strip() else _("Run {run} has no note.")
    print(said.format(run=run.id), file=sys.stderr)
    return 0


def _sizes(runs_dir: Path, summaries: Sequence[Summary]) -> dict[str, int]:
    return {summary.id: deletion.size_of(Run(runs_dir / summary.id)) for summary in summaries}


def _name(summaries: Sequence[Summary], sizes: dict[str, int]) -> None:
    """Print runs with their states and sizes, and the sum of these."""
    for summary in summaries:
        parts = [summary.id, printable(summary.name), wording.state_of(summary), wording.size(sizes[summary.id])]
        print("  ".join(filter(None, parts)), file=terminal.output())
    if len(summaries) > 1:
        text = ngettext("{count} run, {size}", "{count} runs, {size}", len(summaries))
        total = sum(sizes[summary.id] for summary in summaries)
        print(text.format(count=number(len(summaries)), size=wording.size(total)), file=terminal.output())


def _agrees(count: int, *, json: bool) -> bool:
    """Ask the user. Raises `InvalidSetting` if there is no terminal to ask on, or a program to be answered."""
    if json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidSetting("yes", "there is no terminal to ask on: add --yes to delete")
    question = ngettext("Delete this run? [y/N] ", "Delete these runs? [y/N] ", count)
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", _("y"), _("yes"))


def _delete(
    runs_dir: Path, summaries: Sequence[Summary], sizes: dict[str, int], staying: dict[str, Problem], *, json: bool
) -> int:
    """Delete runs but those `staying`, say why some stay, and return the exit code."""
    runs = [Run(runs_dir / summary.id) for summary in summaries if summary.id not in staying]
    problems = staying | deletion.delete(runs_dir, runs)
    if json:
        why = {run_id: problem.message for run_id, problem in problems.items()}
        print_document(
            [
                Deletion(each.id, each.name, each.state, sizes[each.id], each.id not in why, why.get(each.id))
                for each in summaries
            ]
        )
    for problem in problems.values():
        print(f"mnist-tui: {say(problem)}", file=sys.stderr)
    count = len(summaries) - len(problems)
    if count:
        text = ngettext("Deleted {count} run.", "Deleted {count} runs.", count)
        print(text.format(count=number(count)), file=sys.stderr)
    return int(bool(problems))
