"""What the user's own runs have shown: the results that guesses are held against, and the runs to look into."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence

import msgspec

from core.catalogue import EXAM_PAIR
from core.config import RunConfig
from core.exam.questions import AnswerPlace
from core.runs.directory import FollowedRun, Run, Summary

DIGITS = ("mnist", "qmnist", "sample")
"""Data sets of handwritten digits, which the exam's questions are about."""


class SeenRun(msgspec.Struct, frozen=True):
    """What a finished run has shown."""

    run_id: str
    model: str
    dataset: str
    errors: int
    total: int
    first_loss: float | None
    """Loss of its first epoch; None if it is not finite."""


class Evidence(msgspec.Struct, frozen=True):
    """The newest finished runs of the two networks, trained alike if there are such."""

    runs: dict[str, SeenRun] = {}
    """By network."""
    are_alike: bool = False
    """True if there are runs of both that differ in the network alone, or in the seed."""

    @property
    def pair(self) -> tuple[SeenRun, SeenRun] | None:
        """Runs of both networks that can be compared."""
        first, second = (self.runs.get(model) for model in EXAM_PAIR)
        return (first, second) if self.are_alike and first is not None and second is not None else None

    @property
    def is_decisive(self) -> bool:
        """True if the two runs differ by more than the choice of test images explains."""
        if self.pair is None:
            return False
        shares = [run.errors / run.total for run in self.pair]
        variance = sum(share * (1 - share) / run.total for share, run in zip(shares, self.pair, strict=True))
        return abs(shares[0] - shares[1]) > 1.96 * math.sqrt(variance)


def chosen(summaries: Sequence[Summary]) -> tuple[dict[str, str], bool]:
    """Return the ids of the runs to read, by network, and whether they were trained alike; the newest count."""
    plain = [each for each in reversed(summaries) if _is_plain(each)]
    first: dict[Hashable, dict[str, str]] = {}
    for summary in plain:
        alike = first.setdefault(_kind(summary), {})
        alike.setdefault(summary.config.model if summary.config else "", summary.id)
    pair = next((alike for alike in first.values() if len(alike) == len(EXAM_PAIR)), None)
    if pair is not None:
        return pair, True
    newest: dict[str, str] = {}
    for alike in first.values():
        newest = alike | newest
    return newest, False


def gather(run_ids: dict[str, str], runs: Iterable[Run], *, are_alike: bool) -> Evidence:
    """Read the runs chosen by `chosen`; `runs` are those with these ids."""
    models = {run_id: model for model, run_id in run_ids.items()}
    seen = {models[run.id]: found for run in runs if (found := _read(run, models[run.id])) is not None}
    return Evidence(seen, are_alike and len(seen) == len(EXAM_PAIR))


def runs_for(place: AnswerPlace, summaries: Sequence[Summary]) -> list[str]:
    """Return the ids of the newest trained runs that a place needs, one for each network; fewer if there are none.

    They were all trained on the same data set.
    """
    found: dict[str, dict[str, str]] = {}
    for each in reversed(summaries):
        for model in place.needs:
            if _suits(each, model, place):
                found.setdefault(each.dataset, {}).setdefault(model, each.id)
    most = max(found.values(), key=len, default={})
    return [most[model] for model in place.needs if model in most]


def _suits(summary: Summary, model: str, place: AnswerPlace) -> bool:
    config = summary.config
    if config is None or summary.accuracy is None or config.model != model or config.permute:
        return False
    if summary.dataset not in DIGITS:
        return False
    if place.batch_norm or place.dropout:
        return config.batch_norm and config.dropout > 0
    return not config.architecture.is_variant


def _is_plain(summary: Summary) -> bool:
    config = summary.config
    if config is None or summary.state != "done" or summary.dataset not in DIGITS or summary.is_steered:
        return False
    return config.model in EXAM_PAIR and not config.architecture.is_variant and not config.permute


def _kind(summary: Summary) -> Hashable:
    config: RunConfig = summary.config  # type: ignore[assignment]  # those that are plain have one
    return summary.dataset, config.epochs, config.batch_size, config.lr, config.validate, config.patience


def _read(run: Run, model: str) -> SeenRun | None:
    followed = FollowedRun(run, keep_losses=False)
    followed.read()
    record = followed.record
    if record.started is None or record.evaluated is None or record.evaluated.total < 1:
        return None
    losses = record.epoch_losses
    first = losses[0] if losses and math.isfinite(losses[0]) else None
    tested = record.evaluated
    return SeenRun(run.id, model, record.started.dataset, tested.total - tested.correct, tested.total, first)
