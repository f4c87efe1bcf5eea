"""Sheets for the tests of the marker: the tables of the exam's networks, and cells that are marked alone."""

from __future__ import annotations

from core.config import Architecture
from core.exam.marking import mark_sheet
from core.exam.sheet import COLUMNS, Answers, Column, Mark, MarkedSheet
from core.networks import kept_tables
from core.networks.layer_table import LayerTable


def exam_table(model: str) -> LayerTable:
    return kept_tables.built_in()[Architecture(model=model)]


def marked_cell(table: LayerTable, layer: str, column: Column, answer: str) -> Mark:
    """Return the mark of an answer on an otherwise empty sheet."""
    answers: Answers = tuple({column: answer} if each.name == layer else {} for each in table.layers)
    return cell(mark_sheet(table, answers), layer, column)


def cell(marked: MarkedSheet, layer: str, column: Column) -> Mark:
    return next(mark for mark in marked.marks if (mark.layer, mark.column) == (layer, column))


def kinds(mark: Mark) -> list[str]:
    return sorted(reason.kind for reason in mark.reasons)


def filled_in(table: LayerTable, text: str) -> Answers:
    """Return a sheet whose rows are written as in `fc1 | linear | 784→512 | 512 | 784x512+512`."""
    rows = {}
    for line in text.strip().splitlines():
        name, *cells = (part.strip() for part in line.split("|"))
        rows[name] = dict(zip(COLUMNS, cells, strict=False))
    assert set(rows) <= {layer.name for layer in table.layers}
    return tuple(rows.get(layer.name, {}) for layer in table.layers)
