"""The layer tables that come with the program, and those given to the dashboard's tests, still match the code."""

from __future__ import annotations

from core.networks import kept_tables
from tests.tui_app import record, recorded


def test_kept_and_recorded_layer_tables_are_those_of_today() -> None:
    variants = {each.architecture: each.table for each in record.variants()}
    how = "run `python -m tests.tui_app.record`"
    assert record.built_in_tables() == list(kept_tables.built_in().values()), how
    assert recorded.layer_tables() == {**kept_tables.built_in(), **variants}, how
