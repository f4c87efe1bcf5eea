"""What the benchmarks conclude from the figures that they measure."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.benchmarks import equivalence, measuring, peers
from tests.benchmarks.agreement import agreement
from tests.benchmarks.learning import FP32, Kept, Result, Training
from tests.benchmarks.measuring import Options, Spread, Table, median_interval, paired
from tests.benchmarks.peer_data import orders
from tests.benchmarks.picture import draw

OPTIONS = Options(models=("RN_1", "RN_2"), dataset="sample", data_dir="")
TRAINING = Training(model="RN_1", variant=FP32, seed=0, epochs=5, dataset="mnist", device="cpu", torch="2.14", code="")


def test_the_ratio_of_pairs_is_that_of_the_programs_whatever_the_machine_does() -> None:
    chance = random.Random(4)
    machine = [2.0 if number // 10 % 2 else 1.0 for number in range(60)]  # slow phases of ten rounds
    of = [1.5 * slow * chance.gauss(1, 0.02) for slow in machine]
    to = [slow * chance.gauss(1, 0.02) for slow in machine]
    ratio, inverse = paired(of, to), paired(to, of)
    assert ratio.low < 1.5 < ratio.high
    assert ratio.high - ratio.low < 0.04
    assert ratio.mean * inverse.mean == pytest.approx(1)


def test_few_rounds_have_no_interval_and_one_slow_turn_does_not_count() -> None:
    assert paired([2.0, 2.0], [1.0, 1.0]).text() == "2.00"
    assert paired([2.0, 2.0, 2.0, 100.0], [1.0] * 4).text() == "2.00"


def test_the_interval_of_a_median_holds_it_in_95_percent_of_cases() -> None:
    chance = random.Random(2)
    intervals = [median_interval([chance.expovariate(1) for _value in range(30)]) for _case in range(2000)]
    held = sum(interval.low <= math.log(2) <= interval.high for interval in intervals)
    assert 0.94 <= held / 2000 <= 0.985
    assert math.isnan(median_interval([1.0, 2.0, 3.0]).low)


def test_rounds_fill_the_time_and_end_after_whole_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(list(OPTIONS.turns(least=4, by=2))) == 4
    assert len(list(replace(OPTIONS, rounds=3).turns(least=4, by=2))) == 4
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    numbers = []
    for number in replace(OPTIONS, until=100.0).turns(least=2, by=2):
        now += 9.0
        numbers.append(number)
    assert numbers == list(range(10))  # two more would end at 108


def test_the_power_for_the_number_of_seeds_is_what_simulated_trainings_show() -> None:
    chance = random.Random(3)
    seeds = equivalence.seeds_needed(math.hypot(0.2, 0.2))

    def is_equivalent(apart: float) -> bool:
        its, exact = ([chance.gauss(mean, 0.2) for _seed in range(seeds)] for mean in (apart, 0.0))
        interval, p = equivalence.difference(its, exact)
        inside = interval.low > -equivalence.MARGIN and interval.high < equivalence.MARGIN
        assert inside == (p < equivalence.LEVEL)
        return inside

    assert sum(is_equivalent(0.0) for _case in range(1000)) / 1000 == pytest.approx(equivalence.POWER, abs=0.04)
    assert sum(is_equivalent(equivalence.MARGIN) for _case in range(1000)) / 1000 < 0.08


def test_kept_trainings_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "results" / "kept.json"
    Kept(path).add(Result(training=TRAINING, loss=0.1, accuracy=0.98, seconds=10.0, cpu="one"))
    kept = Kept(path)
    assert kept[TRAINING].accuracy == 0.98
    assert kept.expected_s(TRAINING) == 10.0


def test_every_epoch_of_the_peers_has_each_image_once() -> None:
    drawn = list(itertools.islice(orders(640, 64, 4), 5))
    assert all(order.shape == (4, 64) for order in drawn)
    images = [int(index) for order in drawn for index in order.ravel()]
    assert sorted(images[:640]) == sorted(images[640:]) == list(range(640))
    assert images[:640] != images[640:]


def test_only_the_peers_that_are_asked_for_are_compared() -> None:
    assert set(peers.chosen(OPTIONS)) == set(peers.PEERS)
    asked = peers.chosen(replace(OPTIONS, peer="jax"))
    assert peers.OURS_NAME in asked
    assert {peer.program for name, peer in asked.items() if name != peers.OURS_NAME} == {"peer_jax"}


def test_tables_with_the_same_figure_are_set_side_by_side() -> None:
    one, other = (Table(title, shared={"a step": Spread((value,))}) for title, value in (("one", 1.0), ("other", 1.1)))
    assert agreement([one]) is None
    agreed = agreement([one, other])
    assert agreed is not None
    assert agreed.rows[0][-1] == "1.10"


def test_the_picture_says_on_what_it_was_measured() -> None:
    drawn = draw("Times as fast", [("RN_1 fp32", 5.8, 3.5), ("RN_1 bf16", 6.0, None)], measuring.machine())
    assert f"torch {version('torch')}" in drawn
    assert ">5.8<" in drawn
