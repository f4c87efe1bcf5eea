"""The training, from a configuration to what a run directory holds of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from core.config import RunConfig
from core.data import datasets
from core.data.datasets import Dataset
from core.messages import Problem
from core.networks import exam
from core.networks.build import built_in_class
from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, EpochEnded, Evaluated, Event, Progress, RunEnded, RunStarted
from core.runs.record import Record
from core.training import devices
from core.worker.carry_out import carry_out
from tests.core import exam_program


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def sample() -> Dataset:
    return datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )


def configuration(**settings: object) -> RunConfig:
    return RunConfig(**{"dataset": "sample", "epochs": 2, "seed": 7, "threads": 1, "device": "cpu"} | settings)  # type: ignore[arg-type]


def events_of(run: Run) -> list[Event]:
    reader, found = run.reader(), []
    while new := reader.read_new():
        found += new
    assert reader.skipped == 0
    return found


def carried_out(folder: Path, should_stop: Callable[[], bool] = lambda: False, **settings: object) -> Run:
    run = directory.create(folder, configuration(**settings))
    carry_out(run, lambda _event: None, should_stop)
    return run


def after_batches(number: int) -> Callable[[], bool]:
    """Ask to stop once the training has come so far; asked once per batch."""
    calls = iter(range(10**9))
    return lambda: next(calls) >= number


def batch_losses(run: Run) -> dict[tuple[int, int], float | None]:
    """Of every batch, the last time that it was trained."""
    losses: dict[tuple[int, int], float | None] = {}
    for event in events_of(run):
        if isinstance(event, Progress):
            first = event.step - len(event.losses) + 1
            losses |= {(event.epoch, step): loss for step, loss in enumerate(event.losses, first)}
    return losses


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_exact_losses_are_those_of_the_exam_program_to_the_last_digit(
    model: str, sample: Dataset, tmp_path: Path
) -> None:
    run = carried_out(tmp_path, model=model, exact=True)
    exam = exam_program.run(
        built_in_class(model),
        exam_program.ImageDataset(sample.train_images, sample.train_labels),
        exam_program.ImageDataset(sample.test_images, sample.test_labels),
        seed=7,
        num_epochs=2,
    )
    events = events_of(run)
    assert [event.loss for event in events if isinstance(event, EpochEnded)] == exam.epoch_losses
    assert [event.accuracy for event in events if isinstance(event, Evaluated)] == [exam.accuracy]


@pytest.mark.parametrize("settings", [{"model": "RN_1"}, {"model": "RN_2", "epochs": 1}, {"precision": "bf16"}])
def test_it_learns(settings: dict[str, object], tmp_path: Path) -> None:
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
    run = carried_out(tmp_path, epochs=30, batch_size=1000)
    saved = [(event.epoch, event.step) for event in events_of(run) if isinstance(event, CheckpointSaved)]
    assert saved[0] == (1, 4)
    assert saved[-1] == (30, 4)
    assert len(saved) < 20


def test_results_on_disk_agree_with_the_events(sample: Dataset, tmp_path: Path) -> None:
    run = carried_out(tmp_path, epochs=1)
    (result,) = [event for event in events_of(run) if isinstance(event, Evaluated)]
    with np.load(run.path / "predictions.npz") as predictions:
        labels, predicted = predictions["label"], predictions["predicted"]
        probability = predictions["probability"]
    assert labels.tolist() == sample.test_labels.tolist()
    assert int((labels == predicted).sum()) == result.correct == round(result.accuracy * result.total)
    assert [sum(row) for row in result.confusion] == np.bincount(labels, minlength=10).tolist()
    assert sum(result.confusion[digit][digit] for digit in range(10)) == result.correct
    assert probability.min() >= 0.1
    assert probability.max() <= 1

    network = exam.RN_1()
    network.load_state_dict(load_file(run.path / "weights.safetensors"))
    pixels = (sample.test_images[:200].float() / 255 - 0.1307) / 0.3081
    with torch.no_grad():
        again = network(pixels.unsqueeze(1)).argmax(1)
    assert again.tolist() == predicted[:200].tolist()


@pytest.mark.parametrize("settings", [{"exact": True}, {}, {"model": "RN_2", "epochs": 1}])
@pytest.mark.parametrize("batches", [10, 62])
def test_a_stopped_run_goes_on_to_the_numbers_of_one_that_was_not(
    settings: dict[str, object], batches: int, tmp_path: Path
) -> None:
    whole = carried_out(tmp_path, **settings)
    run = carried_out(tmp_path, after_batches(batches), **settings)
    assert run.state() == "stopped"
    directory.check_resumable(run)
    carry_out(run, lambda _event: None, lambda: False)
    assert run.state() == "done"
    assert batch_losses(run) == batch_losses(whole)
    assert (run.path / "predictions.npz").read_bytes() == (whole.path / "predictions.npz").read_bytes()


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
    settings: dict[str, object] = {"model": f"{tmp_path / 'net.py'}:Net", "epochs": 1}
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
    saved = torch.load(run.checkpoint_path, weights_only=True)["state"]
    assert (saved["epoch"], saved["step"]) == (1, 63)
    with pytest.raises(Problem, match="diverged"):
        directory.check_resumable(run)


def test_resuming_on_other_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = carried_out(tmp_path, after_batches(20))
    monkeypatch.setattr(Dataset, "digest", "another")
    ended = carry_out(run, lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "the data differ from those" in str(ended.message)


def test_a_device_that_is_not_there_is_named_with_what_is(tmp_path: Path) -> None:
    ended = carry_out(directory.create(tmp_path, configuration(device="cuda:99")), lambda _event: None, lambda: False)
    assert ended.status == "failed"
    assert "cuda:99" in str(ended.message)
    assert "cpu" in str(ended.message)


def started(run: Run) -> RunStarted:
    return [event for event in events_of(run) if isinstance(event, RunStarted)][-1]


def test_runs_side_by_side_share_the_cores_and_a_resumed_one_keeps_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "default_threads", lambda: 2)
    run = carried_out(tmp_path, after_batches(5), threads=0)
    assert started(run).threads == 2
    other = directory.create(tmp_path, configuration())
    lease.claim(other.path)  # as if this process trained it
    assert other.state() == "running"
    assert started(carried_out(tmp_path, after_batches(5), threads=0)).threads == 1
    carry_out(run, lambda _event: None, lambda: False)
    assert started(run).threads == 2
