"""Checkpoints, read back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.data.datasets import Dataset
from core.messages import Problem
from core.training.checkpoints import load as load_checkpoint
from core.worker.carry_out import carry_out
from tests.core.training.sample_runs import after_batches, carried_out, configuration

pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_checkpoint_from_before_there_were_remedies_still_loads(sample: Dataset, tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(10))
    content = torch.load(run.checkpoint_path, weights_only=True)
    for field in ("dropout", "batch_norm", "width", "validate", "permute"):
        del content["config"][field]
    torch.save(content, run.checkpoint_path)
    assert load_checkpoint(run.checkpoint_path, configuration(), sample.digest) is not None
    with pytest.raises(Problem, match="other settings"):
        load_checkpoint(run.checkpoint_path, configuration(dropout=0.1), sample.digest)


def test_resuming_on_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carried_out(tmp_path, after_batches(20))
    monkeypatch.setattr(Dataset, "digest", "another")
    ended = carry_out(run, lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "the data differ from those" in str(ended.message)
