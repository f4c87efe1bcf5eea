"""The training loop: the exam's numbers, the events that it yields, and unchanged numbers after an interruption."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.data import datasets
from core.data.datasets import Dataset
from core.networks.build import build_network, built_in_class
from core.runs import resumption
from core.runs.events import CheckpointSaved, EpochEnded, Evaluated, Notice, Progress, RunEnded, RunStarted
from core.runs.record import Record
from core.training import loop, meter
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import checkpoints_of
from tests.core.training import exam_program
from tests.core.training.sample_runs import (
    after_batches,
    batch_losses,
    carried_out,
    configuration,
    events_of,
    predictions_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
@pytest.mark.parametrize(("model", "images"), [("RN_1", 1280), ("RN_2", 640)])
def test_exact_losses_are_those_of_the_exam_program_to_the_last_digit(
    model: str, images: int, sample: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds over two epochs, with a last batch that is whole; the sample as a whole takes longer."""
    data = replace(sample, train_images=sample.train_images[:images], train_labels=sample.train_labels[:images])
    monkeypatch.setattr(datasets, "load", lambda *_arguments, **_options: data)
    run = carried_out(tmp_path, model=model, exact=True)
    exam = exam_program.run(
        built_in_class(model),
        exam_program.ImageDataset(data.train_images, data.train_labels),
        exam_program.ImageDataset(data.test_images, data.test_labels),
        seed=7,
        num_epochs=2,
    )
    events = events_of(run)
    assert [event.loss for event in events if isinstance(event, EpochEnded)] == exam.epoch_losses
    assert [event.accuracy for event in events if isinstance(event, Evaluated)] == [exam.accuracy]


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"model": "RN_1"}, {"model": "RN_2", "epochs": 1}, {"precision": "bf16"}])
def test_it_learns(settings: dict[str, Any], tmp_path: Path) -> None:
    summary = carried_out(tmp_path, **settings).summary()
    assert summary.state == "done"
    assert summary.accuracy is not None
    assert summary.accuracy > 0.85


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    first, same, other = (batch_losses(carried_out(tmp_path, epochs=1, seed=seed)) for seed in (3, 3, 4))
    assert first == same
    assert first != other


def test_events_tell_every_batch_and_add_up(tmp_path: Path) -> None:
    run = carried_out(tmp_path, batch_size=100)
    events = events_of(run)
    started = events[0]
    assert isinstance(started, RunStarted)
    assert (started.train_size, started.test_size, started.steps_per_epoch) == (4000, 1000, 40)
    assert started.parameters == 567_434
    assert sorted(batch_losses(run)) == [(epoch, step) for epoch in (1, 2) for step in range(1, 41)]
    ended = [event for event in events if isinstance(event, EpochEnded)]
    losses = batch_losses(run)
    for event in ended:
        assert event.loss == pytest.approx(sum(losses[event.epoch, step] or math.nan for step in range(1, 41)) / 40)
    assert [(event.epoch, event.step) for event in events if isinstance(event, CheckpointSaved)] == [(1, 40), (2, 40)]
    assert isinstance(events[-1], RunEnded)
    assert events[-1].status == "done"


def test_epochs_of_milliseconds_do_not_each_pay_for_a_checkpoint(tmp_path: Path) -> None:
    run = carried_out(tmp_path, epochs=30, batch_size=1000, width=0.1)
    saved = [(event.epoch, event.step) for event in events_of(run) if isinstance(event, CheckpointSaved)]
    assert saved[0] == (1, 4)
    assert saved[-1] == (30, 4)
    assert len(saved) < 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"exact": True}, {}, pytest.param({"model": "RN_2", "epochs": 1}, marks=pytest.mark.alike)]
)
def test_a_stopped_run_goes_on_to_the_numbers_of_one_that_was_not(settings: dict[str, Any], tmp_path: Path) -> None:
    """The run is stopped early in an epoch, and just before its last batch."""
    whole = carried_out(tmp_path, **settings)
    for batches in (10, 62):
        run = carried_out(tmp_path, after_batches(batches), **settings)
        assert run.state() == "stopped"
        resumption.check_resumable(run)
        carry_out(run, lambda _event: None, lambda: False)
        assert run.state() == "done"
        assert batch_losses(run) == batch_losses(whole)
        assert predictions_of(run) == predictions_of(whole)


def test_a_resumed_run_reads_as_one(tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(80))
    carry_out(run, lambda _event: None, lambda: False)
    replay = Record()
    replay.apply(events_of(run))
    assert [event.epoch for event in replay.epochs] == [1, 2]
    assert replay.done_steps == replay.total_steps == 126
    assert replay.history.end == 126


def test_dropout_draws_the_same_after_a_resumption(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Dropout(0.5),\n"
        "                         nn.Linear(50, 10))\n"
    )
    settings: dict[str, Any] = {"model": f"{tmp_path / 'net.py'}:Net", "epochs": 1}
    whole = carried_out(tmp_path / "runs", **settings)
    run = carried_out(tmp_path / "runs", after_batches(20), **settings)
    carry_out(run, lambda _event: None, lambda: False)
    assert batch_losses(run) == batch_losses(whole)


def test_a_loss_that_is_not_finite_ends_the_run_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.fc = nn.Linear(784, 10)\n"
        "        self.register_buffer('calls', torch.zeros(()))\n"
        "    def forward(self, x):\n"
        "        self.calls += self.training\n"
        "        return self.fc(x.flatten(1)) * torch.where(self.calls > 70, torch.nan, 1.0)\n"
    )
    run = carried_out(tmp_path / "runs", model=f"{tmp_path / 'net.py'}:Net")
    events = events_of(run)
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == run.state() == "diverged"
    assert "epoch 2, batch 8" in str(ended.message)
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert (last.step, last.loss, last.losses[-1]) == (8, None, None)
    saved = torch.load(checkpoints_of(run)[-1], weights_only=True)["state"]
    assert (saved["epoch"], saved["step"]) == (1, 63)
    resumption.check_resumable(run)


def test_a_disk_that_is_full_is_told_once_and_once_again_when_it_fills_again(
    sample: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight epochs with a checkpoint each; only that of the fourth has room on the disk."""
    monkeypatch.setattr(meter, "CHECKPOINT_SHARE", math.inf)
    attempts: list[int] = []

    def save(checkpoint: loop.Checkpoint) -> None:
        attempts.append(checkpoint["epoch"])
        if checkpoint["epoch"] != 4:
            raise OSError(28, "No space left on device", f"file-{len(attempts)}")

    config = configuration(epochs=8, batch_size=4000, width=0.1)
    network = build_network(config.architecture)
    cpu = torch.device("cpu")
    events = list(loop.train(network, sample, config, cpu, save=save))
    assert attempts == [1, 2, 3, 4, 5, 6, 7, 8]
    told = [event for event in events if isinstance(event, Notice | EpochEnded | CheckpointSaved)]
    kinds = {EpochEnded: "epoch", Notice: "notice", CheckpointSaved: "saved"}
    assert [kinds[type(event)] for event in told] == [
        *("epoch", "notice", "epoch", "epoch", "epoch", "saved"),
        *("epoch", "notice", "epoch", "epoch", "epoch"),
    ]


def test_a_checkpoint_within_an_epoch_loses_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is killed right after a checkpoint saved between two progress reports."""
    whole = carried_out(tmp_path, epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(meter, "PROGRESS_INTERVAL_S", math.inf)
        patch.setattr(loop, "CHECKPOINT_INTERVAL_S", 0)
        patch.setattr(meter, "CHECKPOINT_SHARE", math.inf)
        run = carried_out(tmp_path, _killed_at(30), epochs=1)
    assert run.state() == "failed"
    carry_out(run, lambda _event: None, lambda: False)
    assert [event.step for event in events_of(run) if isinstance(event, RunStarted)] == [0, 29]
    assert batch_losses(run) == batch_losses(whole)
    (ended,) = [event.loss for event in events_of(run) if isinstance(event, EpochEnded)]
    assert [ended] == [event.loss for event in events_of(whole) if isinstance(event, EpochEnded)]


def _killed_at(batch: int) -> Callable[[], bool]:
    """Raise at this batch, when the run asks whether to stop."""
    calls = iter(range(1, 10**9))

    def should_stop() -> bool:
        if next(calls) == batch:
            raise RuntimeError("killed")
        return False

    return should_stop
