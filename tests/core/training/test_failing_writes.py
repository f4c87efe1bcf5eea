"""A few of the failing writes, syncs and renames that `failing_writes` enumerates; and a process that halts in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import files
from core.messages import Problem
from core.runs.events import RunStarted
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import checkpoints_of, claim
from tests.core.training.failing_writes import enumerate_faults
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_a_write_that_fails_loses_nothing(tmp_path: Path) -> None:
    counts, lost = enumerate_faults(tmp_path, every=9, errors=("ENOSPC", "short"))
    assert lost == []
    assert counts.total() >= 8


def test_a_process_that_halts_between_its_look_and_a_rename_replaces_nothing_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile another process takes the run over and trains on; then the first one's rename goes through."""
    whole = carried_out(tmp_path, epochs=1, width=0.1)
    run = carried_out(tmp_path, after_batches(10), epochs=1, width=0.1)
    rename = files.rename
    newer: list[Path] = []

    def halt(old: Path, new: Path) -> None:
        if new.name.startswith("checkpoint-0002"):
            monkeypatch.setattr(files, "rename", rename)
            claim(run, lives=False)
            carry_out(run, lambda _event: None, after_batches(20))
            newer.extend(checkpoints_of(run)[-1:])
        rename(old, new)

    monkeypatch.setattr(files, "rename", halt)
    ended = carry_out(run, lambda _event: None, after_batches(20))
    assert ended.status == "failed"
    assert "taken over" in str(ended.message)
    assert checkpoints_of(run)[-1] == newer[0]
    assert newer[0].name.startswith("checkpoint-0004")
    assert run.state() == "stopped"
    assert carry_out(run, lambda _event: None, lambda: False).status == "done"
    assert [event.attempt for event in events_of(run) if isinstance(event, RunStarted)] == [1, 2, 4, 5]
    assert batch_losses(run) == batch_losses(whole)


def test_a_lease_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carried_out(tmp_path, after_batches(10), epochs=1, width=0.1)

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", fail)
        with pytest.raises(Problem, match="Input/output error"):
            carry_out(run, lambda _event: None, lambda: False)
    assert run.state() == "stopped"
    assert carry_out(run, lambda _event: None, lambda: False).status == "done"
