"""Comparisons: which runs are found again, what is begun, and statistics that agree with scipy's and mlxtend's."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psutil
import pytest
import torch
from mlxtend.evaluate import mcnemar, mcnemar_table
from scipy import stats
from torch import nn

from core import files, machine
from core.comparing import comparison, statistics
from core.comparing.comparison import Comparison, plan
from core.config import RunConfig
from core.messages import InvalidSetting, Message, Problem
from core.networks import exam
from core.networks.macs import macs_per_image
from core.runs import directory
from core.runs.directory import FollowedRun, Run
from core.runs.events import EpochEnded, Evaluated, Event, EventWriter, Progress, RunEnded
from core.runs.lease import Worker
from core.training import settle
from tests.recorded import started

SETTINGS = RunConfig(dataset="sample", device="cpu", epochs=2, threads=1, seed=0, data_dir="/data")
LABELS = np.arange(1000) % 10


def predicted(wrong: range | list[int]) -> Any:
    """Everything right but the images of these numbers."""
    found = LABELS.copy()
    found[list(wrong)] = (found[list(wrong)] + 1) % 10
    return found


def write(run: Run, *events: Event) -> None:
    writer = EventWriter(run.events_path)
    for event in events:
        assert writer.write(event) is None
    writer.close()


def finished(folder: Path, config: RunConfig, wrong: range | list[int], labels: Any = LABELS, **fields: Any) -> Run:
    """A run that says that it is done, as a worker leaves it."""
    run = directory.create(folder, config)
    correct = int((predicted(wrong) == labels).sum())
    epochs = (EpochEnded(epoch=epoch, loss=0.5 / epoch, seconds=2.0) for epoch in range(1, config.epochs + 1))
    result = Evaluated(correct=correct, total=1000, accuracy=correct / 1000, test_loss=0.25, confusion=())
    write(run, started(config, **fields), *epochs, result, RunEnded(status="done"))
    answers = {"label": labels.astype("uint8"), "predicted": predicted(wrong), "probability": np.ones(len(labels))}
    np.savez_compressed(run.path / "predictions.npz", **answers)
    return run


def record(run: Run) -> FollowedRun:
    read = FollowedRun(run)
    read.read()
    return read


def config_of(model: str, seed: int, **settings: Any) -> RunConfig:
    return msgspec.structs.replace(SETTINGS, model=model, seed=seed, **settings)


class Worked:
    """Stands for the process of a worker; it has ended when `code` is set."""

    def __init__(self, command: list[str], **_options: object) -> None:
        self.run = Run(Path(command[-1]))
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Worked]:
    """The processes begun."""
    begun: list[Worked] = []

    def begin(command: list[str], **options: object) -> Worked:
        begun.append(Worked(command, **options))
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", begin)
    return begun


# The plan


def test_the_same_command_always_means_the_same_runs() -> None:
    configs = plan(("RN_1", "RN_2"), 2, SETTINGS)
    assert [(config.model, config.seed) for config in configs] == [("RN_1", 0), ("RN_2", 0), ("RN_1", 1), ("RN_2", 1)]
    assert plan(("RN_1", "RN_2"), 2, SETTINGS) == configs
    assert plan(("RN_1", "RN_2"), 3, SETTINGS)[:4] == configs


@pytest.mark.parametrize("text", ["", "0", "-1", "1001", "five", "2.5", "²", "9" * 30])
def test_a_number_of_seeds_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="number of seeds"):
        comparison.check_seeds(text)


@pytest.mark.parametrize(("models", "said"), [(("RN_1",), "two networks"), (("RN_1", "RN_2", "RN_1"), "is listed")])
def test_networks_that_cannot_be_compared_are_refused(models: tuple[str, ...], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        plan(models, 2, SETTINGS)


def test_two_runs_at_once_on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads, together in ((1, 1, 1), (2, 1, 2), (8, 1, 8), (16, 2, 8), (128, 4, 32)):
        monkeypatch.setattr(machine, "usable_cores", lambda cores=cores: cores)
        assert settle.threads_of_each("cpu") == threads
        assert comparison.at_once("cpu", threads) == together
    assert comparison.at_once("cuda:0", 0) == 1


# Runs that are there already


def test_finished_runs_are_not_trained_again_and_others_are_made(tmp_path: Path, launched: list[Worked]) -> None:
    old = finished(tmp_path, config_of("RN_1", 0, data_dir="/elsewhere"), range(20))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), at_once=2)
    assert [part.state for part in made.parts] == ["done", "waiting"]
    assert made.parts[0].followed is not None
    assert made.parts[0].followed.run.id == old.id
    assert made.advance()
    (new,) = launched
    assert new.run.config() == config_of("RN_2", 0)


def test_what_auto_meant_counts_and_not_the_word(tmp_path: Path, launched: list[Worked]) -> None:
    finished(tmp_path, config_of("RN_1", 0, dataset="auto", device="auto", threads=0), range(20), threads=1)
    finished(tmp_path, config_of("RN_2", 0, dataset="auto"), range(20), dataset="mnist")
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), at_once=1)
    assert [part.state for part in made.parts] == ["done", "waiting"]


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"lr": 0.01}, {"batch_size": 32}, {"precision": "bf16"}, {"threads": 2}, {"width": 0.5}]
)
def test_a_run_with_other_settings_is_not_taken(change: dict[str, Any], tmp_path: Path) -> None:
    finished(tmp_path, config_of("RN_1", 0, **change), range(20))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), at_once=1)
    assert made.count("waiting") == 2


def test_a_network_that_was_edited_since_is_trained_again(tmp_path: Path) -> None:
    network = tmp_path / "net.py"
    network.write_text("")
    config = config_of(f"{network}:Net", 0)
    finished(tmp_path / "runs", config, range(20))
    configs = [config, config_of("RN_1", 0)]
    os.utime(network, (1.0, 1.0))
    assert Comparison(tmp_path / "runs", configs, 1).parts[0].state == "done"
    os.utime(network, (time.time() + 60, time.time() + 60))
    assert Comparison(tmp_path / "runs", configs, 1).parts[0].state == "waiting"


def test_stopped_and_crashed_runs_go_on(tmp_path: Path, launched: list[Worked]) -> None:
    stopped, crashed = (directory.create(tmp_path, config_of(model, 0)) for model in ("RN_1", "RN_2"))
    write(stopped, started(stopped.config()), RunEnded(status="stopped"))
    stopped.request_stop()
    write(crashed, started(crashed.config()))
    os.utime(crashed.path / "config.json", (1.0, 1.0))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), at_once=2)
    made.advance()
    assert [process.run.id for process in launched] == [stopped.id, crashed.id]
    assert not stopped.stop_requested()
    assert made.count("running") == 2


def test_a_run_in_progress_is_waited_for_and_taken_over_when_its_process_dies(
    tmp_path: Path, launched: list[Worked]
) -> None:
    run = directory.create(tmp_path, config_of("RN_1", 0))
    worker = Worker(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())
    files.replace(run.path / "worker.json", lambda file: file.write(msgspec.json.encode(worker)))
    write(run, started(run.config()))
    made = Comparison(tmp_path, [run.config()], at_once=1)
    assert made.advance()
    assert not launched
    dead = msgspec.structs.replace(worker, process_start=1.0)
    files.replace(run.path / "worker.json", lambda file: file.write(msgspec.json.encode(dead)))
    assert made.advance()
    assert [process.run.id for process in launched] == [run.id]


def test_no_more_at_once_than_there_is_room_for(tmp_path: Path, launched: list[Worked]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 2, SETTINGS), at_once=2)
    assert made.advance()
    assert made.advance()
    assert len(launched) == 2
    launched[0].code = 0
    write(launched[0].run, started(SETTINGS), RunEnded(status="done"))
    assert made.advance()
    assert [part.state for part in made.parts] == ["done", "running", "running", "waiting"]


def test_progress_over_the_whole(tmp_path: Path, launched: list[Worked]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), at_once=2)
    made.advance()
    assert (made.share, made.seconds_left()) == (0, None)
    for process, elapsed in zip(launched, (1.0, 3.0), strict=True):
        progress = Progress(epoch=1, step=63, loss=0.5, losses=(), images_per_s=1.0, elapsed_s=elapsed)
        write(process.run, started(process.run.config()), progress)
    made.advance()
    assert made.share == pytest.approx(0.5)
    assert made.seconds_left() == pytest.approx(3.0)


def test_a_stop_reaches_every_run_in_progress(tmp_path: Path, launched: list[Worked]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 2, SETTINGS), at_once=2)
    made.advance()
    made.stop()
    assert all(process.run.stop_requested() for process in launched)
    for process in launched:
        process.code = 0
        write(process.run, started(SETTINGS), RunEnded(status="stopped"))
    assert not made.advance()
    assert [part.state for part in made.parts] == ["stopped", "stopped", "waiting", "waiting"]


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_run_that_fails_is_left_out_with_the_reason(status: Any, tmp_path: Path, launched: list[Worked]) -> None:
    made = Comparison(tmp_path, [config_of("RN_1", 0)], at_once=1)
    made.advance()
    launched[0].code = 0
    write(launched[0].run, RunEnded(status=status, message=Message("no more room")))
    assert not made.advance()
    (part,) = made.parts
    assert (part.state, part.status, str(part.why)) == ("left_out", status, "no more room")


def test_a_worker_that_dies_is_left_out_with_its_last_words(tmp_path: Path, launched: list[Worked]) -> None:
    made = Comparison(tmp_path, [config_of("RN_1", 0)], at_once=1)
    made.advance()
    launched[0].code = -9
    launched[0].run.log_path.write_text("first\nSegmentation fault\n")
    assert not made.advance()
    assert "Segmentation fault" in str(made.parts[0].why)


# The statistics


def results_of(folder: Path, errors: dict[str, list[int]]) -> statistics.Results:
    """Of networks whose runs, one for each seed, make so many errors."""
    made = [
        finished(folder, config_of(model, seed), range(count))
        for model, counts in errors.items()
        for seed, count in enumerate(counts)
    ]
    return statistics.summarise([record(run) for run in made])


def test_intervals_are_scipys(tmp_path: Path) -> None:
    errors = {"RN_1": [30, 25, 41, 28, 33], "RN_2": [12, 19, 15, 10, 16]}
    results = results_of(tmp_path, errors)
    first, second = (1 - np.array(counts) / 1000 for counts in errors.values())
    for network, values in zip(results.networks, (first, second), strict=True):
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert network.accuracy.mean == pytest.approx(values.mean())
        assert (network.accuracy.low, network.accuracy.high) == pytest.approx(tuple(expected))
    (pair,) = results.pairs
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert pair.difference is not None
    assert (pair.difference.low, pair.difference.high) == pytest.approx(tuple(expected))
    assert results.networks[0].errors.mean == pytest.approx(31.4)
    assert results.networks[0].seconds_per_epoch.mean == 2.0
    assert results.networks[0].images_per_s.mean == 2000
    assert results.networks[0].runs[0].losses == (0.5, 0.25)
    assert "RN_2 is more accurate than RN_1" in str(pair.verdict)


@pytest.mark.parametrize(("only_first", "only_second"), [(3, 9), (0, 0), (0, 5), (10, 60), (40, 40)])
def test_mcnemar_is_mlxtends_exact_for_few(only_first: int, only_second: int) -> None:
    first = predicted(range(only_second))
    second = predicted(range(500, 500 + only_first))
    test = statistics.mcnemar_test(0, LABELS, first, second)
    assert (test.both_right, test.only_first_right, test.only_second_right, test.both_wrong) == (
        1000 - only_first - only_second,
        only_first,
        only_second,
        0,
    )
    differ = only_first + only_second
    table = mcnemar_table(y_target=LABELS, y_model1=first, y_model2=second)
    assert test.p == pytest.approx(mcnemar(table, exact=differ < 25)[1])
    if differ < 25:
        assert test.chi_squared is None
        assert test.p == pytest.approx(stats.binomtest(only_first, differ).pvalue if differ else 1)
    else:
        chi_squared = (abs(only_first - only_second) - 1) ** 2 / differ
        assert test.chi_squared == pytest.approx(chi_squared)
        assert test.p == pytest.approx(stats.chi2.sf(chi_squared, 1))


def test_one_seed_is_no_answer_and_says_so(tmp_path: Path) -> None:
    results = results_of(tmp_path, {"RN_1": [30], "RN_2": [12]})
    assert results.networks[0].accuracy.low is None
    assert str(results.pairs[0].verdict).startswith("One run of each proves nothing")
    assert "RN_2 is 1.8 points more accurate" in str(results.pairs[0].verdict)


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ({"RN_1": [20, 20], "RN_2": [19, 30]}, "one cannot tell which"),
        ({"RN_1": [30, 35, 40], "RN_2": [20, 25, 30]}, "same difference"),
        ({"RN_1": [30], "RN_2": [30]}, "equally accurate"),
        ({"RN_1": [20, 21, 22], "RN_2": [90, 95, 89]}, "RN_1 is more accurate than RN_2"),
    ],
)
def test_the_sentence_claims_no_more_than_the_numbers_carry(
    errors: dict[str, list[int]], said: str, tmp_path: Path
) -> None:
    assert said in str(results_of(tmp_path, errors).pairs[0].verdict)


def test_only_common_seeds_make_pairs(tmp_path: Path) -> None:
    made = [finished(tmp_path, config_of("RN_1", seed), range(20 + seed)) for seed in (0, 1, 2)]
    made += [finished(tmp_path, config_of("RN_2", seed), range(10)) for seed in (2, 3)]
    results = statistics.summarise([record(run) for run in made])
    assert results.pairs[0].seeds == (2,)
    assert [len(network.runs) for network in results.networks] == [3, 2]


def test_networks_of_one_name_are_told_apart(tmp_path: Path) -> None:
    made = [
        finished(tmp_path, config_of(model, 0, **settings), range(5))
        for model, settings in (("/a/n.py:Net", {}), ("/b/n.py:Net", {}), ("RN_2", {}), ("RN_2", {"width": 0.5}))
    ]
    names = [network.name for network in statistics.summarise([record(run) for run in made]).networks]
    assert names == ["/a/n.py:Net", "/b/n.py:Net", "RN_2", "RN_2 (width=0.5)"]


@pytest.mark.parametrize(
    "fields", [{"dataset": "mnist", "dataset_title": "MNIST"}, {"train_size": 60_000}, {"test_size": 10_000}]
)
def test_runs_of_different_data_are_refused(fields: dict[str, Any], tmp_path: Path) -> None:
    made = [
        finished(tmp_path, config_of("RN_1", 0), range(5)),
        finished(tmp_path, config_of("RN_2", 0), range(5), **fields),
    ]
    with pytest.raises(Problem, match="cannot be compared"):
        statistics.summarise([record(run) for run in made])


def test_runs_tested_on_other_images_are_refused(tmp_path: Path) -> None:
    one = finished(tmp_path, config_of("RN_1", 0), range(5))
    other = finished(tmp_path, config_of("RN_2", 0), range(5), labels=LABELS[::-1])
    with pytest.raises(Problem, match="same images"):
        statistics.summarise([record(one), record(other)])


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04junk", b"\x80\x04pickle"])
def test_a_run_without_predictions_is_refused(content: bytes | None, tmp_path: Path) -> None:
    run = finished(tmp_path, config_of("RN_1", 0), range(5))
    path = run.path / "predictions.npz"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Problem, match="predictions"):
        statistics.read_predictions(record(run))


def test_nothing_finished_is_nothing_to_compare() -> None:
    with pytest.raises(Problem, match="nothing to compare"):
        statistics.summarise([])


# Multiply–accumulates


def test_macs_are_those_of_the_formula() -> None:
    assert macs_per_image(exam.RN_1()) == 784 * 512 + 512 * 256 + 256 * 128 + 128 * 10 == 566_528
    convolutions = 28 * 28 * 32 * 1 * 9 + 14 * 14 * 64 * 32 * 9
    assert macs_per_image(exam.RN_2()) == convolutions + 3136 * 128 + 128 * 10


def test_counting_changes_neither_the_network_nor_the_generator() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.Dropout(0.5), nn.Linear(20, 10))
    before, state = {name: value.clone() for name, value in network.state_dict().items()}, torch.get_rng_state()
    assert macs_per_image(network) == 784 * 20 + 20 * 10
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_products_within_fused_layers_are_counted() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.LSTM(28, 64, batch_first=True)
            self.out = nn.Linear(64, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.rows(x.squeeze(1))[0][:, -1])  # type: ignore[no-any-return]

    assert macs_per_image(Reader()) == 28 * 4 * 64 * (28 + 64) + 640
