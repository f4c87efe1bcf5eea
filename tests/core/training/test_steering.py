"""Runs that are steered while they train: learning rate, epochs, pauses, and a resumption with others."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from core.config import RunConfig
from core.data.datasets import Dataset
from core.data.split_and_permute import prepared
from core.messages import InvalidSetting, Problem
from core.networks.build import build_network
from core.randomness import seed_all
from core.runs import control, lease, resumption
from core.runs.control import Request
from core.runs.directory import FollowedRun, Run, create
from core.runs.events import Event, Notice, Progress, RunEnded, RunStarted, SettingsChanged, WeightsRestored
from core.runs.record import Record
from core.training import loop, meter
from core.training.batches import normalise
from core.training.optimizer import FusedAdam, set_lr
from core.worker import carry_out as worker
from core.worker import inbox
from core.worker.threads import CoreWatch
from tests.core.runs.run_files import write
from tests.core.training.sample_runs import batch_losses, carried_out, configuration, events_of, predictions_of
from tests.recorded import started

SETTINGS: dict[str, Any] = {"epochs": 3, "width": 0.1, "batch_size": 200}
STEPS = 20  # batches of an epoch
CHANGES = {
    5: Request(lr=0.01),
    25: Request(lr=0.0005, epochs=2),
    33: Request(epochs=4),
    48: Request(lr=0.002),
}


@pytest.fixture(autouse=True)
def _every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are looked for after every batch, and every epoch ends with a checkpoint, the only one."""
    monkeypatch.setattr(inbox, "_FILE_INTERVAL_S", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_INTERVAL_S", math.inf)
    monkeypatch.setattr(loop, "HOLD_LOOK_S", 0.0)
    monkeypatch.setattr(meter, "CHECKPOINT_SHARE", math.inf)


class Steersman:
    """A user who asks for changes after some batches, counted over the whole training, each one once."""

    def __init__(self, run: Run, changes: Mapping[int, Request]) -> None:
        self.run = run
        self.left = dict(changes)
        self.done = self.killed_at = 0

    def carry_out(self, killed_at: int = 0) -> None:
        self.killed_at = killed_at
        worker.carry_out(self.run, self._show, self._should_stop)

    def _show(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.done = (event.epoch - 1) * event.steps_per_epoch + event.step

    def _should_stop(self) -> bool:
        self.done += 1
        if self.done in self.left:
            control.ask(self.run.path, self.left.pop(self.done))
        if self.done == self.killed_at:
            raise RuntimeError("killed")
        return False


def record_of(run: Run) -> Record:
    followed = FollowedRun(run)
    followed.read()
    return followed.record


def new(folder: Path, **settings: object) -> Run:
    return create(folder, configuration(**SETTINGS | settings))


def steered(folder: Path, changes: Mapping[int, Request]) -> Run:
    run = new(folder)
    Steersman(run, changes).carry_out()
    assert run.state() == "done"
    return run


@pytest.mark.parametrize("kills", [8, pytest.param(20, marks=pytest.mark.alike)])
def test_a_steered_run_that_is_killed_and_resumed_is_the_run_never_killed(kills: int, tmp_path: Path) -> None:
    whole = steered(tmp_path, CHANGES)
    assert len(batch_losses(whole)) == 4 * STEPS
    run, draw = new(tmp_path), random.Random(3)
    steersman = Steersman(run, CHANGES)
    for kill in range(kills):
        steersman.carry_out(killed_at=kill * 4 // kills * STEPS + draw.randint(1, STEPS))
        assert run.state() == "failed"
    steersman.carry_out()
    assert (batch_losses(run), predictions_of(run)) == (batch_losses(whole), predictions_of(whole))
    assert record_of(run).changes["lr"][1].lr == 0.0005


def test_of_a_change_that_is_to_be_repeated_only_what_was_asked_anew_is_forgotten(tmp_path: Path) -> None:
    """Also once the run was killed again before it got there."""
    whole = steered(tmp_path, {STEPS: Request(lr=0.02), 25: Request(epochs=2)})
    run = new(tmp_path)
    steersman = Steersman(run, {25: Request(lr=0.0005, epochs=2)})
    steersman.carry_out(killed_at=30)
    control.ask(run.path, Request(lr=0.02))
    steersman.carry_out(killed_at=22)
    steersman.carry_out()
    assert (batch_losses(run), predictions_of(run)) == (batch_losses(whole), predictions_of(whole))
    assert [(each.step, each.lr, each.epochs) for each in record_of(run).changes_after(0, 0)] == [
        (20, 0.02, None),
        (5, None, 2),
    ]


def test_two_changes_after_one_batch_are_repeated_after_it() -> None:
    """As in a pause whose checkpoint could not be saved."""
    record = Record(keep_losses=False)
    record.apply([SettingsChanged(epoch=1, step=5, epochs=2), SettingsChanged(epoch=1, step=5, lr=0.01)])
    [both] = record.changes_after(1, 4)
    assert (both.step, both.lr, both.epochs) == (5, 0.01, 2)


def test_a_run_whose_changes_were_taken_back_is_still_steered() -> None:
    config = RunConfig(seed=1)
    changes: tuple[dict[str, Any], ...] = ({"lr": config.lr}, {"epochs": config.epochs})
    for told in changes:
        record = Record(keep_losses=False)  # of a start and a tail, without the changes between
        progress = Progress(epoch=2, step=1, loss=1.0, losses=(1.0,), images_per_s=1.0, elapsed_s=1.0, **told)
        record.apply([started(config), progress])
        assert record.is_steered


def test_a_change_takes_effect_at_the_next_batch_and_every_reader_knows(tmp_path: Path) -> None:
    run = steered(tmp_path, CHANGES)
    told = [event for event in events_of(run) if isinstance(event, SettingsChanged)]
    assert [(event.epoch, event.step, event.lr, event.epochs) for event in told] == [
        (1, 5, 0.01, None),
        (2, 5, 0.0005, 2),
        (2, 13, None, 4),
        (3, 8, 0.002, None),
    ]
    for record in (record_of(run), run.tail()):
        assert record.is_steered
        assert (record.config.lr, record.config.epochs, record.share) == (0.002, 4, 1.0)
    summary = run.summary()
    assert summary.is_steered
    assert summary.config == record_of(run).config
    assert run.config().epochs == 3  # as it was begun
    assert not list(run.path.glob("control-*"))
    unsteered = batch_losses(carried_out(tmp_path, **SETTINGS))
    same = [position for position, loss in batch_losses(run).items() if unsteered.get(position) == loss]
    assert same == [(1, step) for step in range(1, 6)] + [(1, 6)]  # the loss after the last step of the same rate


def test_a_pause_changes_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held within an epoch and at an epoch's end; a change in it counts; killed in it, it goes on."""
    whole = steered(tmp_path, {10: Request(lr=0.01)})
    states: list[str] = []

    class Pausing(Steersman):
        def _should_stop(self) -> bool:
            state = self.run.state()
            if state != "paused":
                return super()._should_stop()
            states.append(state)
            if self.done == 15:
                raise RuntimeError("killed")
            if self.done == 10 and len(states) == 1:
                control.ask(self.run.path, Request(lr=0.01))
            elif len(states) in (3, 6):
                control.ask(self.run.path, Request(paused=False))
            return False

    watched: list[int] = []
    monkeypatch.setattr(CoreWatch, "after_batch", lambda _watch: watched.append(1))
    run = new(tmp_path)
    Pausing(run, {10: Request(paused=True), STEPS: Request(paused=True)}).carry_out()
    assert run.state() == "done"
    assert len(states) == 6
    assert len(watched) == 3 * STEPS  # whoever takes the cores in a pause takes none of its threads
    assert (batch_losses(run), predictions_of(run)) == (batch_losses(whole), predictions_of(whole))
    killed = new(tmp_path)
    Pausing(killed, {15: Request(paused=True)}).carry_out()
    assert (killed.state(), len(states)) == ("failed", 7)
    killed.withdraw_requests()  # as whoever resumes it does
    Steersman(killed, {}).carry_out()
    assert [event.step for event in events_of(killed) if isinstance(event, RunStarted)] == [0, 15]
    assert batch_losses(killed) == batch_losses(carried_out(tmp_path, **SETTINGS))


def test_a_finished_run_is_trained_on_and_one_that_diverged_is_rescued(tmp_path: Path) -> None:
    whole = carried_out(tmp_path, **SETTINGS | {"epochs": 4})
    run = carried_out(tmp_path, **SETTINGS)
    with pytest.raises(Problem, match="finished"):
        resumption.check_resumable(run)
    for epochs in (2, 3):
        with pytest.raises(Problem, match="has begun epoch 3 already"):
            resumption.check_resumable(run, Request(epochs=epochs))
    resumption.check_resumable(run, Request(epochs=4))
    control.ask(run.path, Request(epochs=4))
    Steersman(run, {}).carry_out()
    assert (batch_losses(run), predictions_of(run)) == (batch_losses(whole), predictions_of(whole))
    assert record_of(run).is_steered
    diverging = new(tmp_path)
    Steersman(diverging, {STEPS + 2: Request(lr=1e30)}).carry_out()
    assert diverging.state() == "diverged"
    resumption.check_resumable(diverging, Request(lr=0.001))
    control.ask(diverging.path, Request(lr=0.001))
    Steersman(diverging, {}).carry_out()
    assert diverging.state() == "done"
    assert batch_losses(diverging) == batch_losses(carried_out(tmp_path, **SETTINGS))


def test_a_request_may_be_damaged_or_hostile(tmp_path: Path) -> None:
    run = new(tmp_path, epochs=1)
    contents = (
        b"",
        b"[" * 9999,
        b'{"lr": -1}',
        b'{"lr": 1e999}',
        b'{"lr": NaN}',
        b'{"epochs": 0}',
        b'{"seed": 3}',
        b"\xff",
    )
    for number, content in enumerate(contents):
        (run.path / f"control-{number:019d}-00000000.json").write_bytes(content)
    (run.path / f"control-{99:019d}-00000000.json").mkdir()
    Steersman(run, {}).carry_out()
    assert run.state() == "done"
    assert not record_of(run).is_steered


def test_two_requests_before_one_look_are_one_and_the_later_counts() -> None:
    first, second = Request(lr=0.1, paused=True), Request(lr=0.2, epochs=3, paused=False)
    assert first.then(second) == second
    assert second.then(Request(stop=True)) == Request(stop=True, lr=0.2, epochs=3, paused=False)


def test_a_learning_rate_that_is_a_tensor_is_the_same_number() -> None:
    """As where the step is captured, whose graph would keep a number as it was."""
    losses: list[list[float]] = []
    for lr in (0.01, torch.tensor(0.01)):
        torch.manual_seed(0)
        network, images = nn.Linear(9, 3), torch.rand(5, 9)
        optimizer = FusedAdam(network, lr=0.01)
        optimizer.param_groups[0]["lr"] = lr
        losses.append([])
        for step in range(8):
            if step == 4:
                set_lr(optimizer, 0.1)
            optimizer.zero_grad()
            loss = network(images).square().sum()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert isinstance(optimizer.param_groups[0]["lr"], torch.Tensor)


def _by_hand(dataset: Dataset, config: RunConfig) -> tuple[int, int, dict[str, torch.Tensor]]:
    """Train in a plain loop; return the best epoch, the last one, and the weights of the best."""
    seed_all(config.seed)
    network = build_network(config.architecture)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.lr)
    images, held = (normalise(each, dataset) for each in (dataset.train_images, dataset.validation_images))
    order = torch.Generator().manual_seed(config.seed)
    best, best_epoch, least = {}, 0, math.inf
    for epoch in range(1, config.epochs + 1):
        network.train()
        for batch in torch.randperm(len(images), generator=order).split(config.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), dataset.train_labels[batch]).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            loss = nn.functional.cross_entropy(network(held), dataset.validation_labels).item()
        if loss < least:
            best, best_epoch, least = copy.deepcopy(network.state_dict()), epoch, loss
        if epoch - best_epoch >= config.patience:
            break
    return best_epoch, epoch, best


@pytest.mark.parametrize("patience", [pytest.param(1, marks=pytest.mark.alike), 3])
def test_patience_is_a_plain_loop_that_keeps_the_best_epoch(patience: int, sample: Dataset, tmp_path: Path) -> None:
    settings = SETTINGS | {"epochs": 30, "lr": 0.02, "validate": True, "patience": patience}
    config = configuration(**settings)
    best_epoch, last, weights = _by_hand(prepared(sample, config), config)
    assert best_epoch < last < 30
    run = carried_out(tmp_path, **settings)
    record = record_of(run)
    assert (len(record.epochs), record.position, record.share) == (last, (last, 18), 1.0)
    assert record.restored is not None
    assert record.restored.epoch == best_epoch
    assert record.restored.loss == min(each.loss or math.inf for each in record.validations)
    kept = load_file(run.result_paths("weights", ".safetensors")[0])
    for name, expected in weights.items():
        torch.testing.assert_close(kept[name], expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(Problem, match=f"patience ended run {run.id} after epoch {last}"):
        resumption.check_resumable(run, Request(epochs=40))
    Steersman(run, {}).carry_out()  # which only tests it again
    assert record_of(run).position == (last, 18)
    stopped = new(tmp_path, **settings)
    for batches in (
        best_epoch * 18 + 5,
        last * 18,
    ):  # after the best epoch, whose weights a checkpoint keeps, and at the end
        Steersman(stopped, {batches: Request(stop=True)}).carry_out()
        assert stopped.state() == "stopped"
    Steersman(stopped, {}).carry_out()
    assert (batch_losses(stopped), predictions_of(stopped)) == (batch_losses(run), predictions_of(run))


def test_patience_that_is_not_used_up_keeps_the_best_epoch_too(tmp_path: Path) -> None:
    run = carried_out(tmp_path, **SETTINGS | {"validate": True, "patience": 9})
    best = min(record_of(run).validations, key=lambda each: each.loss or math.inf)
    (restored,) = [event for event in events_of(run) if isinstance(event, WeightsRestored)]
    assert (restored.epoch, restored.loss) == (best.epoch, best.loss)
    assert record_of(run).restored == restored
    assert not [event for event in events_of(run) if isinstance(event, Notice)]
    with pytest.raises(InvalidSetting, match="--validate"):
        configuration(patience=3)


@pytest.mark.parametrize("best", [1, 2])
def test_more_epochs_are_refused_where_patience_ended_with_the_last_one(best: int, tmp_path: Path) -> None:
    run = new(tmp_path, epochs=3, validate=True, patience=2)
    with lease.hold(run.path):
        progress = Progress(epoch=3, step=63, loss=1.0, losses=(), images_per_s=1.0, elapsed_s=1.0)
        end = WeightsRestored(epoch=best, loss=0.5), RunEnded(status="done")
        write(run, started(run.config()), progress, *end)
    with pytest.raises(Problem, match="patience ended") if best == 1 else nullcontext():
        resumption.check_resumable(run, Request(epochs=9))
