"""Comparison of what the fast path and the exam's program learn from the same seeds."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.benchmarks.measuring import Options, Spread, Table, child_environment, mean_interval, say
from tests.benchmarks.trainer import EXAM, OURS, Spec

VARIANTS = {
    "the exam's program": {"program": EXAM},
    "fp32": {"program": OURS},
    "bf16": {"program": OURS, "precision": "bf16"},
}
Result = tuple[float, float]
"""Loss of the last epoch and accuracy on the test set."""


def measure(options: Options) -> Iterator[Table]:
    return (_compare(model, options) for model in options.models)


def _compare(model: str, options: Options) -> Table:
    spec = {"model": model, "dataset": options.dataset, "data_dir": options.data_dir}
    results: dict[str, list[Result]] = {name: [] for name in VARIANTS}
    for seed in range(options.seeds):
        for name, variant in VARIANTS.items():
            results[name].append(_train({**spec, **variant}, seed, options.epochs))
        last = ", ".join(f"{name} {found[-1][0]:.4f} {found[-1][1]:.2%}" for name, found in results.items())
        say(f"{model} seed {seed + 1}/{options.seeds}: {last}")
    table = Table(
        f"{model} after {options.epochs} epochs, {options.seeds} seeds: mean ± standard deviation",
        ("", "training loss", "test accuracy, %", "accuracy less the exam's, 95 %"),
    )
    reference = [100 * accuracy for _, accuracy in results["the exam's program"]]
    for name, found in results.items():
        losses, accuracies = [loss for loss, _ in found], [100 * accuracy for _, accuracy in found]
        by_seed = [a - b for a, b in zip(accuracies, reference, strict=True)]
        difference = "" if VARIANTS[name]["program"] == EXAM else mean_interval(by_seed, 2, "+")
        table.add(name, _mean(losses, 4), _mean(accuracies, 2), difference)
        table.data[name] = {"loss": Spread(tuple(losses)).data(), "accuracy": Spread(tuple(accuracies)).data()}
    return table


def _mean(values: list[float], digits: int) -> str:
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.mean(values):.{digits}f} ± {spread:.{digits}f}"


def _train(spec: dict[str, Any], seed: int, epochs: int) -> Result:
    arguments = [msgspec.json.encode(spec).decode(), str(seed), str(epochs)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.equivalence", *arguments],
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip().rpartition("\n")[2])
    loss, accuracy = json.loads(ended.stdout.splitlines()[-1])
    return loss, accuracy


def _run_exam(spec: Spec, seed: int, epochs: int) -> Result:
    from core.networks.build import built_in_class
    from tests.benchmarks.trainer import exam_data
    from tests.core.training import exam_program

    result = exam_program.run(built_in_class(spec.model), *exam_data(spec), seed=seed, num_epochs=epochs)
    return result.epoch_losses[-1], result.accuracy


def _run_ours(spec: Spec, seed: int, epochs: int) -> Result:
    """Train as mnist-tui's own runs do."""
    import tempfile
    from pathlib import Path

    from core.config import RunConfig
    from core.runs import directory
    from core.runs.events import EpochEnded, Evaluated, Event
    from core.worker.carry_out import carry_out

    config = RunConfig(
        model=spec.model,
        device="cpu",
        epochs=epochs,
        seed=seed,
        dataset=spec.dataset,
        data_dir=spec.data_dir,
        precision=spec.precision,  # type: ignore[arg-type]
    )
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        carry_out(directory.create(Path(folder), config), events.append, lambda: False)
    losses = [event.loss for event in events if isinstance(event, EpochEnded)]
    (evaluated,) = (event for event in events if isinstance(event, Evaluated))
    return losses[-1], evaluated.accuracy


def main() -> None:
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    seed, epochs = int(sys.argv[2]), int(sys.argv[3])
    run = _run_exam if spec.program == EXAM else _run_ours
    print(json.dumps(run(spec, seed, epochs)))


if __name__ == "__main__":
    main()
