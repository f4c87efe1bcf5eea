"""The statistics of finished runs: a mean with its interval per network, tests and a careful sentence per pair."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, stdev
from typing import Any

import msgspec

from core.comparing import configurations
from core.messages import N_, Message, Problem
from core.runs import predictions, sameness
from core.runs.directory import FollowedRun
from core.runs.events import RunStarted
from core.runs.predictions import Predictions

LEVEL = 0.95
EXACT_BELOW = 25
"""Number of images on which two networks differ below which McNemar's test is exact instead of approximate."""


class Estimate(msgspec.Struct, frozen=True):
    """A mean over seeds with Student's 95 % interval; `low` and `high` are None for one value or without a spread."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def margin(self) -> float | None:
        """Half the width of the interval, or None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one finished run."""

    run: str
    seed: int
    correct: int
    total: int
    accuracy: float
    """Fraction from 0 to 1."""
    errors: int
    test_loss: float | None
    seconds_per_epoch: float
    images_per_s: float
    losses: tuple[float, ...]
    """Running loss at the end of each epoch."""


class LeftOut(msgspec.Struct, frozen=True):
    """A run without a result."""

    run: str
    name: str
    """Name of its configuration, unique in the comparison."""
    model: str
    seed: int
    status: str
    """Outcome: `failed` or `diverged`."""
    why: Message


class NetworkResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one network over its seeds."""

    name: str
    """Short name, unique in the comparison."""
    model: str
    settings: dict[str, Any]
    """Settings that a configuration may have for itself."""
    parameters: int
    macs: int | None
    """Multiply–accumulates per image; None if unknown."""
    runs: tuple[RunResult, ...]
    accuracy: Estimate
    errors: Estimate
    test_loss: Estimate | None
    """Mean test loss; None if that of any run is unknown."""
    seconds_per_epoch: Estimate
    images_per_s: Estimate


class McNemar(msgspec.Struct, frozen=True, kw_only=True):
    """McNemar's test of the hypothesis that the two runs of a seed err equally often, with its counts of images."""

    seed: int
    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    chi_squared: float | None
    """Test statistic with the continuity correction; None if the test is exact."""
    p: float


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of two networks on the seeds that both have finished."""

    first: str
    second: str
    seeds: tuple[int, ...]
    difference: Estimate | None
    """Accuracy of the first minus that of the second, as a fraction, paired by seed; None without a common seed."""
    mcnemar: tuple[McNemar, ...]
    verdict: Message
    """Sentence that claims no more than the numbers support; its fractions are percentage points."""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a comparison."""

    started: RunStarted
    """Start of one of the runs, which all share its data and its device, and the settings that are not `differing`."""
    networks: tuple[NetworkResult, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def differing(self) -> list[str]:
        """The settings that are not the same in all networks."""
        first, *others = (network.settings for network in self.networks)
        return [name for name in first if any(other[name] != first[name] for other in others)]


def summarise(
    runs: Sequence[FollowedRun], left_out: Iterable[LeftOut] = (), names: Mapping[str, str] | None = None
) -> Results:
    """Summarise finished runs by configuration, in the order in which these first appear.

    `names` are those of the configurations, by the id of a run; by default they are worked out from the runs.

    Raises `Problem` if a run is not finished or lacks its predictions, or if the runs cannot be compared.
    """
    if not runs:
        raise Problem("no run has finished: there is nothing to compare")
    check_comparable(runs)
    groups: dict[Hashable, list[FollowedRun]] = {}
    for finished in runs:
        groups.setdefault(sameness.same_but_for_seed_key(_started(finished)), []).append(finished)
    firsts = [group[0] for group in groups.values()]
    if names is None:
        distinct = sameness.distinct_names([_started(first).config for first in firsts])
    else:
        distinct = [names[first.run.id] for first in firsts]
    networks = tuple(_network(name, group) for name, group in zip(distinct, groups.values(), strict=True))
    answers = {finished.run.id: read_predictions(finished) for finished in runs}
    _check_same_images(answers)
    pairs = tuple(_pair(first, second, answers) for first, second in combinations(networks, 2))
    return Results(started=_started(runs[0]), networks=networks, pairs=pairs, left_out=tuple(left_out))


def check_comparable(runs: Sequence[FollowedRun]) -> None:
    """Raise `Problem` with the reason if the runs were not trained and tested on the same data."""
    first = _started(runs[0])
    for later in runs[1:]:
        other = _started(later)
        if _data(other) != _data(first):
            raise Problem(
                "run {first} was trained on {data} and run {other} on {other_data}: they cannot be compared",
                first=runs[0].run.id,
                data=_data_text(first),
                other=later.run.id,
                other_data=_data_text(other),
            )


def read_predictions(finished: FollowedRun) -> Predictions:
    """Load the predictions that gave the run's result. Raises `Problem`."""
    found = predictions.read(finished.run)
    result = finished.record.evaluated
    if result is not None and int(found.right.sum()) != result.correct:
        raise Problem("the predictions of run {run} do not match its result", run=finished.run.id)
    return found


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of at least one value, with Student's interval."""
    mean = fmean(values)
    if len(values) < 2 or math.isclose(min(values), max(values), rel_tol=1e-12, abs_tol=1e-12):
        return Estimate(mean)
    from scipy import stats

    error = stdev(values) / math.sqrt(len(values))
    low, high = stats.t.interval(LEVEL, len(values) - 1, loc=mean, scale=error)
    return Estimate(mean, float(low), float(high))


def mcnemar_test(seed: int, labels: Any, first: Any, second: Any) -> McNemar:
    """Run McNemar's test on the predicted classes of two runs; the arrays hold N integers."""
    from mlxtend.evaluate import mcnemar, mcnemar_table

    table = mcnemar_table(y_target=labels, y_model1=first, y_model2=second)
    exact = int(table[0, 1] + table[1, 0]) < EXACT_BELOW
    chi_squared, p = mcnemar(ary=table, exact=exact)
    return McNemar(
        seed=seed,
        both_right=int(table[0, 0]),
        only_first_right=int(table[0, 1]),
        only_second_right=int(table[1, 0]),
        both_wrong=int(table[1, 1]),
        chi_squared=None if chi_squared is None else float(chi_squared),
        p=float(p),
    )


def _network(name: str, runs: list[FollowedRun]) -> NetworkResult:
    started = _started(runs[0])
    results = tuple(sorted((_run_result(finished) for finished in runs), key=lambda result: result.seed))
    losses = [result.test_loss for result in results if result.test_loss is not None]
    return NetworkResult(
        name=name,
        model=started.config.model,
        settings={name: getattr(started.config, name) for name in configurations.OWN},
        parameters=started.parameters,
        macs=next((macs for finished in runs if (macs := _started(finished).macs) is not None), None),
        runs=results,
        accuracy=estimate([result.accuracy for result in results]),
        errors=estimate([result.errors for result in results]),
        test_loss=estimate(losses) if len(losses) == len(results) else None,
        seconds_per_epoch=estimate([result.seconds_per_epoch for result in results]),
        images_per_s=estimate([result.images_per_s for result in results]),
    )


def _run_result(finished: FollowedRun) -> RunResult:
    started, result = _started(finished), finished.record.evaluated
    if result is None or not finished.record.epoch_seconds or result.total < 1:
        raise Problem("run {run} is not finished", run=finished.run.id)
    seconds = fmean(finished.record.epoch_seconds)
    return RunResult(
        run=finished.run.id,
        seed=started.config.seed,
        correct=result.correct,
        total=result.total,
        accuracy=result.correct / result.total,
        errors=result.total - result.correct,
        test_loss=result.test_loss,
        seconds_per_epoch=seconds,
        images_per_s=started.train_size / seconds if seconds > 0 else 0.0,
        losses=tuple(finished.record.epoch_losses),
    )


def _pair(first: NetworkResult, second: NetworkResult, answers: dict[str, Predictions]) -> Pair:
    others = {result.seed: result for result in second.runs}
    common = [(result, others[result.seed]) for result in first.runs if result.seed in others]
    tests = []
    for one, other in common:
        first_answers, second_answers = answers[one.run], answers[other.run]
        tests.append(mcnemar_test(one.seed, first_answers.label, first_answers.predicted, second_answers.predicted))
    difference = estimate([(one.correct - other.correct) / one.total for one, other in common]) if common else None
    return Pair(
        first=first.name,
        second=second.name,
        seeds=tuple(one.seed for one, _other in common),
        difference=difference,
        mcnemar=tuple(tests),
        verdict=verdict(first.name, second.name, difference, tests),
    )


def verdict(first: str, second: str, difference: Estimate | None, tests: Sequence[McNemar]) -> Message:
    """Return a sentence on what the numbers say about two networks; fractions in its values are percentage points."""
    names: dict[str, str | int | float] = {"first": first, "second": second}
    if difference is None:
        return Message("No seed has a finished run of both {first} and {second}: no conclusion is possible.", names)
    if len(tests) == 1:
        return _verdict_of_one(first, second, difference.mean, tests[0].seed)
    values = {**names, "seeds": len(tests), "significant": sum(test.p < 1 - LEVEL for test in tests)}
    if difference.low is None or difference.high is None:
        text = N_(
            "All {seeds} seeds show the same difference between {first} and {second}, {difference} points: without a"
            " spread there is no interval, and more seeds are needed."
        )
        return Message(text, {**values, "difference": _points(difference.mean)})
    low, high = _points(difference.low), _points(difference.high)
    if difference.low <= 0 <= difference.high:
        text = N_(
            "With {seeds} seeds one cannot tell which of {first} and {second} is more accurate: the difference lies"
            " between {low} and {high} points (95% interval), which includes zero. McNemar's test finds a significant"
            " difference (p < 0.05) for {significant} of {seeds} seeds."
        )
        return Message(text, {**values, "low": low, "high": high})
    if difference.mean < 0:
        first, second, low, high = second, first, -high, -low
    text = N_(
        "{better} is more accurate than {worse} on these test images, by {low} to {high} points (95% interval over"
        " {seeds} seeds). McNemar's test finds a significant difference (p < 0.05) for {significant} of {seeds}"
        " seeds."
    )
    return Message(text, {**values, "better": first, "worse": second, "low": low, "high": high})


def _verdict_of_one(first: str, second: str, difference: float, seed: int) -> Message:
    if difference == 0:
        text = N_(
            "One run of each proves nothing: with seed {seed}, {first} and {second} are equally accurate, and another"
            " seed may separate them."
        )
        return Message(text, {"first": first, "second": second, "seed": seed})
    better, worse = (first, second) if difference > 0 else (second, first)
    text = N_(
        "One run of each proves nothing: with seed {seed}, {better} is {difference} points more accurate than"
        " {worse}, and another seed may reverse it."
    )
    return Message(text, {"better": better, "worse": worse, "difference": _points(abs(difference)), "seed": seed})


def _points(fraction: float) -> float:
    """Return a fraction in percentage points."""
    return round(100 * fraction, 4)


def _started(finished: FollowedRun) -> RunStarted:
    if finished.record.started is None:
        raise Problem("run {run} is not finished", run=finished.run.id)
    return finished.record.started


def _data(started: RunStarted) -> tuple[object, ...]:
    permuted = started.config.permute
    return started.dataset, started.dataset_title, started.train_size, started.test_size, permuted


def _data_text(started: RunStarted) -> str:
    return f"{started.dataset} ({started.train_size} + {started.test_size})"


def _check_same_images(answers: dict[str, Predictions]) -> None:
    (first, of_first), *others = answers.items()
    for other, of_other in others:
        if len(of_first.label) != len(of_other.label) or not (of_first.label == of_other.label).all():
            text = N_("runs {first} and {other} were not tested on the same images: they cannot be compared")
            raise Problem(text, first=first, other=other)


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion, low and high, from 0 to 1 (Wilson, 1927)."""
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
