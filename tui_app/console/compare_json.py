"""A comparison as JSON, with its texts in English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from core.comparing.statistics import NetworkResult, Pair, Results
from core.data.conditions import Robustness
from core.messages import Message


class ComparedData(msgspec.Struct, frozen=True):
    name: str
    title: str
    train_size: int
    test_size: int


class ComparedOn(msgspec.Struct, frozen=True):
    """The device of one of the runs, and the processors of all."""

    device: str
    device_name: str
    processors: tuple[str, ...]
    torch: str
    """Version of torch; several, between commas, if the runs had different ones."""
    threads: int
    at_once: int
    """Number of these runs that were trained at the same time, at most."""


class PrintedPair(Pair, frozen=True, kw_only=True):
    """A comparison of two networks on the seeds that both have finished."""

    verdict: str  # type: ignore[assignment]
    """Sentences that claim no more than the numbers support."""
    decision_text: str  # type: ignore[assignment]


class PrintedLeftOut(msgspec.Struct, frozen=True):
    """A run without a result."""

    run: str
    name: str
    """Name of its configuration."""
    model: str
    seed: int
    status: str
    """Outcome: `failed` or `diverged`."""
    why: str


class TestedNetwork(msgspec.Struct, frozen=True):
    network: str
    runs: Sequence[Robustness]


class PrintedComparison(msgspec.Struct, frozen=True, kw_only=True):
    dataset: ComparedData
    settings: dict[str, Any]
    """Settings that all runs share."""
    machine: ComparedOn
    margin: float
    """Smallest difference in accuracy that matters, as a fraction."""
    networks: tuple[NetworkResult, ...]
    pairs: list[PrintedPair]
    left_out: list[PrintedLeftOut]
    conditions: list[TestedNetwork]
    command: str
    """Command that reproduces it."""


def comparison_document(
    results: Results, command: str, tested: Sequence[tuple[str, Sequence[Robustness]]]
) -> PrintedComparison:
    started = results.started
    every = msgspec.structs.asdict(started.config).items()
    return PrintedComparison(
        dataset=ComparedData(started.dataset, started.dataset_title, started.train_size, started.test_size),
        settings={name: value for name, value in every if name not in ("model", "seed", *results.differing)},
        machine=ComparedOn(
            started.device,
            started.device_name,
            results.processors,
            ", ".join(results.torch_versions),
            started.threads,
            results.side_by_side,
        ),
        margin=results.margin,
        networks=results.networks,
        pairs=[_printed(pair) for pair in results.pairs],
        left_out=[
            PrintedLeftOut(part.run, part.name, part.config.model, part.config.seed, part.status, str(part.why))
            for part in results.left_out
        ],
        conditions=[TestedNetwork(name, found) for name, found in tested],
        command=command,
    )


def _printed(pair: Pair) -> PrintedPair:
    texts = {"verdict": _text(pair.verdict), "decision_text": _text(pair.decision_text)}
    return PrintedPair(**msgspec.structs.asdict(pair) | texts)


def _text(sentences: Sequence[Message]) -> str:
    return " ".join(map(str, sentences))
