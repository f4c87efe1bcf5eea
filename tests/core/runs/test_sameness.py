"""Tests of when two runs are interchangeable, and when they are the same apart from the seed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.config import RunConfig
from core.runs.sameness import (
    could_stand_for_key,
    distinct_names,
    effective_config,
    same_but_for_seed_key,
    stands_for_key,
    threads_that_differ,
)
from tests.recorded import started

CONFIG = RunConfig(dataset="sample", device="cpu", epochs=2, threads=2, seed=0, data_dir="/data")
IN_THE_RESULT: list[dict[str, Any]] = [
    {"epochs": 3},
    {"lr": 0.01},
    {"batch_size": 32},
    {"precision": "bf16"},
    {"exact": True},
    {"model": "RN_2"},
    {"model": "/x/net.py:Net"},
    {"width": 0.5},
    {"dropout": 0.5},
    {"batch_norm": True},
    {"validate": True},
    {"permute": True},
]
"""Changes that make a different run by either criterion."""


def but(**changes: Any) -> RunConfig:
    return msgspec.structs.replace(CONFIG, **changes)


def stands_for(one: RunConfig, other: RunConfig) -> bool:
    return stands_for_key(one) == stands_for_key(other)


def could_stand_for(one: RunConfig, other: RunConfig) -> bool:
    return could_stand_for_key(one) == could_stand_for_key(other)


def same_but_for_seed(one: RunConfig, other: RunConfig, **fields: Any) -> bool:
    """Compare two runs that used their settings as they are; `fields` override what the second recorded."""
    first = started(one, device=one.device, dataset=one.dataset, threads=one.threads)
    second = {"device": other.device, "dataset": other.dataset, "threads": other.threads, **fields}
    return same_but_for_seed_key(first) == same_but_for_seed_key(started(other, **second))


def test_what_is_kept_of_a_training_makes_no_other_run() -> None:
    other = but(snapshots=5, health=True)
    assert stands_for(CONFIG, other)
    assert could_stand_for(CONFIG, other)
    assert same_but_for_seed(CONFIG, other)
    assert distinct_names([CONFIG, other]) == ["RN_1", "RN_1"]


@pytest.mark.parametrize("change", IN_THE_RESULT)
def test_another_setting_makes_another_run(change: dict[str, Any]) -> None:
    other = but(**change)
    assert not stands_for(CONFIG, other)
    assert not could_stand_for(CONFIG, other)
    assert not same_but_for_seed(CONFIG, other)


@pytest.mark.parametrize("change", [{"seed": 1}, {"threads": 1}, {"device": "cuda:0"}, {"dataset": "mnist"}])
def test_seed_threads_device_and_data_forbid_that_one_stands_for_the_other(change: dict[str, Any]) -> None:
    assert not stands_for(CONFIG, but(**change))


def test_where_the_data_lie_has_no_part_in_it() -> None:
    other = but(data_dir="/elsewhere")
    assert stands_for(CONFIG, other)
    assert could_stand_for(CONFIG, other)
    assert same_but_for_seed(CONFIG, other)


def test_what_auto_meant_counts_and_not_the_word() -> None:
    auto = but(device="auto", dataset="auto", threads=0)
    same = effective_config(started(auto, device="cpu", dataset="sample", threads=2))
    other = effective_config(started(auto, device="cpu", dataset="mnist", threads=2))
    assert stands_for(CONFIG, same)
    assert not stands_for(CONFIG, other)
    assert not stands_for(CONFIG, auto)
    assert could_stand_for(CONFIG, auto)


@pytest.mark.parametrize("device", ["cuda:0", "mps"])
def test_threads_idle_beside_another_device(device: str) -> None:
    assert stands_for(but(device=device, threads=1), but(device=device, threads=4))
    assert same_but_for_seed(but(device=device, threads=1), but(device=device, threads=4))


def test_whatever_stands_for_a_run_could() -> None:
    """The coarser comparison never says no when the finer one says yes."""
    configs = [CONFIG, but(seed=1), but(threads=1), but(data_dir="/x"), *(but(**change) for change in IN_THE_RESULT)]
    for one in configs:
        for other in configs:
            assert could_stand_for(one, other) or not stands_for(one, other)


def test_the_same_but_for_the_seed() -> None:
    """Two runs are the same if what took effect is the same, on any device of the same kind."""
    assert same_but_for_seed(CONFIG, but(seed=1))
    assert same_but_for_seed(but(device="cuda:0"), but(device="cuda:1", seed=1))
    assert not same_but_for_seed(CONFIG, but(device="cuda:0"))
    assert not same_but_for_seed(CONFIG, but(threads=1))
    assert not same_but_for_seed(CONFIG, but(dataset="mnist"))
    assert not same_but_for_seed(CONFIG, CONFIG, steps_per_epoch=938)  # other data under the same name


@pytest.mark.parametrize(
    ("configs", "names"),
    [
        ([], []),
        ([but(model="RN_1"), but(model="RN_2")], ["RN_1", "RN_2"]),
        ([but(), but(width=0.5)], ["RN_1", "RN_1+width=0.5"]),
        ([but(epochs=5, lr=0.1), but(epochs=3)], ["RN_1+lr=0.1", "RN_1+epochs=3"]),
        ([but(batch_norm=True), but(width=0.5)], ["RN_1+batch_norm", "RN_1+width=0.5"]),
        ([but(model="/a/n.py:Net"), but(model="RN_2", width=0.5)], ["n.py:Net", "RN_2+width=0.5"]),
        ([but(model="/a/n.py:Net"), but(model="/b/n.py:Net")], ["/a/n.py:Net", "/b/n.py:Net"]),
        ([but(seed=1), but(seed=2, threads=4, device="cuda", data_dir="/x")], ["RN_1", "RN_1"]),
    ],
)
def test_names_tell_networks_apart_and_say_no_more(configs: list[RunConfig], names: list[str]) -> None:
    assert distinct_names(configs) == names


def test_threads_are_named_where_nothing_else_tells_two_runs_apart() -> None:
    one, two, of_another_seed = but(threads=1), but(threads=2), but(threads=1, seed=9)
    slower = but(threads=2, lr=0.1)
    runs = [started(config, threads=config.threads) for config in (one, two, of_another_seed, slower)]
    assert threads_that_differ(runs) == [1, 2, 1, None]
    assert threads_that_differ([runs[0], runs[2], runs[3]]) == [None] * 3
    on_gpu = [started(config, threads=config.threads, device="cuda:0") for config in (one, two)]
    assert threads_that_differ(on_gpu) == [None, None]
