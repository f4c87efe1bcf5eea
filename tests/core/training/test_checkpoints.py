"""Checkpoints, read back: whole, or not used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core import files
from core.config import RunConfig
from core.data.datasets import Dataset
from core.messages import Problem
from core.runs.directory import Run
from core.runs.events import Notice, RunStarted
from core.training import checkpoints
from core.training.loop import Checkpoint
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import checkpoints_of
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, configuration, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def load(run: Run, config: RunConfig, digest: str) -> Checkpoint | None:
    return checkpoints.load(run.path, config, digest, steps_per_epoch=63)


def test_a_checkpoint_of_the_first_format_still_loads(sample: Dataset, tmp_path: Path) -> None:
    """It has no checksum of its own, and lacks the settings of later versions."""
    run = carried_out(tmp_path, after_batches(10))
    (sealed,) = checkpoints_of(run)
    content = torch.load(sealed, weights_only=True)
    sealed.unlink()
    for field in ("dropout", "batch_norm", "width", "validate", "permute"):
        del content["config"][field]
    content["version"] = 1
    older = run.path / "checkpoint.pt"
    torch.save(content, older)
    assert load(run, configuration(), sample.digest) is not None
    with pytest.raises(Problem, match="other settings"):
        load(run, configuration(dropout=0.1), sample.digest)
    damaged = bytearray(older.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    older.write_bytes(damaged)
    with pytest.raises(Problem, match="damaged"):
        load(run, configuration(), sample.digest)


def test_resuming_on_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carried_out(tmp_path, after_batches(20))
    monkeypatch.setattr(Dataset, "digest", "another")
    ended = carry_out(run, lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "the data differ from those" in str(ended.message)


def test_a_single_flipped_bit_anywhere_is_found(sample: Dataset, tmp_path: Path) -> None:
    """Every 1,000th byte, and each of the first and last."""
    run = carried_out(tmp_path, after_batches(10), width=0.1)
    (path,) = checkpoints_of(run)
    content = path.read_bytes()
    assert torch.load(path, weights_only=True)["version"] == 2  # it is an ordinary file of torch's
    places = {*range(0, len(content), 1000), *range(100), *range(len(content) - 200, len(content))}
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(Problem, match="is damaged"):
            load(run, configuration(width=0.1), sample.digest)
    for size in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(Problem, match="is damaged"):
            load(run, configuration(width=0.1), sample.digest)


@pytest.mark.parametrize("damage", ["cut", "folder", pytest.param("link", marks=pytest.mark.alike)])
def test_the_checkpoint_before_takes_the_place_of_a_damaged_one(damage: str, tmp_path: Path) -> None:
    whole = carried_out(tmp_path, epochs=1)
    run = carried_out(tmp_path, after_batches(10), epochs=1)
    carry_out(run, lambda _event: None, after_batches(20))
    before, newest = checkpoints_of(run)
    if damage == "cut":
        newest.write_bytes(newest.read_bytes()[:-1000])
    else:
        newest.unlink()
        newest.mkdir() if damage == "folder" else newest.symlink_to(before)
    assert carry_out(run, lambda _event: None, lambda: False).status == "done"
    notices = [str(event.message) for event in events_of(run) if isinstance(event, Notice)]
    starts = [event.step for event in events_of(run) if isinstance(event, RunStarted)]
    assert starts[0] == 0
    assert starts[-1] == int(before.stem.split("-")[-1])
    lost = int(newest.stem.split("-")[-1]) - starts[-1]
    assert notices == [f"{newest.name} is damaged: the checkpoint before it is used, {lost} batches earlier"]
    assert batch_losses(run) == batch_losses(whole)
    assert len([path for path in checkpoints_of(run) if path.is_file()]) == 2


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_whole_one_before(sample: Dataset, tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(10), width=0.1)
    carry_out(run, lambda _event: None, after_batches(20))
    before, newest = checkpoints_of(run)
    state = load(run, configuration(width=0.1), sample.digest)
    assert state is not None
    newest.write_bytes(newest.read_bytes()[:-1000])
    checkpoints.save(run.path, 3, state, configuration(width=0.1), sample.digest)
    assert checkpoints_of(run)[0] == before
    assert len(checkpoints_of(run)) == 2


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied"), "cannot be read: Permission denied"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
        (OSError(116, "Stale file handle"), "cannot be read: Stale file handle"),
        (MemoryError(), "cannot be read: MemoryError"),
    ],
)
def test_what_cannot_be_read_is_not_called_damaged(
    error: BaseException, said: str, sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = carried_out(tmp_path, after_batches(10), width=0.1)

    def fail(_path: Path) -> None:
        raise error

    monkeypatch.setattr(files, "open_regular", fail)
    with pytest.raises(Problem, match=said) as refused:
        load(run, configuration(width=0.1), sample.digest)
    assert "elete" not in str(refused.value)


def test_a_newer_version_s_checkpoint_is_refused_as_that(
    sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(checkpoints, "FORMAT", 3)
        run = carried_out(tmp_path, after_batches(10), width=0.1)
    with pytest.raises(Problem, match=r"newer version.*Update mnist-tui"):
        load(run, configuration(width=0.1), sample.digest)
