"""`mnist-tui exam --mark`: the marks of copies, their mistakes, and a page of feedback for each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from core.exam import copies, examined, marked_copies
from core.exam.examined import Examined
from core.exam.marked_copies import CountedCell, CountedMistake, MarkedCopy
from core.messages import N_, Problem
from tui_app import tables, terminal
from tui_app.console import exam_files, exam_json, json_output
from tui_app.console.exam_json import UnreadCopy
from tui_app.console.status_line import StatusLine
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _, ngettext, number, printable, say
from tui_app.report import exam_sheets, spreadsheet
from tui_app.report.feedback_pages import FeedbackPages, PageFormat, joined, rounded

_MOST_COLUMNS = 4
"""Networks that have a column of their own in the table of marks."""
_SHOWN_CELLS = 3


@dataclass(frozen=True)
class MarkingRequest:
    """What is asked of a marking."""

    files: Sequence[str]
    models: Sequence[str]
    seed: int | None
    """The seed of the exercises; None if they may be of any."""
    output: Path | None
    """Folder for the tables and pages; None if there are to be none."""
    page_format: PageFormat
    with_key: bool
    overwrites: bool
    json: bool


def mark(request: MarkingRequest) -> int:
    """Mark copies, and return the exit code: 1 if one could not be read. Raises `Problem`."""
    found, unread = exam_files.named_copies(request.files)
    pages = _pages(request, found)
    chosen = _chosen(request)
    status = StatusLine(sys.stderr)
    for folder in unread:
        status.note(_line(folder))
    marked: dict[Path, MarkedCopy] = {}
    for done, (path, name) in enumerate(zip(found, exam_files.shown_names(found), strict=True)):
        status.draw_share(_("Marking"), done / len(found), printable(name))
        try:
            marked[path] = marked_copies.mark_copy(name, copies.read(path), chosen)
        except Problem as problem:
            unread.append(UnreadCopy(name, problem.message))
            status.note(_line(unread[-1]))
        else:
            if remarks := joined(map(say, marked[path].remarks)):
                status.note(_line_of(name, remarks))
    status.erase()
    _give(
        request,
        _Marking(list(marked.values()), unread),
        {pages[path]: marked[path] for path in marked if pages},
        chosen,
    )
    return 1 if unread else 0


@dataclass(frozen=True)
class _Marking:
    copies: list[MarkedCopy]
    unread: list[UnreadCopy]

    @property
    def networks(self) -> list[str]:
        return list(dict.fromkeys(sheet.model for copy in self.copies for sheet in copy.sheets))

    @property
    def mistakes(self) -> list[CountedMistake]:
        return marked_copies.count_mistakes(self.copies)


def _chosen(request: MarkingRequest) -> Examined:
    """Return the networks, once it is known that each can be built."""
    chosen = Examined(request.models, request.seed)
    if examined.needs_torch(request.models):
        prepare_for_torch()
    for label in chosen.labels:
        chosen.table(label)
    return chosen


def _pages(request: MarkingRequest, found: Sequence[Path]) -> dict[Path, Path]:
    """Return the page of each copy, none if there are to be none. Raises `Problem` if a file is there already."""
    if request.output is None:
        return {}
    folder = request.output.resolve()
    if any(path.parent.resolve() == folder for path in found):
        advice = N_("Choose another folder with --output.")
        raise Problem("the pages would lie among the copies, in {path}", advice=advice, path=str(request.output))
    written = exam_files.page_paths(found, request.output, request.page_format)
    exam_files.check_new([*written, *_table_paths(request.output)], overwrites=request.overwrites)
    return dict(zip(found, written, strict=True))


def _table_paths(folder: Path) -> list[Path]:
    return [folder / name for name in ("marks.csv", "mistakes.csv", "marks.json")]


def _give(request: MarkingRequest, marking: _Marking, pages: dict[Path, MarkedCopy], chosen: Examined) -> None:
    """Print the marks, and write what was asked for."""
    printed = exam_json.printed(marking.copies, marking.mistakes, marking.unread, with_key=request.with_key)
    if request.output is not None:
        feedback = FeedbackPages(request.page_format, with_key=request.with_key)
        known = {label: chosen.table(label) for label in marking.networks}
        contents = (
            spreadsheet.encoded(_mark_rows(marking)),
            spreadsheet.encoded(_mistake_rows(marking)),
            msgspec.json.format(json_output.line_of(printed)).encode(),
        )
        exam_files.write(dict(zip(_table_paths(request.output), contents, strict=True)))
        exam_files.write({path: feedback.page(copy, known) for path, copy in pages.items()})
        print(_("Written: {path}").format(path=printable(str(request.output))), file=sys.stderr)
    if request.json:
        json_output.print_document(printed)
    elif marking.copies:
        _print(marking)


def _line(unread: UnreadCopy) -> str:
    return _line_of(unread.file, say(unread.message))


def _line_of(file: str, text: str) -> str:
    return _("{what}: {reason}").format(what=printable(file), reason=text)


def _print(marking: _Marking) -> None:
    heading, *rows = _mark_rows(marking)
    tables.print_table(_grid(heading, rows, left={0, 1, *_network_names_column(marking)}))
    heading, *rows = _mistake_rows(marking, _SHOWN_CELLS, number)
    if rows:
        print(file=terminal.output())
        tables.print_table(_grid(heading, rows, left={0, 3}))


def _grid(heading: Sequence[str], rows: Sequence[Sequence[str]], left: set[int]) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for place, name in enumerate(heading):
        grid.add_column(name, justify="left" if place in left else "right", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(printable(cell)) for cell in row))
    return grid


def _network_names_column(marking: _Marking) -> set[int]:
    return {2} if len(marking.networks) > _MOST_COLUMNS else set()


def _mark_rows(marking: _Marking) -> Iterator[tuple[str, ...]]:
    """Yield the headings and the rows of the table of marks; where there are many networks, they share a column."""
    names = marking.networks if len(marking.networks) <= _MOST_COLUMNS else []
    yield (_("Name"), _("File"), *(names or [_("Networks")]), _("Points"), _("of"), _("Mark out of 20"))
    for copy in marking.copies:
        points = {sheet.model: rounded(sheet.points) for sheet in copy.sheets}
        networks = [points.get(name, "") for name in names] or [", ".join(points)]
        yield (copy.student, copy.file, *networks, rounded(copy.points), rounded(copy.out_of), rounded(copy.mark))


def _mistake_rows(
    marking: _Marking, most_cells: int | None = None, written: Callable[[int], str] = str
) -> Iterator[tuple[str, ...]]:
    """Yield the headings and the rows of the table of mistakes, with at most so many cells.

    A spreadsheet takes a number with groups of digits for text: `written` makes these, for the terminal alone.
    """
    yield (_("Mistake"), _("Times"), _("Copies"), _("Cells"))
    for mistake in marking.mistakes:
        cells = [_cell(each) for each in mistake.cells[:most_cells]]
        if more := len(mistake.cells) - len(cells):
            cells.append(ngettext("{count} other cell", "{count} other cells", more).format(count=number(more)))
        text = say(exam_json.mistake_text(mistake.kind))
        yield (text, written(mistake.times), written(mistake.copies), joined(cells))


def _cell(cell: CountedCell) -> str:
    """Return a cell and how often a mistake was made in it, which stays in its line: `RN_1 fc1, Output size ×3`."""
    heading = exam_sheets.column_headings()[cell.column]
    return f"{cell.network} {cell.layer}, {heading}" + (f"\u00a0×{cell.times}" if cell.times > 1 else "")
