"""Statistics of finished runs, and sentences that claim no more than the data supports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from core.comparing import intervals, statistics
from core.comparing.mcnemar import swap_test
from core.comparing.statistics import LeftOut, Pair
from core.comparing.verdict import MARGIN, check_margin
from core.messages import InvalidSetting, Message, Problem
from core.runs import directory
from core.runs.events import EpochEnded, Evaluated, RunEnded
from tests.core.comparing.finished_runs import LABELS, config_of, finished, record, save_predictions, write
from tests.recorded import started
from tui_app import comparison_text

MODELS = ("RN_1", "RN_2")


def results_of(folder: Path, errors: dict[str, list[int]], margin: float = MARGIN) -> statistics.Results:
    """Return the results of networks whose runs, one per seed, make the given numbers of errors."""
    made = [
        finished(folder, config_of(model, seed), range(count))
        for model, counts in errors.items()
        for seed, count in enumerate(counts)
    ]
    return statistics.summarise([record(run) for run in made], margin=margin)


def said(pair: Pair) -> str:
    return " ".join(map(str, pair.verdict))


def test_the_figures_are_those_of_the_runs(tmp_path: Path) -> None:
    errors = {"RN_1": [30, 25, 41, 28, 33], "RN_2": [12, 19, 15, 10, 16]}
    results = results_of(tmp_path, errors)
    right = {model: np.arange(1000) >= np.array(counts)[:, None] for model, counts in errors.items()}
    for network, expected in zip(results.networks, right.values(), strict=True):
        assert network.accuracy == intervals.accuracy_estimate(expected)
        assert network.errors.mean == pytest.approx(1000 - expected.sum() / 5)
        assert network.errors.high == pytest.approx(1000 * (1 - (network.accuracy.low or 0)))
    (pair,) = results.pairs
    table = intervals.two_way(right["RN_1"].astype(int) - right["RN_2"], 1000)
    assert pair.difference is not None
    assert pair.difference.mean == pytest.approx(-0.017)
    assert (pair.difference.low, pair.difference.high) == pytest.approx(intervals.difference_interval(table))
    assert pair.parts == intervals.variance_parts(table)
    assert pair.outcome == "worse"
    assert pair.p == swap_test(right["RN_1"].sum(axis=0) - right["RN_2"].sum(axis=0))
    assert results.networks[0].seconds_per_epoch.mean == 2.0
    assert results.networks[0].images_per_s.mean == 2000
    assert results.networks[0].runs[0].losses == (0.5, 0.25)
    assert "RN_2 is more accurate than RN_1 by" in said(pair)


def test_one_seed_is_no_answer_and_says_so(tmp_path: Path) -> None:
    results = results_of(tmp_path, {"RN_1": [30], "RN_2": [12]})
    assert results.networks[0].accuracy.low == intervals.wilson_interval(970, 1000)[0]
    assert results.pairs[0].difference == intervals.Estimate(-0.018)
    assert said(results.pairs[0]).startswith("One run of each proves nothing")
    assert "RN_2 is 1.8 points more accurate" in said(results.pairs[0])


@pytest.mark.parametrize(
    ("errors", "margin", "outcome", "text"),
    [
        ([[20, 20], [19, 30]], 0.001, "undecided", "do not tell which"),
        ([[30], [30]], 0.001, None, "equally accurate"),
        ([[20, 21, 22], [90, 95, 89]], 0.001, "better", "RN_1 is more accurate than RN_2"),
        ([[90, 95, 89], [20, 21, 22]], 0.001, "worse", "RN_2 is more accurate than RN_1"),
        ([[90, 95, 89], [20, 21, 22]], 0.001, "worse", "at least the 0.1 points that matter"),
        ([[90, 95, 89], [20, 21, 22]], 0.07, "worse", "Whether by the 7.0 points that matter remains open"),
        ([[20, 21, 22], [90, 95, 89]], 0.2, "equivalent", "RN_1 is ahead of RN_2"),
        ([[20, 20, 20], [12, 12, 12]], 0.0135, "equivalent", "RN_2 is ahead of RN_1, but only by 0.281 to 1.319"),
        ([[20, 21, 22], [21, 21, 21]], 0.02, "equivalent", "Equivalent: RN_1 and RN_2"),
        ([[20, 21, 22], [21, 21, 21]], 0.001, "undecided", "less than these 1000 test images can show"),
        ([[20, 20, 20], [20, 20, 20]], 0.001, "undecided", "A margin of 0.28 points could be shown"),
        ([[20, 20, 20], [20, 20, 20]], 0.0028, "equivalent", "between -0.2328 and 0.2328 points (90%"),
    ],
)
def test_the_verdict_claims_no_more_than_the_numbers_carry(
    errors: list[list[int]], margin: float, outcome: str | None, text: str, tmp_path: Path
) -> None:
    (pair,) = results_of(tmp_path, dict(zip(("RN_1", "RN_2"), errors, strict=True)), margin).pairs
    assert pair.outcome == outcome
    assert text in said(pair)


def test_a_decision_comes_before_what_a_fixed_number_of_seeds_says(tmp_path: Path) -> None:
    results = results_of(tmp_path, {"RN_1": [200, 201, 202, 200, 201], "RN_2": [20, 21, 20, 20, 20]})
    (pair,) = results.pairs
    assert results.is_decided
    decided, fixed = comparison_text.verdicts(pair, until_decided=True)
    assert decided.startswith("Decided after 4 seeds, on these 1,000 test images: RN_2 is more accurate than RN_1")
    assert fixed.endswith(comparison_text.verdict(pair))
    assert comparison_text.verdicts(pair, until_decided=False) == [comparison_text.verdict(pair)]
    assert not results_of(tmp_path / "few", {"RN_1": [200], "RN_2": [20]}).is_decided


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "inf", "0.009", "101", "a"])
def test_a_margin_that_is_none_is_refused(text: str) -> None:
    assert check_margin("0.25") == check_margin("0,25") == 0.0025
    with pytest.raises(InvalidSetting, match=r"the margin must be .* from 0\.01 to 100"):
        check_margin(text)


def test_what_is_left_out_is_counted_beside_the_mean(tmp_path: Path) -> None:
    made = [finished(tmp_path, config_of(model, seed), range(20 + seed)) for model in MODELS for seed in (0, 1)]
    parts = [LeftOut("rn2-0009", "RN_2", config_of("RN_2", 2), "diverged", Message("a loss of NaN"))]
    results = statistics.summarise([record(run) for run in made], parts)
    assert [network.left_out for network in results.networks] == [0, 1]
    assert "left out of this: 1." in said(results.pairs[0])
    assert comparison_text.networks(results).rows[2][1:] == ("2", "2 (1 left out)")
    assert "RN_2, seed 2 is left out: a loss of NaN" in comparison_text.notes(results)


def test_times_leave_out_the_warm_up_and_say_what_ran_beside(tmp_path: Path) -> None:
    """Four runs, each of 10 s, begun at 0, 5, 9 and 20: three at once. Two processors."""
    made = []
    for number, begun in enumerate((0.0, 5.0, 9.0, 20.0)):
        run = directory.create(tmp_path, config_of(MODELS[number % 2], number // 2))
        start = msgspec.structs.replace(
            started(run.config(), device_name=f"Processor {number % 2}", torch_version=f"2.{number % 2}"), time=begun
        )
        epochs = [EpochEnded(epoch=epoch, loss=0.5, seconds=seconds) for epoch, seconds in ((1, 9.0), (2, 1.0))]
        result = Evaluated(correct=1000, total=1000, accuracy=1.0, test_loss=0.25, confusion=())
        write(run, start, *epochs, result, RunEnded(status="done", time=begun + 10))
        save_predictions(run, LABELS)
        made.append(record(run))
    results = statistics.summarise(made)
    assert results.networks[0].seconds_per_epoch.mean == 1.0
    assert results.networks[0].images_per_s.mean == 4000
    notes = " ".join(comparison_text.notes(results))
    assert "up to 3 of these runs side by side" in notes
    assert "The first epoch, which warms up, is not counted" in notes
    assert "different processors" in notes
    assert "Processor 0, Processor 1" in notes
    assert "different versions of torch, whose arithmetic may differ a little: 2.0, 2.1." in notes


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
    results = statistics.summarise([record(run) for run in made])
    names = [network.name for network in results.networks]
    assert names == ["/a/n.py:Net", "/b/n.py:Net", "RN_2", "RN_2+width=0.5"]
    assert results.differing == ["width"]
    assert [network.settings["width"] for network in results.networks] == [1, 1, 1, 0.5]


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
