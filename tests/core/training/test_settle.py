"""What `auto` means in a comparison, and what is refused before its first run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.catalogue import DATA_SETS
from core.config import RunConfig
from core.messages import Problem
from core.training.settle import settle
from tests.core.data.small_sets import MNIST, put


def settled(data_dir: Path, dataset: str) -> RunConfig:
    config = RunConfig(dataset=dataset, data_dir=str(data_dir), device="cpu", width=0.1)
    return settle(config, [config], notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False)


def test_data_are_checked_once_before_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "mnist", MNIST)
    put(tmp_path)
    assert settled(tmp_path, "auto").dataset == settled(tmp_path, "mnist").dataset == "mnist"
    assert settled(tmp_path / "nowhere", "sample").dataset == "sample"
    path = MNIST.path(tmp_path, MNIST.files[2])
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(Problem, match="is not MNIST's t10k-images-idx3-ubyte: its MD5"):
        settled(tmp_path, "auto")
