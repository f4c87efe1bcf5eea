"""Keeping runs in order: deleting, renaming, tagging and annotating them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.comparing import deletion
from core.messages import InvalidSetting
from core.runs import directory, labels, names
from core.runs.directory import Run, Summary
from tui_app import terminal, wording
from tui_app.i18n import _, ngettext, number, printable, say
from tui_app.run_selection import Selection


def delete(runs_dir: Path, typed: Sequence[str], *, sure: bool) -> int:
    """Name runs with their sizes, and delete them once the user agrees; return the exit code. Raises `Problem`.

    What is in progress before the user is asked stays, even if it has ended by the answer: it was not named.
    """
    found = {run.id: run for run in (directory.find(runs_dir, each) for each in typed)}
    ended: list[Summary] = []
    for run in found.values():
        summary = run.summary()
        if why := deletion.why_it_stays(run, summary.state):
            print(f"mnist-tui: {say(why)}", file=sys.stderr)
        else:
            ended.append(summary)
    _name(runs_dir, ended)
    if ended and not sure and not _agrees(len(ended)):
        print(_("Nothing was deleted."), file=sys.stderr)
        return 1
    return _delete(runs_dir, ended) or int(len(ended) < len(found))


def prune(runs_dir: Path, selection: Selection, *, older_than_s: float | None, keep: int | None, sure: bool) -> int:
    """Name the runs that nobody seems to need, and delete them if the user is sure; return the exit code."""
    listed = selection.runs(directory.Listing(runs_dir).read())
    found = deletion.prunable(
        listed, older_than_s=older_than_s, keep=keep, marked=bool(selection.name or selection.tags)
    )
    if not found:
        print(_("There is nothing to prune."), file=sys.stderr)
        return 0
    _name(runs_dir, found)
    if not sure:
        print(_("Nothing was deleted: --yes deletes them."), file=sys.stderr)
        return 0
    return _delete(runs_dir, found)


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


def _name(runs_dir: Path, summaries: Sequence[Summary]) -> None:
    """Print runs with their states and sizes, and the sum of these."""
    total = 0
    for summary in summaries:
        size = deletion.size_of(Run(runs_dir / summary.id))
        total += size
        parts = [summary.id, printable(summary.name), wording.state_of(summary), wording.size(size)]
        print("  ".join(filter(None, parts)), file=terminal.output())
    if len(summaries) > 1:
        text = ngettext("{count} run, {size}", "{count} runs, {size}", len(summaries))
        print(text.format(count=number(len(summaries)), size=wording.size(total)), file=terminal.output())


def _agrees(count: int) -> bool:
    """Ask the user. Raises `InvalidSetting` if there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidSetting("yes", "there is no terminal to ask on: add --yes to delete")
    question = ngettext("Delete this run? [y/N] ", "Delete these runs? [y/N] ", count)
    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes", _("y"), _("yes"))


def _delete(runs_dir: Path, summaries: Sequence[Summary]) -> int:
    problems = deletion.delete(runs_dir, [Run(runs_dir / summary.id) for summary in summaries])
    for problem in problems:
        print(f"mnist-tui: {say(problem)}", file=sys.stderr)
    count = len(summaries) - len(problems)
    if count:
        text = ngettext("Deleted {count} run.", "Deleted {count} runs.", count)
        print(text.format(count=number(count)), file=sys.stderr)
    return int(bool(problems))
