"""Finished runs tested under harder conditions."""

from __future__ import annotations

import pytest
import torch

from core.config import RunConfig
from core.data.conditions import Condition
from core.runs import directory
from core.training.load_trained import DatasetCache
from core.training.robustness import robustness
from core.worker.carry_out import carry_out


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> directory.Run:
    config = RunConfig(dataset="sample", epochs=1, seed=1, threads=1, device="cpu", permute=True, width=0.25)
    made = directory.create(tmp_path_factory.mktemp("runs"), config)
    carry_out(made, lambda _event: None, lambda: False)
    return made


def test_a_run_is_tested_on_its_own_images_as_it_saw_them(run: directory.Run) -> None:
    kept = DatasetCache(lambda _m: None, lambda _m, _f: None, lambda: False)
    steps: list[None] = []
    asked = [Condition("shift", 4), Condition("noise", 0.5)]
    found = robustness(run, asked, kept, torch.device("cpu"), lambda: steps.append(None))
    plain, *others = found.tested
    assert (plain.condition, plain.accuracy) == (None, run.summary().accuracy)
    assert [tested.condition for tested in others] == asked
    assert all(tested.accuracy < plain.accuracy for tested in others)
    assert len(steps) == 3
    assert robustness(run, asked, kept, torch.device("cpu"), lambda: None) == found
