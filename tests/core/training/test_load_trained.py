"""The trained network of a run, loaded without trusting its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import RunConfig
from core.messages import Problem
from core.runs import directory
from core.training.load_trained import load_network


def test_weights_that_are_missing_or_damaged_are_named(finished: Path, tmp_path: Path) -> None:
    run = directory.Run(finished / "rn1-0001")
    bare = directory.create(tmp_path, run.config())
    with pytest.raises(Problem, match="no trained weights"):
        load_network(bare)
    (bare.path / "weights.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(Problem, match="cannot be read"):
        load_network(bare)
    content = bytearray(run.result_paths("weights", ".safetensors")[0].read_bytes())
    content[-5] ^= 64
    (bare.path / "weights.safetensors").write_bytes(content)
    with pytest.raises(Problem, match="cannot be read: damaged"):
        load_network(bare)
    other = directory.create(tmp_path, RunConfig(model="RN_2"))
    (other.path / "weights.safetensors").write_bytes(run.result_paths("weights", ".safetensors")[0].read_bytes())
    with pytest.raises(Problem, match="do not fit"):
        load_network(other)
