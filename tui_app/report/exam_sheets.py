"""Empty sheets of Annexe 1 to hand out, and their keys, in the current language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from core.exam import feedback
from core.exam.sheet import COLUMNS, Column
from core.networks.layer_table import Layer, LayerTable
from tui_app import tables
from tui_app.i18n import _, printable, say
from tui_app.report import spreadsheet


class Sheet(NamedTuple):
    """A network to describe."""

    label: str
    """Name of the network, by which its copies are recognised."""
    table: LayerTable
    source: str
    """Code that defines it; empty if it is not shown."""


def column_headings() -> dict[Column, str]:
    """Return the headings of Annexe 1 over the columns to fill in."""
    texts = (_("Layer type"), _("Specification"), _("Output size"), _("Number of parameters"))
    return dict(zip(COLUMNS, texts, strict=True))


def markdown(sheets: Sequence[Sheet], *, key: bool = False) -> bytes:
    """Return sheets as Markdown, empty or with the right answers."""
    # The names come last: what stands below an empty one would be taken for it.
    title = _("Annexe 1: the key") if key else _("Annexe 1")
    before = [f"# {title}"] if key else [f"# {title}", _instruction(), *_name_lines()]
    parts = [*before, *(part for sheet in sheets for part in _section(sheet, key=key))]
    return ("\n\n".join(parts) + "\n").encode("utf-8", errors="replace")


def csv(sheets: Sequence[Sheet]) -> bytes:
    """Return empty sheets as CSV: lines for the student's name, headings, and a row per layer."""
    empty = [""] * len(COLUMNS)
    names = [(name, "", *empty) for name in _name_lines()]
    heading = (_("Network"), _("Layer"), *column_headings().values())
    rows = [(sheet.label, layer.name, *empty) for sheet in sheets for layer in sheet.table.layers]
    return spreadsheet.encoded([*names, heading, *rows])


def right_answer(layer: Layer, column: Column) -> str:
    """Return the right answer of a cell as the layer table shows it; a dash if there is nothing to write."""
    match column:
        case "specification":
            return tables.specification(layer.specification) or "–"
        case "output":
            return tables.shape(layer)
        case "parameters":
            return tables.count(layer)
    return say(feedback.right_answer(layer, column))


def _instruction() -> str:
    return _(
        "Fill in the cells. A number of parameters may be written as the sum that gives it, such as 5x8x3x3 + 8,"
        " and the size of an output as 8x26x26."
    )


def _name_lines() -> list[str]:
    return [_("Name:"), _("First name:")]


def _section(sheet: Sheet, *, key: bool) -> list[str]:
    code = [_fenced(sheet.source)] if sheet.source and not key else []
    heading = (_("Name"), *column_headings().values())
    rows = [
        (layer.name, *(right_answer(layer, each) if key else "" for each in COLUMNS)) for layer in sheet.table.layers
    ]
    lines = [_row(heading), _row(["---"] * len(heading)), *map(_row, rows)]
    return [f"## {_in_cell(sheet.label)}", *code, "\n".join(lines)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_in_cell, cells))} |"


def _in_cell(text: str) -> str:
    """Escape what would end a cell or begin markup, and no more: the sheet is to be read and written as plain text."""
    return re.sub(r"([\\`*<\[|])", r"\\\1", printable(text))


def _fenced(source: str) -> str:
    """Return a block of code, marked as such, with a fence longer than any inside it."""
    lines = [printable(line) for line in source.expandtabs().strip("\n").splitlines()]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", source)), default=0))
    return "\n".join((f"{fence}python", *lines, fence))
