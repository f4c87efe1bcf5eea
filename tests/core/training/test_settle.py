"""What `auto` means in a comparison, and what is refused before its first run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.catalogue import DATA_SETS
from core.config import RunConfig
from core.messages import Problem
from core.training.settle import settle
from tests.core.data.small_sets import MNIST, put
from tests.core.training.own_files import model_in

NORMED = """
        self.fc1, self.norm, self.fc2 = nn.Linear(784, 32), nn.BatchNorm1d(32), nn.Linear(32, 10)

    def forward(self, x):
        return self.fc2(self.norm(self.fc1(x.flatten(1))))
"""


def settled(data_dir: Path, dataset: str, **other: Any) -> RunConfig:
    """Settle a comparison of a narrow RN_1 with a network of `other` settings."""
    config = RunConfig(dataset=dataset, data_dir=str(data_dir), device="cpu")
    configurations = [msgspec.structs.replace(config, width=0.1), msgspec.structs.replace(config, **other)]
    found, devices = settle(
        config, configurations, notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )
    assert devices == ("cpu",)
    return found


def test_data_are_checked_once_before_many_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATA_SETS, "mnist", MNIST)
    put(tmp_path)
    assert settled(tmp_path, "auto").dataset == settled(tmp_path, "mnist").dataset == "mnist"
    assert settled(tmp_path / "nowhere", "sample").dataset == "sample"
    path = MNIST.path(tmp_path, MNIST.files[2])
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with pytest.raises(Problem, match="is not MNIST's t10k-images-idx3-ubyte: its MD5"):
        settled(tmp_path, "auto")


def test_every_configuration_is_tried_before_the_first_run(tmp_path: Path) -> None:
    model = model_in(tmp_path, NORMED)
    assert settled(tmp_path, "sample", model=model, batch_size=128).device == "cpu"
    with pytest.raises(Problem, match="on a batch of 1: ValueError"):
        settled(tmp_path, "sample", model=model, batch_size=129)
    with pytest.raises(Problem, match="leave one for the last batch"):
        settled(tmp_path, "sample", batch_norm=True, batch_size=31)
