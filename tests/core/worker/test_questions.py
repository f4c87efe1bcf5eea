"""A worker's answers about finished runs: how they classify test images and drawings."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from core.config import RunConfig
from core.data import split_and_permute
from core.data.conditions import Condition
from core.messages import Problem
from core.runs import directory
from core.runs.directory import Run
from core.runs.snapshots import moments
from core.training import snapshots, testing
from core.training.batches import normalise
from core.training.evaluation import evaluate
from core.training.load_trained import DatasetCache, load_network
from core.training.robustness import accuracy
from core.worker.protocol import Browse, EvaluateAt, Measure, Measured, Recognise, decode_answer, encode
from core.worker.questions import RunInspector
from tests.core.training.sample_runs import carried_out


@pytest.fixture(scope="module")
def trained(finished: Path) -> list[Run]:
    return [Run(finished / "rn1-0001"), Run(finished / "rn2-0002")]


def predictions(run: Run) -> dict[str, np.ndarray]:
    with np.load(run.result_paths("predictions", ".npz")[0]) as arrays:
        return {name: arrays[name] for name in arrays}


def test_errors_come_the_most_confident_first(trained: list[Run]) -> None:
    browsed = RunInspector().browse(Browse(str(trained[0].path)))
    known = predictions(trained[0])
    wrong = np.flatnonzero(known["label"] != known["predicted"])
    assert browsed.total == len(wrong) > 10
    assert {digit.index for digit in browsed.digits} <= set(wrong.tolist())
    probabilities = [digit.probability for digit in browsed.digits]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] == pytest.approx(known["probability"][wrong].max())


def test_a_cell_has_its_own_images(trained: list[Run]) -> None:
    browsed = RunInspector().browse(Browse(str(trained[0].path), label=3, predicted=3))
    known = predictions(trained[0])
    assert browsed.total == int(((known["label"] == 3) & (known["predicted"] == 3)).sum())
    assert all((digit.label, digit.predicted, len(digit.pixels)) == (3, 3, 784) for digit in browsed.digits)
    assert all(max(digit.pixels) > 200 for digit in browsed.digits)


def test_two_runs_are_told_apart_image_by_image(trained: list[Run]) -> None:
    first, second = (str(run.path) for run in trained)
    inspector = RunInspector()
    one, other = predictions(trained[0]), predictions(trained[1])
    wrong, other_wrong = one["predicted"] != one["label"], other["predicted"] != other["label"]
    expected = {"wrong": wrong & ~other_wrong, "other_wrong": other_wrong & ~wrong, "both_wrong": wrong & other_wrong}
    for which, mask in expected.items():
        browsed = inspector.browse(Browse(first, second, which=which))  # type: ignore[arg-type]
        assert browsed.total == int(mask.sum())
        for digit in browsed.digits:
            assert mask[digit.index]
            assert digit.other_predicted == other["predicted"][digit.index]


def test_a_test_image_drawn_is_recognised_as_it_was_in_the_test(trained: list[Run]) -> None:
    inspector = RunInspector()
    known = predictions(trained[1])
    sure = np.flatnonzero((known["label"] == known["predicted"]) & (known["probability"] > 0.999))
    cell = Browse(str(trained[1].path), label=int(known["label"][sure[0]]), predicted=int(known["label"][sure[0]]))
    digit = inspector.browse(cell).digits[0]
    answer = inspector.recognise(Recognise(tuple(str(run.path) for run in trained), digit.pixels))
    assert set(answer.probabilities) == {run.id for run in trained}
    for probabilities in answer.probabilities.values():
        assert sum(probabilities) == pytest.approx(1, abs=1e-4)
        assert probabilities.index(max(probabilities)) == digit.label


def test_an_empty_drawing_is_nothing(trained: list[Run]) -> None:
    assert RunInspector().recognise(Recognise((str(trained[0].path),), bytes(784))).probabilities == {}


def test_runs_without_predictions_are_refused(tmp_path: Path) -> None:
    run = directory.create(tmp_path, RunConfig(dataset="sample"))
    with pytest.raises(Problem, match="has not started"):
        RunInspector().browse(Browse(str(run.path)))


@pytest.mark.parametrize("condition", [None, Condition("shift", 2)])
def test_accuracy_under_a_condition(condition: Condition | None, trained: list[Run]) -> None:
    inspector = RunInspector()
    for run in trained:
        request = Measure(str(run.path), condition)
        dataset = DatasetCache(lambda _m: None, lambda _m, _f: None, lambda: False).of(run)
        found = accuracy(load_network(run), dataset, condition, permute=False)
        assert inspector.measure(request) == Measured(request, found)
        if condition is None:
            assert found == run.summary().accuracy


def test_no_network_s_file_is_executed_to_look_at_a_run(
    trained: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it to recognise a drawing if the run is another user's."""
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    run = Run(Path(shutil.copytree(trained[0].path, tmp_path / "rn1-0001")))
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    settings = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(settings | {"model": f"{trap}:Net"}))
    for ask in (
        lambda: RunInspector().recognise(Recognise((str(run.path),), bytes([200] * 784))),
        lambda: RunInspector().measure(Measure(str(run.path), None)),
        lambda: RunInspector().evaluate_at(EvaluateAt(str(run.path), "0001-1-0")),
        lambda: RunInspector().browse(Browse(str(run.path), moment="0001-1-0")),
    ):
        with pytest.raises(Problem, match="not executed"):
            ask()
    assert not (tmp_path / "sprung").exists()


def test_data_that_are_gone_are_named(trained: list[Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained[0].path, tmp_path / "rn1-0001")))
    for name in ("config.json", "events.jsonl"):
        text = (run.path / name).read_text()
        (run.path / name).write_text(text.replace('"sample"', '"mnist"'))
    settings = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps(settings | {"data_dir": str(tmp_path / "gone")}))
    with pytest.raises(Problem, match=r"no longer in .*gone"):
        RunInspector().measure(Measure(str(run.path), None))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", "pickle", "short"])
def test_damaged_predictions_are_named(damage: object, trained: list[Run]) -> None:
    path = trained[0].result_paths("predictions", ".npz")[0]
    content = path.read_bytes()
    try:
        if damage == "pickle":
            np.savez(path, label=np.array([{}], dtype=object), predicted=0, probability=0)
        elif damage == "short":
            np.savez(path, label=np.zeros(3), predicted=np.zeros(3), probability=np.zeros(3))
        else:
            path.write_bytes(damage)  # type: ignore[arg-type]
        with pytest.raises(Problem, match=trained[0].id):
            RunInspector().browse(Browse(str(trained[0].path)))
    finally:
        path.write_bytes(content)


def test_a_run_that_was_trained_on_answers_with_its_new_weights(trained: list[Run], tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(trained[0].path, tmp_path / trained[0].id)))
    inspector, question = RunInspector(), Recognise((str(run.path),), bytes(range(256)) * 3 + bytes(16))
    before = inspector.recognise(question).probabilities
    weights = load_file(run.result_paths("weights", ".safetensors")[0])
    save_file({name: -values for name, values in weights.items()}, run.path / "weights-0009.safetensors")
    assert inspector.recognise(question).probabilities != before


# Moments of the training


@pytest.fixture(scope="module")
def with_snapshots(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train a small RN_2 on permuted images, with a snapshot before the first batch and three later ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "MAX_SHARE", 1e9)
        return carried_out(
            tmp_path_factory.mktemp("moments"), model="RN_2", width=0.25, epochs=1, snapshots=5, permute=True
        )


def plainly_evaluated(run: Run, at: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the predictions at a snapshot, by torch alone."""
    dataset = split_and_permute.prepared(
        DatasetCache(lambda _m: None, lambda _m, _f: None, lambda: False).of(run), run.config()
    )
    with torch.no_grad():
        logits = load_network(run, moments(run)[at])(normalise(dataset.test_images, dataset))
    return dataset.test_labels.numpy(), logits.argmax(1).numpy()


def test_a_network_is_evaluated_at_any_snapshot(with_snapshots: Run) -> None:
    inspector, results = RunInspector(), []
    for at, moment in enumerate(moments(with_snapshots)):
        answer = inspector.evaluate_at(EvaluateAt(str(with_snapshots.path), moment.path.stem))
        label, predicted = plainly_evaluated(with_snapshots, at)
        results.append(answer.result.correct)
        assert answer.result.correct == (label == predicted).sum()
        assert answer.result.accuracy == pytest.approx((label == predicted).mean())
        confusion = np.zeros((10, 10), int)
        np.add.at(confusion, (label, predicted), 1)
        assert np.array_equal(answer.result.confusion, confusion)
        assert decode_answer.decode(encode(answer)) == answer
    assert len(results) == 4
    assert results[0] < results[-1]


def test_the_same_images_are_shown_at_another_moment(with_snapshots: Run) -> None:
    """What they are chosen by, and whose predictions they have, are two things."""
    inspector, run_dir = RunInspector(), str(with_snapshots.path)
    first, last = (moments(with_snapshots)[at].path.stem for at in (0, -1))
    label, before = plainly_evaluated(with_snapshots, 0)
    _label, after = plainly_evaluated(with_snapshots, -1)
    trained = predictions(with_snapshots)["predicted"]
    for chosen_at, choosing in ((first, before), (last, after), ("", trained)):
        browsed = [
            inspector.browse(Browse(run_dir, moment=moment, chosen_at=chosen_at)) for moment in (first, last, "")
        ]
        assert {answer.total for answer in browsed} == {(label != choosing).sum()}
        assert len({tuple(digit.index for digit in answer.digits) for answer in browsed}) == 1
        for answer, predicted in zip(browsed, (before, after, trained), strict=True):
            assert all(digit.predicted == predicted[digit.index] for digit in answer.digits)
            assert all(digit.label == label[digit.index] for digit in answer.digits)


def test_a_moment_is_evaluated_once(with_snapshots: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Mock(side_effect=evaluate)
    monkeypatch.setattr(testing, "evaluate", counted)
    inspector, run_dir = RunInspector(), str(with_snapshots.path)
    names = [moment.path.stem for moment in moments(with_snapshots)]
    for name in (*names, *reversed(names)):
        inspector.evaluate_at(EvaluateAt(run_dir, name))
        inspector.browse(Browse(run_dir, moment=name, chosen_at=names[0]))
    assert counted.call_count == len(names)


def test_a_moment_that_is_not_there_is_named(with_snapshots: Run) -> None:
    for name in ("0001-9-9", "../weights-0001"):
        with pytest.raises(Problem, match=f"has no snapshot {name}"):
            RunInspector().evaluate_at(EvaluateAt(str(with_snapshots.path), name))


def test_a_damaged_snapshot_is_named(with_snapshots: Run, tmp_path: Path) -> None:
    run = Run(Path(shutil.copytree(with_snapshots.path, tmp_path / with_snapshots.id)))
    moment = moments(run)[1]
    moment.path.write_bytes(moment.path.read_bytes()[:500])
    with pytest.raises(Problem, match=r"the weights of run rn2-0001 cannot be read"):
        RunInspector().browse(Browse(str(run.path), moment=moment.path.stem))
