"""Figures that several tables have: how far they agree."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.measuring import Table


def agreement(tables: Sequence[Table]) -> Table | None:
    """Return the figures that more than one table has, with the greatest by the least; None if there are none."""
    names = list(dict.fromkeys(name for table in tables for name in table.shared))
    found = {name: [(table.title, table.shared[name]) for table in tables if name in table.shared] for name in names}
    several = {name: figures for name, figures in found.items() if len(figures) > 1}
    if not several:
        return None
    table = Table("How far the tables agree", ("", "in each table", "greatest by least"))
    for name, figures in several.items():
        medians = [spread.median for _title, spread in figures]
        shown = "; ".join(f"{title.partition(':')[0]}: {spread.text(3)}" for title, spread in figures)
        table.add(name, shown, f"{max(medians) / min(medians):.2f}")
    table.notes = ["They were measured minutes apart: ratios are taken within a table, in turns, never across tables."]
    return table
