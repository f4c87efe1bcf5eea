"""A run that is resumed on other data than those that it was trained on."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from core.catalogue import DATA_SETS
from core.runs.events import RunEnded
from core.worker.carry_out import carry_out
from tests.core.data.small_sets import MNIST, put
from tests.core.training.sample_runs import carried_out, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def test_data_that_changed_under_a_run_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other data are refused although they are valid, as after an edition with corrections."""
    monkeypatch.setitem(DATA_SETS, "mnist", MNIST)
    data_dir = put(tmp_path / "data")
    run = carried_out(tmp_path / "runs", dataset="mnist", data_dir=str(data_dir), epochs=1, batch_size=50)
    lines = run.events_path.read_bytes().splitlines(keepends=True)
    run.events_path.write_bytes(b"".join(lines[:-1]))  # as if it had crashed at the end
    path = MNIST.path(data_dir, MNIST.files[0])
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    corrected = msgspec.structs.replace(MNIST.files[0], md5=md5)
    edition = msgspec.structs.replace(MNIST, files=(corrected, *MNIST.files[1:]))
    monkeypatch.setitem(DATA_SETS, "mnist", edition)
    ended = carry_out(run, lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "differ from those that the run was trained on" in str(ended.message)
    assert isinstance(events_of(run)[-1], RunEnded)
    monkeypatch.setitem(DATA_SETS, "mnist", MNIST)
    put(data_dir)
    assert carry_out(run, lambda _event: None, lambda: False).status == "done"
