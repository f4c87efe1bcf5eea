"""Marking a sheet of Annexe 1."""

from __future__ import annotations

from core.exam.sheet import Answers, MarkedSheet
from core.networks.layer_table import LayerTable


def mark_sheet(table: LayerTable, answers: Answers) -> MarkedSheet:
    """Return the marks of the answers to a network's table, a mark for each cell."""
    raise NotImplementedError
