"""Statistics that agree with scipy and mlxtend, and sentences that claim no more than the data supports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlxtend.evaluate import mcnemar, mcnemar_table
from scipy import stats

from core.comparing import statistics
from core.messages import Problem
from tests.core.comparing.finished_runs import LABELS, config_of, finished, predicted, record


def results_of(folder: Path, errors: dict[str, list[int]]) -> statistics.Results:
    """Return the results of networks whose runs, one per seed, make the given numbers of errors."""
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
