"""A checkpoint belongs to one run: with other settings it is refused, not gone on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core.worker.carry_out import carry_out
from tests.core.training.sample_runs import after_batches, carried_out

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("changed", [{"seed": 8}, {"batch_size": 100}, {"exact": True}], ids=str)
def test_a_checkpoint_of_other_settings_is_refused(changed: dict[str, Any], tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(3), width=0.1)
    assert run.state() == "stopped"
    path = run.path / "config.json"
    content = json.loads(path.read_text())
    assert content.keys() >= changed.keys()
    path.write_text(json.dumps(content | changed))
    ended = carry_out(run, lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "other settings" in str(ended.message)
    path.write_text(json.dumps(content))
    assert carry_out(run, lambda _event: None, after_batches(3)).status == "stopped"
