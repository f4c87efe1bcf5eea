"""The form: what it makes of the settings that are no other run's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.config import MAX_SNAPSHOTS
from core.runs import directory
from tests.tui_app.driving import dashboard, shown, until


@pytest.mark.parametrize(("settings", "kept"), [({}, MAX_SNAPSHOTS), ({"snapshots": 0}, 0), ({"snapshots": 3}, 3)])
async def test_a_run_of_the_form_keeps_as_many_snapshots_as_fit(
    settings: dict[str, Any], kept: int, tmp_path: Path
) -> None:
    async with dashboard(tmp_path, **settings) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        assert directory.find(tmp_path).config().snapshots == kept
        await until(pilot, lambda: "settings of rn1-0001" in shown(app))
        assert "--snapshots" not in shown(app) or kept == 3
