"""The remedies against overfitting, and validation: what they change, and all that they leave as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
import torch
import torchinfo
from torch import nn

from core.config import RunConfig, setting_from_text
from core.data import datasets, split_and_permute
from core.data.datasets import Dataset
from core.messages import InvalidSetting, Problem
from core.networks import exam
from core.networks.build import built_in_class
from core.networks.tabulate import layer_table
from core.runs.events import CheckpointSaved, EpochEnded, RunEnded, RunStarted, Validated
from core.runs.record import Record
from core.training.checkpoints import load as load_checkpoint
from core.worker.carry_out import carry_out
from tests.built import built
from tests.core.test_training import after_batches, batch_losses, carried_out, configuration, events_of

ALL: dict[str, object] = {"dropout": 0.4, "batch_norm": True, "width": 0.5}


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


# Settings


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [("dropout", "0,5", 0.5), ("dropout", "0", 0.0), ("width", "0.25", 0.25), ("width", "4", 4)],
)
def test_what_can_be_typed(field: str, text: str, value: float) -> None:
    assert setting_from_text(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("dropout", text) for text in ("", "1", "-0.1", "nan", "inf", "half")),
        *(("width", text) for text in ("", "0", "-1", "4.1", "nan", "inf", "wide")),
    ],
)
def test_what_cannot_is_refused_by_its_name_and_value(field: str, text: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        setting_from_text(field, text)
    assert caught.value.field == field
    assert text in str(caught.value)


@pytest.mark.parametrize("option", [{"dropout": 0.5}, {"batch_norm": True}, {"width": 2.0}])
def test_a_network_of_ones_own_brings_its_own_remedies(option: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting, match="RN_1, RN_2 only") as caught:
        RunConfig(model="net.py:Net", **option)  # type: ignore[arg-type]
    assert caught.value.field in option
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"exact": True, "validate": True}, "validate"),
        ({"exact": True, "permute": True}, "permute"),
        ({"batch_norm": True, "batch_size": 1}, "batch_norm"),
    ],
)
def test_settings_that_exclude_each_other(settings: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        RunConfig(**settings)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_configuration_from_before_there_were_remedies_still_reads() -> None:
    old = (
        b'{"model": "RN_2", "device": "cpu", "epochs": 3, "batch_size": 64, "lr": 0.001, "seed": 1, "dataset": "mnist"}'
    )
    config = msgspec.json.decode(old, type=RunConfig)
    assert (config.dropout, config.batch_norm, config.width, config.validate, config.permute) == (
        0,
        False,
        1,
        False,
        False,
    )


def test_a_checkpoint_from_before_there_were_remedies_still_loads(sample: Dataset, tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(10))
    content = torch.load(run.checkpoint_path, weights_only=True)
    for field in ("dropout", "batch_norm", "width", "validate", "permute"):
        del content["config"][field]
    torch.save(content, run.checkpoint_path)
    assert load_checkpoint(run.checkpoint_path, configuration(), sample.digest) is not None
    with pytest.raises(Problem, match="other settings"):
        load_checkpoint(run.checkpoint_path, configuration(dropout=0.1), sample.digest)


# The networks


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_without_options_the_exam_s_own_class_is_built(model: str) -> None:
    assert type(built(model)) is built_in_class(model)
    assert type(built(model, dropout=0.0, batch_norm=False, width=1.0)) is built_in_class(model)


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_what_adds_no_parameters_draws_none(model: str) -> None:
    torch.manual_seed(3)
    exam = built(model)
    torch.manual_seed(3)
    variant = built(model, dropout=0.5)
    assert list(variant.state_dict()) == list(exam.state_dict())
    assert all(map(torch.equal, variant.state_dict().values(), exam.state_dict().values()))
    images = torch.randn(5, 1, 28, 28)
    assert torch.equal(variant.eval()(images), exam.eval()(images))


def test_the_layers_stand_in_forward_order() -> None:
    perceptron = [f"{kind}{i}" for i in (1, 2, 3) for kind in ("fc", "bn", "relu", "dropout")]
    convolutions = [f"{kind}{i}" for i in (1, 2) for kind in ("conv", "bn", "relu", "pool")]
    expected = {
        "RN_1": ["flatten", *perceptron, "fc4"],
        "RN_2": [*convolutions, "flatten", "fc1", "bn3", "relu3", "dropout1", "fc2"],
    }
    for model, names in expected.items():
        network = built(model, dropout=0.5, batch_norm=True)
        assert [name for name, _ in network.named_children()] == names
        assert [layer.name for layer in layer_table(network, model).layers] == names


def perceptron_size(width: float, batch_norm: bool) -> int:
    sizes = [784, *(max(1, round(size * width)) for size in (512, 256, 128)), 10]
    weights = sum(inputs * outputs + outputs for inputs, outputs in pairwise(sizes))
    return weights + batch_norm * 2 * sum(sizes[1:-1])


def convolutional_size(width: float, batch_norm: bool) -> int:
    first, second, units = (max(1, round(size * width)) for size in (32, 64, 128))
    weights = (9 * first + first) + (9 * first * second + second) + (49 * second * units + units) + (units * 10 + 10)
    return weights + batch_norm * 2 * (first + second + units)


@pytest.mark.parametrize("width", [0.001, 0.3, 0.5, 1, 2.5])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("model", "size"), [("RN_1", perceptron_size), ("RN_2", convolutional_size)])
def test_parameters_by_formula_and_by_an_independent_library(
    model: str, size: Callable[[float, bool], int], batch_norm: bool, width: float
) -> None:
    network = built(model, dropout=0.25, batch_norm=batch_norm, width=width)
    table = layer_table(network, model)
    summary = torchinfo.summary(network, input_size=(2, 1, 28, 28), verbose=0)
    assert table.total == size(width, batch_norm) == summary.total_params
    theirs = {layer.var_name: layer for layer in summary.summary_list if layer.is_leaf_layer}
    for layer in table.layers:
        assert layer.output_shape == tuple(theirs[layer.name].output_size[1:])
        assert layer.parameters == theirs[layer.name].num_params


# Validation


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_validation_set_is_a_fixed_tenth_of_the_training_set(sample: Dataset) -> None:
    split = split_and_permute.prepared(sample, configuration(validate=True))
    again = split_and_permute.prepared(sample, configuration(validate=True, model="RN_2", epochs=9))
    other = split_and_permute.prepared(sample, configuration(validate=True, seed=8))
    assert (len(split.train_labels), len(split.validation_labels)) == (3600, 400)
    assert torch.equal(split.validation_images, again.validation_images)
    assert split.digest == again.digest != other.digest
    whole = torch.cat([split.train_images, split.validation_images]).flatten(1).long().sum(0)
    assert torch.equal(whole, sample.train_images.flatten(1).long().sum(0))
    assert rows(split.train_images) | rows(split.validation_images) == rows(sample.train_images)
    assert rows(split.train_images).isdisjoint(rows(split.validation_images))
    assert rows(split.validation_images).isdisjoint(rows(sample.test_images))
    assert torch.equal(split.test_images, sample.test_images)


def test_without_it_nothing_is_held_out(sample: Dataset) -> None:
    assert split_and_permute.prepared(sample, configuration()) is sample


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
        "core.training.loop._Training.validate", lambda _self, epoch: Validated(epoch=epoch, loss=0, accuracy=0)
    )
    without = batch_losses(carried_out(tmp_path, validate=True, **ALL))
    assert with_it == without


@pytest.mark.parametrize(("model", "batches"), [("RN_1", 20), ("RN_1", 57), ("RN_2", 80)])
def test_a_stopped_run_goes_on_to_the_numbers_of_one_that_was_not(model: str, batches: int, tmp_path: Path) -> None:
    whole = carried_out(tmp_path, model=model, validate=True, permute=True, **ALL)
    run = carried_out(tmp_path, after_batches(batches), model=model, validate=True, permute=True, **ALL)
    assert run.state() == "stopped"
    carry_out(run, lambda _event: None, lambda: False)
    assert run.state() == "done"
    assert batch_losses(run) == batch_losses(whole)
    assert (run.path / "predictions.npz").read_bytes() == (whole.path / "predictions.npz").read_bytes()
    ours, theirs = (
        [(event.epoch, event.loss, event.accuracy) for event in events_of(each) if isinstance(event, Validated)]
        for each in (run, whole)
    )
    assert ours == theirs


def test_an_epoch_that_a_crash_repeats_is_read_once() -> None:
    started = RunStarted(
        config=configuration(epochs=3, validate=True),
        **{"device": "cpu", "device_name": "", "torch_version": "", "threads": 1, "dataset": "sample"},  # type: ignore[arg-type]
        **{"dataset_title": "", "class_names": (), "train_size": 40, "test_size": 10, "parameters": 1},  # type: ignore[arg-type]
        steps_per_epoch=10,
    )
    replay = Record()
    for attempt, value in ((started, 3.0), (msgspec.structs.replace(started, epoch=1, step=10), 2.0)):
        first = 1 if attempt is started else 2
        replay.apply([attempt])
        for epoch in range(first, 3):
            replay.apply(
                [EpochEnded(epoch=epoch, loss=value, seconds=1), Validated(epoch=epoch, loss=value, accuracy=0.5)]
            )
    assert [event.loss for event in replay.validations] == [event.loss for event in replay.epochs] == [3.0, 2.0]


def test_the_validation_points_are_bounded() -> None:
    history = Record().history
    for epoch in range(10_000):
        history.add_validation(10 * epoch, math.nan if epoch == 5 else 1.0, 0.9)
    assert len(history.validation) <= 4096


def test_a_last_batch_of_one_image_is_refused_with_batch_norm(tmp_path: Path) -> None:
    ended = events_of(carried_out(tmp_path, batch_norm=True, batch_size=3999))[-1]
    assert isinstance(ended, RunEnded)
    assert ended.status == "failed"
    assert "batches of 3999" in str(ended.message)


# Permuted pixels


def test_the_permutation_is_one_and_can_be_undone(sample: Dataset) -> None:
    permutation = split_and_permute.pixel_permutation()
    assert sorted(permutation.tolist()) == list(range(784))
    assert torch.equal(permutation, split_and_permute.pixel_permutation())
    assert (permutation != torch.arange(784)).sum() > 700
    back = split_and_permute.permuted(sample.test_images).flatten(1)[:, permutation.argsort()].reshape(-1, 28, 28)
    assert torch.equal(back, sample.test_images)


def test_training_and_test_images_are_permuted_alike_whatever_the_run(sample: Dataset) -> None:
    permuted = split_and_permute.prepared(sample, configuration(permute=True))
    assert torch.equal(permuted.train_images, split_and_permute.permuted(sample.train_images))
    assert torch.equal(permuted.test_images, split_and_permute.permuted(sample.test_images))
    assert torch.equal(permuted.train_labels, sample.train_labels)
    assert (
        permuted.digest
        == split_and_permute.prepared(sample, configuration(permute=True, seed=99)).digest
        != sample.digest
    )


def test_the_perceptron_does_not_see_the_permutation(sample: Dataset) -> None:
    """With the columns of its first layer permuted too it computes the same, and these were as likely to be drawn."""
    images = sample.test_images[:50].float().unsqueeze(1) / 255
    permutation = split_and_permute.pixel_permutation()
    network, other = exam.RN_1().double(), exam.RN_1().double()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other.fc1.weight.copy_(network.fc1.weight[:, permutation])
    permuted = split_and_permute.permuted(images.squeeze(1)).unsqueeze(1)
    torch.testing.assert_close(other(permuted.double()), network(images.double()))


def test_held_out_images_are_permuted_too(sample: Dataset) -> None:
    plain = split_and_permute.prepared(sample, configuration(validate=True))
    permuted = split_and_permute.prepared(sample, configuration(validate=True, permute=True))
    assert torch.equal(permuted.validation_images, split_and_permute.permuted(plain.validation_images))


def test_dropout_and_running_statistics_are_off_in_the_test(sample: Dataset, tmp_path: Path) -> None:
    summary = carried_out(tmp_path, model="RN_2", epochs=1, **ALL).summary()
    assert summary.accuracy is not None
    assert summary.accuracy > 0.85
    assert isinstance(built("RN_2", dropout=0.5).get_submodule("dropout1"), nn.Dropout)
