"""The recorded layer tables given to the dashboard's tests still match the code."""

from __future__ import annotations

from tests.tui_app import record, recorded


def test_recorded_layer_tables_are_those_of_today() -> None:
    assert {each.architecture: each.table for each in record.tables()} == recorded.layer_tables(), (
        "renew them with `python -m tests.tui_app.record`"
    )
