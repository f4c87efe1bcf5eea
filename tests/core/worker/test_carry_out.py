"""A run carried out, from its configuration to the contents of its directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.data.datasets import Dataset
from core.networks import exam
from core.runs import directory
from core.runs.events import Evaluated
from core.worker.carry_out import carry_out
from tests.core.training.sample_runs import carried_out, configuration, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def test_results_on_disk_agree_with_the_events(sample: Dataset, tmp_path: Path) -> None:
    run = carried_out(tmp_path, epochs=1)
    (result,) = [event for event in events_of(run) if isinstance(event, Evaluated)]
    with np.load(run.result_paths("predictions", ".npz")[0]) as predictions:
        labels, predicted = predictions["label"], predictions["predicted"]
        probability = predictions["probability"]
    assert labels.tolist() == sample.test_labels.tolist()
    assert int((labels == predicted).sum()) == result.correct == round(result.accuracy * result.total)
    assert [sum(row) for row in result.confusion] == np.bincount(labels, minlength=10).tolist()
    assert sum(result.confusion[digit][digit] for digit in range(10)) == result.correct
    assert probability.min() >= 0.1
    assert probability.max() <= 1

    network = exam.RN_1()
    network.load_state_dict(load_file(run.result_paths("weights", ".safetensors")[0]))
    pixels = (sample.test_images[:200].float() / 255 - 0.1307) / 0.3081
    with torch.no_grad():
        again = network(pixels.unsqueeze(1)).argmax(1)
    assert again.tolist() == predicted[:200].tolist()


def test_a_device_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    ended = carry_out(directory.create(tmp_path, configuration(device="cuda:99")), lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "cuda:99" in str(ended.message)
    assert "cpu" in str(ended.message)
