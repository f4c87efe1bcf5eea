"""A page of feedback for each copy of a sheet: what each cell was marked with, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from core.exam import feedback, marking
from core.exam.marked_copies import FULL_MARK, MarkedCopy
from core.exam.sheet import Mark, MarkedSheet, State
from core.networks.layer_table import LayerTable
from tui_app import i18n
from tui_app.i18n import _, printable, say, short
from tui_app.report import exam_sheets, pages

if TYPE_CHECKING:  # loaded only when pages are written
    from jinja2 import Environment

PageFormat = Literal["html", "md"]

SIGNS: dict[State, str] = {"right": "✓", "form": "≈", "empty": "–", "unreadable": "?", "wrong": "✗"}
"""Signs of the states, which colours only repeat."""


@dataclass(frozen=True)
class _FeedbackCell:
    """A cell with its mark; `state` is empty if there was nothing to write."""

    state: State | Literal[""]
    answer: str
    heading: str
    """Name of its column."""
    points: str = ""
    said: str = ""
    """What its mark says."""
    right: str = ""
    """The right answer, if it is given away and was missed."""

    @property
    def sign(self) -> str:
        return SIGNS[self.state] if self.state else ""


@dataclass(frozen=True)
class _FeedbackRow:
    layer: str
    cells: tuple[_FeedbackCell, ...]


@dataclass(frozen=True)
class _FeedbackNetwork:
    name: str
    points: str
    rows: tuple[_FeedbackRow, ...]


@dataclass(frozen=True)
class _FeedbackPage:
    """The page of a copy. Its texts may hold anything: each format escapes them in its own way."""

    language: str
    title: str
    student: str
    result: str
    remarks: tuple[str, ...]
    networks: tuple[_FeedbackNetwork, ...]
    headings: tuple[str, ...]
    scheme: tuple[str, ...]
    right_label: str


class FeedbackPages:
    """The writer of pages in one format; `with_key` tells if the right answers are on them."""

    def __init__(self, page_format: PageFormat, *, with_key: bool) -> None:
        self._format = page_format
        self._with_key = with_key

    def page(self, copy: MarkedCopy, tables: Mapping[str, LayerTable]) -> bytes:
        """Return the page of a copy, which has nothing of any other; `tables` has the table of each network in it."""
        networks = tuple(self._network(sheet, tables[sheet.model]) for sheet in copy.sheets)
        page = _FeedbackPage(
            language=i18n.language(),
            title=_("Annexe 1: feedback"),
            student=copy.student or copy.file,
            result=result(copy),
            remarks=tuple(map(say, copy.remarks)),
            networks=networks,
            headings=(_("Name"), *exam_sheets.column_headings().values()),
            scheme=scheme(),
            right_label=_("Right: {answer}"),
        )
        text = self._templates.get_template(f"feedback.{self._format}").render(page=page)
        return text.encode("utf-8", errors="replace")

    @cached_property
    def _templates(self) -> Environment:
        from markupsafe import Markup

        if self._format == "html":
            return pages.environment(printable)
        return pages.environment(lambda text: Markup(pages.plain(text)))

    def _network(self, sheet: MarkedSheet, table: LayerTable) -> _FeedbackNetwork:
        rows = tuple(
            _FeedbackRow(
                layer.name,
                tuple(self._cell(mark, table, row) for mark in sheet.row(row)),
            )
            for row, layer in enumerate(table.layers)
        )
        return _FeedbackNetwork(sheet.model, _points(sheet.points, sheet.out_of), rows)

    def _cell(self, mark: Mark, table: LayerTable, row: int) -> _FeedbackCell:
        heading = exam_sheets.column_headings()[mark.column]
        if not mark.out_of and mark.state in ("right", "empty"):
            return _FeedbackCell("", mark.answer, heading)
        is_missed = mark.state != "right"
        right = exam_sheets.right_answer(table.layers[row], mark.column) if self._with_key and is_missed else ""
        said = _said(mark) if is_missed and mark.state != "empty" else ""
        return _FeedbackCell(mark.state, mark.answer, heading, _points(mark.points, mark.out_of), said, right)


def result(copy: MarkedCopy) -> str:
    """Return a copy's points and its mark: `31.5 of 42 points, a mark of 15 out of 20`."""
    return _("{points} of {all} points, a mark of {mark} out of {full}").format(
        points=rounded(copy.points), all=rounded(copy.out_of), mark=rounded(copy.mark), full=FULL_MARK
    )


def rounded(points: float) -> str:
    """Format points, or a mark: `15`, or `31.25`."""
    return short(round(points, 2))


def joined(texts: Iterable[str]) -> str:
    """Put texts into one line, apart as the language writes it."""
    return _("; ").join(texts)


def scheme() -> tuple[str, ...]:
    """Return the scheme after which cells are marked, in sentences."""
    one, two = (short(points) for points in marking.MISTAKE_POINTS[1:])
    texts = (
        _("A cell has 1 point if it is right, and {points} if it is right but for the form.").format(
            points=short(marking.FORM_POINTS)
        ),
        _("One mistake that can be named leaves {one}, two leave {two}; another wrong cell has none.").format(
            one=one, two=two
        ),
        _("What only follows from a mistake in an earlier cell is right here."),
    )
    return (_legend(), *texts)


def _said(mark: Mark) -> str:
    """Return what a mark says in one line: `wrong: the bias is forgotten`."""
    state, *why = map(say, feedback.verdict(mark))
    return _("{what}: {reason}").format(what=state, reason=joined(why)) if why else state


def _points(points: float, out_of: float) -> str:
    """Format points of all that there are: `0.5/1`."""
    return f"{rounded(points)}/{rounded(out_of)}"


def _legend() -> str:
    return ", ".join(f"{sign} {_(feedback.STATES[state])}" for state, sign in SIGNS.items())
