"""A run carried out, from its configuration to the contents of its directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from setproctitle import getproctitle

from core.config import Architecture
from core.data.datasets import Dataset
from core.networks import exam, kept_tables, tabulate
from core.networks.build import build_network
from core.runs import directory, lease
from core.runs.events import Evaluated
from core.worker.carry_out import carry_out
from core.worker.launch import launch_run
from tests.core.training.sample_runs import after_batches, carried_out, configuration, events_of

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
    assert getproctitle() == "mnist-tui: rn1-0001, epoch 1/1"


def test_a_run_keeps_the_layer_table_that_does_not_come_with_the_program(tmp_path: Path) -> None:
    architecture = Architecture(model="RN_1", width=0.1, batch_norm=True)
    run = carried_out(tmp_path, after_batches(2), width=0.1, batch_norm=True)
    assert getproctitle() == "mnist-tui: rn1-0001, epoch 1/2"
    table = kept_tables.of_run(run.path, architecture)
    assert table == tabulate.layer_table(build_network(architecture), "RN_1")
    path = run.path / "layers.json"
    kept = path.read_bytes()
    for damaged in (kept[:-1], b"[" * 10_000, kept.replace(b'"total":', b'"total":"'), kept + b" " * (1 << 20), b"{}"):
        path.write_bytes(damaged)
        assert kept_tables.of_run(run.path, architecture) is None
    path.unlink()
    path.symlink_to("/dev/zero")
    assert kept_tables.of_run(run.path, architecture) is None
    carry_out(run, lambda _event: None, after_batches(1))  # resumed: nothing is written through a link, nor over it
    assert path.is_symlink()
    plain = carried_out(tmp_path, after_batches(1))
    assert not (plain.path / "layers.json").exists()
    assert kept_tables.of_run(plain.path, Architecture()) == kept_tables.built_in()[Architecture()]


def test_a_device_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    ended = carry_out(directory.create(tmp_path, configuration(device="cuda:99")), lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "cuda:99" in str(ended.message)
    assert "cpu" in str(ended.message)


def test_a_process_that_comes_too_late_says_so_in_one_line_of_the_log(tmp_path: Path) -> None:
    run = directory.create(tmp_path, configuration())
    with lease.hold(run.path):
        assert launch_run(run).wait(60) == 1
    assert run.log_tail() == [f"run {run.id} is already being trained"]


def test_what_one_waits_for_on_a_gpu_server_is_said_before_torch_is_loaded(tmp_path: Path) -> None:
    """In a process of its own, as if there were a driver: here there is none, and torch is loaded already."""
    run = directory.create(tmp_path, configuration(device="auto", epochs=1, model="no_such_file.py:Net"))
    program = (
        "import sys; from pathlib import Path; from core import machine; from core.runs.directory import Run\n"
        "machine._NVIDIA_DEVICES = (sys.executable,)\n"
        "from core.worker.carry_out import carry_out\n"
        "show = lambda event: print(type(event).__name__, 'torch' in sys.modules)\n"
        f"carry_out(Run(Path({str(run.path)!r})), show, lambda: False)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "Notice False"
