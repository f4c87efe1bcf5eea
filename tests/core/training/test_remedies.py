"""Training with the remedies against overfitting and with validation: what changes, and what must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from core.data.datasets import Dataset
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, EpochEnded, RunEnded, RunStarted, Validated
from core.runs.record import Record
from core.worker.carry_out import carry_out
from tests.built import built
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, events_of, predictions_of

pytestmark = pytest.mark.usefixtures("one_thread")

ALL: dict[str, Any] = {"dropout": 0.4, "batch_norm": True, "width": 0.5}


def test_each_epoch_is_validated_before_its_checkpoint(sample: Dataset, tmp_path: Path) -> None:
    events = events_of(carried_out(tmp_path, validate=True))
    started = next(event for event in events if isinstance(event, RunStarted))
    assert (started.train_size, started.validation_size, started.test_size) == (3600, 400, 1000)
    assert started.steps_per_epoch == 57
    ends = [event for event in events if isinstance(event, EpochEnded | Validated | CheckpointSaved)]
    assert [type(event) for event in ends] == [EpochEnded, Validated, CheckpointSaved] * 2
    first, second = (event for event in ends if isinstance(event, Validated))
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.accuracy > 0.8
    assert second.loss is not None
    assert 0 < second.loss < 1

    replay = Record()
    replay.apply(events)
    assert list(replay.validations) == [first, second]
    columns = replay.history.validation.columns([0, 57, 114])
    assert [column.mean for column in columns if column] == [first.loss, second.loss]


def test_validation_does_not_touch_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = batch_losses(carried_out(tmp_path, validate=True, **ALL))
    monkeypatch.setattr(
        "core.training.loop.Training.validate", lambda _self, epoch: Validated(epoch=epoch, loss=0, accuracy=0)
    )
    without = batch_losses(carried_out(tmp_path, validate=True, **ALL))
    assert with_it == without


@pytest.mark.slow
@pytest.mark.parametrize(("model", "stops"), [pytest.param("RN_1", (20, 57), marks=pytest.mark.alike), ("RN_2", (80,))])
def test_a_stopped_run_goes_on_to_the_numbers_of_one_that_was_not(
    model: str, stops: tuple[int, ...], tmp_path: Path
) -> None:
    whole = carried_out(tmp_path, model=model, validate=True, permute=True, **ALL)
    for batches in stops:
        run = carried_out(tmp_path, after_batches(batches), model=model, validate=True, permute=True, **ALL)
        assert run.state() == "stopped"
        carry_out(run, lambda _event: None, lambda: False)
        assert run.state() == "done"
        assert batch_losses(run) == batch_losses(whole)
        assert predictions_of(run) == predictions_of(whole)
        assert _validations(run) == _validations(whole)


def _validations(run: Run) -> list[tuple[int, float | None, float]]:
    return [(event.epoch, event.loss, event.accuracy) for event in events_of(run) if isinstance(event, Validated)]


def test_a_last_batch_of_one_image_is_refused_with_batch_norm(tmp_path: Path) -> None:
    ended = events_of(carried_out(tmp_path, batch_norm=True, batch_size=3999))[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == "failed"
    assert "batches of 3999" in str(ended.message)


def test_dropout_and_running_statistics_are_off_in_the_test(sample: Dataset, tmp_path: Path) -> None:
    summary = carried_out(tmp_path, model="RN_2", epochs=1, **ALL).summary()
    assert summary.accuracy is not None
    assert summary.accuracy > 0.85
    assert isinstance(built("RN_2", dropout=0.5).get_submodule("dropout1"), nn.Dropout)
