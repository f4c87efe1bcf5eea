"""The bounded history of a run's losses."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.runs.history import Clock, Column, Curve, LossHistory

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.one_of(st.none(), st.floats())


def whole(curve: Curve) -> Column | None:
    return curve.columns([0, max(1, curve.end)])[0]


def test_a_short_run_is_kept_as_it_is() -> None:
    curve = Curve(capacity=8)
    curve.extend(0, [3.0, 1.0, 2.0])
    assert curve.columns([0, 1, 2, 3]) == [Column(3, 3, 3), Column(1, 1, 1), Column(2, 2, 2)]
    assert curve.end == 3


@pytest.mark.parametrize("capacity", [4096, 64])
def test_a_smoothed_curve_is_the_debiased_moving_mean(capacity: int) -> None:
    values = [5.0 + math.sin(step / 20) + step % 2 for step in range(200)]
    curve = Curve(capacity)
    curve.extend(0, [*values[:100], None, *values[101:]])
    smooth = curve.smoothed(0.9)
    assert smooth.end == curve.end
    weighted, weights = 0.0, 0.0
    for step, value in enumerate(values):
        weighted, weights = 0.9 * weighted, 0.9 * weights
        if step != 100:
            weighted, weights = weighted + value, weights + 1
        (column,) = smooth.columns([step, step + 1])
        if column is not None and capacity > 200:
            assert column.mean == pytest.approx(weighted / weights)
    (last,) = smooth.columns([196, 200])
    assert last is not None
    assert last.mean == pytest.approx(weighted / weights, rel=0.02)
    assert smooth.smoothed(0.0).points == smooth.points


def test_points_are_found_around_a_step() -> None:
    curve = Curve()
    for step in (99, 199):
        curve.add(step, step / 100)
    assert curve.around(150) == ((99, 0.99), (199, 1.99))
    assert curve.around(99) == (None, (99, 0.99))
    assert curve.around(500) == ((199, 1.99), None)


def test_a_long_run_stays_within_the_capacity_and_keeps_its_shape() -> None:
    losses = [2.3 * math.exp(-step / 20_000) + (step % 7) / 100 for step in range(100_000)]
    losses[60_123], losses[70_456] = 9.0, -1.0
    curve = Curve(capacity=256)
    for first in range(0, len(losses), 313):
        curve.extend(first, losses[first : first + 313])
    assert len(curve) <= 256
    edges = range(0, 100_001, 10_000)
    for i, column in enumerate(curve.columns(edges)):
        expected = losses[edges[i] : edges[i + 1]]
        assert column is not None
        assert column.mean == pytest.approx(sum(expected) / len(expected), rel=0.02)
    assert (column := whole(curve)) is not None
    assert (column.low, column.high) == (-1.0, 9.0)
    assert column.mean == pytest.approx(sum(losses) / len(losses))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(ANY, max_size=40), max_size=12), st.integers(2, 16))
def test_whatever_comes_the_extremes_are_those_of_the_finite_values(chunks: list[list[float | None]], n: int) -> None:
    curve = Curve(capacity=n)
    for chunk in chunks:
        curve.extend(curve.end, chunk)
    values = [value for chunk in chunks for value in chunk]
    finite = [value for value in values if value is not None and math.isfinite(value)]
    column = whole(curve)
    assert len(curve) <= n
    assert curve.end == len(values)
    assert bool(curve.gaps([0, max(1, curve.end)])) == (len(finite) < len(values))
    assert (column is None) == (not finite)
    if column is not None:
        assert (column.low, column.high) == (min(finite), max(finite))
        assert column.low <= column.mean <= column.high


def test_values_that_are_not_finite_are_gaps_where_they_were() -> None:
    curve = Curve()
    curve.extend(0, [1.0, math.nan, 2.0, None, math.inf, -math.inf])
    assert curve.columns(range(7)) == [Column(1, 1, 1), None, Column(2, 2, 2), None, None, None]
    assert curve.gaps(range(7)) == [1, 3, 4, 5]


def test_the_mean_of_huge_values_does_not_overflow() -> None:
    curve = Curve(capacity=4)
    curve.extend(0, [1.7e308] * 64)
    assert (column := whole(curve)) is not None
    assert column.mean == pytest.approx(1.7e308)


def test_truncating_forgets_and_the_repeated_steps_count_once() -> None:
    curve = Curve(capacity=256)
    curve.extend(0, [1.0] * 50 + [9.0] * 10)
    curve.truncate(50)
    assert curve.end == 50
    assert (column := whole(curve)) is not None
    assert column.high == 1.0
    curve.extend(50, [2.0] * 10)
    assert curve.columns([50, 60]) == [Column(2, 2, 2)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1100))
def test_nothing_from_the_truncated_step_on_survives_in_a_merged_bucket(length: int, step: int) -> None:
    curve = Curve(capacity=16)
    curve.extend(0, [float(i) for i in range(length)])
    curve.truncate(step)
    assert curve.end == min(length, step)
    column = whole(curve)
    assert column is None or column.high < step


def test_truncating_at_the_end_changes_nothing() -> None:
    curve = Curve(capacity=4)
    curve.extend(0, [1.0] * 9)
    before = curve.columns([0, 9]), curve.version
    curve.truncate(9)
    assert (curve.columns([0, 9]), curve.version) == before


@pytest.mark.parametrize("step", [-1, 1 << 60])
def test_steps_that_no_run_has_are_passed_over(step: int) -> None:
    curve = Curve()
    curve.extend(step, [1.0])
    assert (curve.end, len(curve)) == (0, 0)


def test_a_late_first_step_costs_no_memory() -> None:
    curve = Curve(capacity=128)
    curve.add(10**12, 1.5)
    assert len(curve) <= 128
    assert curve.columns([0, 10**12 + 1]) == [Column(1.5, 1.5, 1.5)]


def test_an_integer_that_no_float_can_hold_is_not_finite() -> None:
    curve = Curve()
    curve.extend(0, [10**400])
    assert curve.gaps([0, 1]) == [0]


def test_a_history_holds_batches_running_loss_and_epochs() -> None:
    history = LossHistory()
    versions = [history.version]
    history.extend(0, [2.0, 1.0])
    versions.append(history.version)
    history.add_running(1, 1.5)
    versions.append(history.version)
    history.add_epoch(1, 1.5)
    versions.append(history.version)
    assert len(set(versions)) == 4
    assert history.end == 2
    history.truncate(1)
    assert history.end == 1
    assert history.batches.columns([0, 2]) == [Column(2, 2, 2)]
    assert history.running.columns([0, 2]) == history.epochs.columns([0, 2]) == [None]


def clock_of(*points: tuple[int, float], capacity: int = 1024) -> Clock:
    clock = Clock(capacity)
    for step, seconds in points:
        clock.add(step, seconds)
    return clock


def test_a_clock_is_straight_between_what_it_knows() -> None:
    clock = clock_of((10, 1.0), (20, 4.0))
    assert [clock.seconds_at(step) for step in (0, 5, 10, 15, 20)] == [0, 0.5, 1, 2.5, 4]
    assert [clock.step_at(seconds) for seconds in (-1, 0, 0.5, 2.5, 4, 99)] == [0, 0, 5, 15, 20, 20]
    assert clock.seconds_at(40) == 8  # at the speed measured until there
    assert (Clock().seconds_at(7), Clock().step_at(7)) == (0, 0)


def test_a_clock_of_a_long_run_stays_within_its_capacity_and_keeps_its_shape() -> None:
    def truth(step: int) -> float:
        return step / 100 if step < 400_000 else 4000 + (step - 400_000) / 10

    clock = clock_of(*((step, truth(step)) for step in range(7, 1_000_000, 7)), capacity=256)
    assert 128 <= len(clock) <= 256
    for step in (1_000, 100_000, 390_000, 500_000, 999_992):
        assert clock.seconds_at(step) == pytest.approx(truth(step), rel=0.02)
        assert clock.step_at(clock.seconds_at(step)) == pytest.approx(step)


@pytest.mark.parametrize("wrong", [(5, 9.0), (10, 9.0), (20, 0.5), (20, math.nan), (20, math.inf), (1 << 60, 2.0)])
def test_a_clock_does_not_go_back_nor_out_of_bounds(wrong: tuple[int, float]) -> None:
    clock = clock_of((10, 1.0), wrong)
    assert (clock.end, clock.seconds_at(10), len(clock)) == (10, 1.0, 2)


def test_a_clock_goes_on_from_where_a_run_is_resumed() -> None:
    clock = clock_of((10, 1.0), (20, 2.0), (30, 60.0))
    clock.truncate(20)
    clock.add(25, 2.5)
    assert [clock.seconds_at(step) for step in (20, 25)] == [2.0, 2.5]
    clock.truncate(0)
    assert clock.end == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-5, 1 << 54), st.floats()), max_size=40), st.floats(0, 1e15), st.integers(2, 9))
def test_whatever_comes_a_clock_rises(points: list[tuple[int, float]], at: float, capacity: int) -> None:
    clock = clock_of(*points, capacity=capacity)
    assert len(clock) <= capacity
    assert 0 <= clock.step_at(at) <= clock.step_at(2 * at) <= clock.end
    assert 0 <= clock.seconds_at(at) <= clock.seconds_at(2 * at) < math.inf


def test_the_mean_clock_is_at_the_same_steps() -> None:
    mean = Clock.mean([clock_of((100, 1.0)), clock_of((50, 1.5)), Clock()])
    assert mean.end == 100
    assert mean.seconds_at(100) == 2.0  # the second continues at its speed, the third has not begun
    assert mean.seconds_at(25) == pytest.approx(0.5)


def test_a_history_forgets_the_accuracy_and_the_time_of_what_is_repeated() -> None:
    history = LossHistory()
    for epoch in (1, 2):
        history.extend(10 * epoch - 10, [1.0] * 10)
        history.add_seconds(10 * epoch, 3.0 * epoch)
        history.add_validation(10 * epoch - 1, 0.5, 0.8 + epoch / 8)
    history.truncate(15)
    assert history.clock.end == 10
    assert whole(history.accuracy) == Column(0.925, 0.925, 0.925)
