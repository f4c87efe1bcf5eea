"""A page of feedback for each copy of a sheet: what each cell was marked with, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from core.exam import feedback
from core.exam.marked_copies import FULL_MARK, MarkedCopy
from core.exam.sheet import COLUMNS, Mark, MarkedSheet, State
from core.messages import N_
from core.networks.layer_table import LayerTable
from tui_app import i18n
from tui_app.i18n import _, printable, say, short
from tui_app.report import exam_sheets, pages

if TYPE_CHECKING:  # loaded only when pages are written
    from jinja2 import Environment

PageFormat = Literal["html", "md"]

SIGNS: dict[State, str] = {"right": "✓", "form": "≈", "empty": "–", "unreadable": "?", "wrong": "✗"}
"""Signs of the states, which colours only repeat."""
_LEGEND: dict[State, str] = {
    "right": N_("right"),
    "form": N_("right but for the form"),
    "empty": N_("empty"),
    "unreadable": N_("unreadable"),
    "wrong": N_("wrong"),
}


@dataclass(frozen=True)
class _Cell:
    """A cell with its mark; `state` is empty if there was nothing to write."""

    state: State | Literal[""]
    answer: str
    heading: str
    """Name of its column."""
    points: str = ""
    sentences: tuple[str, ...] = ()
    right: str = ""
    """The right answer, if it is given away and was missed."""

    @property
    def sign(self) -> str:
        return SIGNS[self.state] if self.state else ""


@dataclass(frozen=True)
class _Row:
    layer: str
    cells: tuple[_Cell, ...]


@dataclass(frozen=True)
class _Network:
    name: str
    points: str
    rows: tuple[_Row, ...]


@dataclass(frozen=True)
class _Page:
    """The page of a copy. Its texts may hold anything: each format escapes them in its own way."""

    language: str
    title: str
    student: str
    result: str
    remarks: tuple[str, ...]
    networks: tuple[_Network, ...]
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
        page = _Page(
            language=i18n.language(),
            title=_("Annexe 1: feedback"),
            student=copy.student or copy.file,
            result=result(copy),
            remarks=tuple(map(say, copy.remarks)),
            networks=networks,
            headings=(_("Name"), *exam_sheets.column_headings().values()),
            scheme=(_legend(), *map(say, feedback.scheme())),
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

    def _network(self, sheet: MarkedSheet, table: LayerTable) -> _Network:
        width = len(COLUMNS)
        rows = tuple(
            _Row(
                layer.name,
                tuple(self._cell(mark, table, row) for mark in sheet.marks[row * width : (row + 1) * width]),
            )
            for row, layer in enumerate(table.layers)
        )
        return _Network(sheet.model, _points(sheet.points, sheet.out_of), rows)

    def _cell(self, mark: Mark, table: LayerTable, row: int) -> _Cell:
        heading = exam_sheets.column_headings()[mark.column]
        if not mark.out_of and mark.state in ("right", "empty"):
            return _Cell("", mark.answer, heading)
        is_missed = mark.state != "right"
        right = exam_sheets.right_answer(table.layers[row], mark.column) if self._with_key and is_missed else ""
        sentences = tuple(map(say, feedback.verdict(mark))) if is_missed else ()
        return _Cell(mark.state, mark.answer, heading, _points(mark.points, mark.out_of), sentences, right)


def result(copy: MarkedCopy) -> str:
    """Return a copy's points and its mark: `31.5 of 42 points: 15 of 20`."""
    return _("{points} points, a mark of {mark} out of {full}").format(
        points=_points(copy.points, copy.out_of), mark=short(round(copy.mark, 2)), full=FULL_MARK
    )


def _points(points: float, out_of: float) -> str:
    """Format points of all that there are: `0.5/1`."""
    return f"{short(round(points, 2))}/{short(round(out_of, 2))}"


def _legend() -> str:
    return ", ".join(f"{SIGNS[state]} {_(text)}" for state, text in _LEGEND.items())
