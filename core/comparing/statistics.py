"""The statistics of finished runs: a mean with its interval per network, tests and a careful sentence per pair."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

import msgspec

from core.comparing import configurations, intervals, sequential, verdict
from core.comparing.intervals import Estimate, Parts, student_estimate
from core.comparing.mcnemar import McNemar, mcnemar_test, swap_test
from core.comparing.sequential import Decision
from core.comparing.verdict import MARGIN, Difference, Outcome
from core.config import RunConfig
from core.messages import N_, Message, Problem
from core.runs import predictions, sameness
from core.runs.directory import FollowedRun
from core.runs.events import RunStarted
from core.runs.predictions import Predictions

NOTHING_FINISHED = Message("no run has finished: there is nothing to compare")


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
    """Mean without the first epoch, the warm-up, unless it is the only one."""
    images_per_s: float
    losses: tuple[float, ...]
    """Running loss at the end of each epoch."""


class LeftOut(msgspec.Struct, frozen=True):
    """A run without a result."""

    run: str
    name: str
    """Name of its configuration, unique in the comparison."""
    config: RunConfig
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
    left_out: int
    """Number of its runs without a result, which the means leave out."""
    accuracy: Estimate
    errors: Estimate
    test_loss: Estimate | None
    """Mean test loss; None if that of any run is unknown."""
    seconds_per_epoch: Estimate
    images_per_s: Estimate


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison of two networks on the seeds that both have finished."""

    first: str
    second: str
    seeds: tuple[int, ...]
    difference: Estimate | None
    """Accuracy of the first minus that of the second, as a fraction, paired by seed and image; None without a common
    seed."""
    parts: Parts | None
    """Variance of the difference, of which the seeds and the images each have a part; None below two seeds."""
    outcome: Outcome | None
    """Judgement of the first network against the second; None below two seeds."""
    mcnemar: tuple[McNemar, ...]
    p: float | None
    """Result of the one test over all the seeds' networks; None without a common seed."""
    verdict: tuple[Message, ...]
    """Sentences that claim no more than the numbers support; fractions in their values are percentage points."""
    decision: Decision
    """Decision on these test images that holds whenever one stops adding seeds."""
    decision_text: tuple[Message, ...]


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a comparison."""

    started: RunStarted
    """Start of one of the runs, which all share its data and its device, and the settings that are not `differing`."""
    networks: tuple[NetworkResult, ...]
    pairs: tuple[Pair, ...]
    left_out: tuple[LeftOut, ...] = ()
    margin: float = MARGIN
    """Smallest difference in accuracy that matters, as a fraction."""
    side_by_side: int = 1
    """Number of these runs that were trained at the same time, at most."""
    processors: tuple[str, ...] = ()
    """Names of the devices that the runs were trained on."""
    torch_versions: tuple[str, ...] = ()
    """Versions of torch that the runs were trained with."""
    together: int = 0
    """Number of the runs that were trained together with others, and have the time of all of these."""

    @property
    def is_decided(self) -> bool:
        """True if more seeds would change the decision on no pair."""
        return all(pair.decision.outcome != "open" for pair in self.pairs)

    @property
    def differing(self) -> list[str]:
        """The settings that are not the same in all networks."""
        first, *others = (network.settings for network in self.networks)
        return [name for name in first if any(other[name] != first[name] for other in others)]


def summarise(
    runs: Sequence[FollowedRun],
    left_out: Iterable[LeftOut] = (),
    names: Mapping[str, str] | None = None,
    *,
    margin: float = MARGIN,
) -> Results:
    """Summarise finished runs by configuration, in the order in which these first appear.

    `names` are those of the configurations, by the id of a run; by default they are worked out from the runs.

    Raises `Problem` if a run is not finished or lacks its predictions, or if the runs cannot be compared.
    """
    if not runs:
        raise Problem.of(NOTHING_FINISHED)
    check_comparable(runs)
    groups: dict[Hashable, list[FollowedRun]] = {}
    for finished in runs:
        groups.setdefault(sameness.same_but_for_seed_key(_started(finished)), []).append(finished)
    firsts = [group[0] for group in groups.values()]
    if names is None:
        distinct = sameness.distinct_names([_started(first).config for first in firsts])
    else:
        distinct = [names[first.run.id] for first in firsts]
    answers = {finished.run.id: read_predictions(finished) for finished in runs}
    _check_same_images(answers)
    right = {run: found.right for run, found in answers.items()}
    left_out = tuple(left_out)
    networks = tuple(
        _network(name, group, right, left_out) for name, group in zip(distinct, groups.values(), strict=True)
    )
    return Results(
        started=_started(runs[0]),
        networks=networks,
        pairs=tuple(_pair(first, second, right, margin) for first, second in combinations(networks, 2)),
        left_out=left_out,
        margin=margin,
        side_by_side=_side_by_side(runs),
        processors=tuple(sorted({_started(finished).device_name for finished in runs})),
        torch_versions=tuple(sorted({_started(finished).torch_version for finished in runs})),
        together=sum(finished.record.is_together for finished in runs),
    )


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


def _network(
    name: str, runs: list[FollowedRun], right: Mapping[str, Any], left_out: Sequence[LeftOut]
) -> NetworkResult:
    import numpy as np

    started = _started(runs[0])
    results = tuple(sorted((_run_result(finished) for finished in runs), key=lambda result: result.seed))
    losses = [result.test_loss for result in results if result.test_loss is not None]
    accuracy = intervals.accuracy_estimate(np.stack([right[result.run] for result in results]))
    return NetworkResult(
        name=name,
        model=started.config.model,
        settings={setting: getattr(started.config, setting) for setting in configurations.OWN},
        parameters=started.parameters,
        macs=next((macs for finished in runs if (macs := _started(finished).macs) is not None), None),
        runs=results,
        left_out=sum(part.name == name for part in left_out),
        accuracy=accuracy,
        errors=_errors(accuracy, results[0].total),
        test_loss=student_estimate(losses) if len(losses) == len(results) else None,
        seconds_per_epoch=student_estimate([result.seconds_per_epoch for result in results]),
        images_per_s=student_estimate([result.images_per_s for result in results]),
    )


def _errors(accuracy: Estimate, total: int) -> Estimate:
    """Return the number of errors that goes with an accuracy."""
    mean, low, high = accuracy.mean, accuracy.low, accuracy.high
    return Estimate(
        total * (1 - mean), None if high is None else total * (1 - high), None if low is None else total * (1 - low)
    )


def _run_result(finished: FollowedRun) -> RunResult:
    started, result = _started(finished), finished.record.evaluated
    if result is None or not finished.record.epoch_seconds or result.total < 1:
        raise Problem("run {run} is not finished", run=finished.run.id)
    seconds = fmean(finished.record.epoch_seconds[1:] or finished.record.epoch_seconds)
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


def _pair(first: NetworkResult, second: NetworkResult, right: Mapping[str, Any], margin: float) -> Pair:
    others = {result.seed: result for result in second.runs}
    common = [(result, others[result.seed]) for result in first.runs if result.seed in others]
    masks = [(right[one.run], right[other.run]) for one, other in common]
    tests = tuple(mcnemar_test(one.seed, *both) for (one, _other), both in zip(common, masks, strict=True))
    # One row for each seed, one column for each image: 1 where only the first network is right, −1 only the second.
    table = [one.astype("int16") - other.astype("int16") for one, other in masks]
    n_images = first.runs[0].total
    found = _difference(table)
    decision = sequential.decide(_differing(table), n_images, margin)
    parts, outcome = None, None
    if not common:
        text = N_("No seed has a finished run of both {first} and {second}: no conclusion is possible.")
        sentences = [Message(text, {"first": first.name, "second": second.name})]
    elif found is None:
        sentences = [verdict.one_seed(first.name, second.name, float(table[0].mean()), tests[0].seed)]
    else:
        parts, outcome = found.parts, verdict.outcome(found, margin)
        sentences = verdict.sentences(first.name, second.name, found, margin)
    if missing := first.left_out + second.left_out:
        text = N_("Runs that diverged or failed, and so are left out of this: {left_out}.")
        sentences.append(Message(text, {"left_out": missing}))
    return Pair(
        first=first.name,
        second=second.name,
        seeds=tuple(test.seed for test in tests),
        difference=found.interval if found else Estimate(float(table[0].mean())) if common else None,
        parts=parts,
        outcome=outcome,
        mcnemar=tests,
        p=swap_test(sum(table)) if common else None,
        verdict=tuple(sentences),
        decision=decision,
        decision_text=tuple(sequential.sentences(first.name, second.name, decision, n_images, margin)),
    )


def _differing(table: Sequence[Any]) -> Any:
    """Return the columns of the images on which two networks differ with any seed."""
    import numpy as np

    differences = np.stack(table) if table else np.zeros((0, 0))
    return differences[:, differences.any(axis=0)]


def _difference(table: Sequence[Any]) -> Difference | None:
    """Return the difference of two networks from a row for each seed; None below two seeds."""
    if len(table) < 2:
        return None
    n_images = len(table[0])
    two_way = intervals.two_way(_differing(table), n_images)
    low, high = intervals.difference_interval(two_way)
    inner_low, inner_high = intervals.difference_interval(two_way, 2 * intervals.LEVEL - 1)
    return Difference(
        interval=Estimate(float(two_way.mean), float(low), float(high)),
        inner=(float(inner_low), float(inner_high)),
        parts=intervals.variance_parts(two_way),
        resolution=float(intervals.resolution(two_way)),
        seeds=len(table),
        images=n_images,
    )


def _side_by_side(runs: Sequence[FollowedRun]) -> int:
    """Return how many of the runs were in training at the same time, at most; other programs are not counted."""
    changes = []
    for finished in runs:
        ended = finished.record.ended
        if ended is not None:
            changes += [(_started(finished).time, 1), (ended.time, -1)]
    most = now = 0
    for _time, change in sorted(changes):
        now += change
        most = max(most, now)
    return max(1, most)


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
