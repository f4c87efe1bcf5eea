"""The project's training against the exam's program: one process each, training in turns, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.benchmarks.measuring import Options, Spread, Table, ratios, say
from tests.benchmarks.trainer import EXAM, Spec, Trainer
from tests.benchmarks.turns import Started, add_ratios, milliseconds, started, take_turns

EXAM_NAME = "the exam's program"
BUDGETS = {
    ("cpu", "RN_1"): {"fp32": 5.0, "bf16": 6.5, "exact": 1.5},
    ("cpu", "RN_2"): {"fp32": 2.3, "bf16": 3.0, "exact": 1.1},
    ("gpu", "RN_1"): {"fp32": 50.0, "bf16": 50.0},
    ("gpu", "RN_2"): {"fp32": 50.0, "bf16": 50.0},
}
_TURNS_SHARE = 0.75
"""Share of the time after the start for the steps; the rest is for the passes over the test set."""


def measure(options: Options) -> Iterator[Table]:
    for model, part in options.by_model():
        yield from _compare(model, part)


def specs(model: str, options: Options) -> dict[str, Spec]:
    """Return the exam's program and each way in which the project trains on the device."""
    common = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir, device=options.device)
    return {
        EXAM_NAME: common.but(program=EXAM),
        "fp32": common,
        **({"tf32": common.but(precision="tf32")} if options.on_gpu else {}),
        "bf16": common.but(precision="bf16"),
        "exact": common.but(exact=True),
    }


def _compare(model: str, options: Options) -> list[Table]:
    with started(specs(model, options), options) as processes:
        seconds = take_turns(processes, options.part(_TURNS_SHARE), model)
        tested = {name: processes.trainers[name] for name in (EXAM_NAME, "fp32") if name in processes.trainers}
        tests = _tests(tested, options)
    table = Table(
        f"Training {model}: batches of 64, milliseconds a step",
        ("", "ms a step", "times as fast as the exam's, 95 %", "at least"),
    )
    _add_failures(table, processes)
    if EXAM_NAME not in seconds:
        return [table]
    least = BUDGETS["gpu" if options.on_gpu else "cpu", model]
    add_ratios(table, seconds, EXAM_NAME, least, f"{model} on the GPU," if options.on_gpu else model)
    table.shared = {
        f"{model}, {name}, ms a step": milliseconds(seconds[name]) for name in (EXAM_NAME, "fp32") if name in seconds
    }
    return [table, _test_table(model, tests)]


def _add_failures(table: Table, processes: Started) -> None:
    table.notes += [f"{name} was not run: {why}" for name, why in processes.failed.items()]


def _tests(trainers: Mapping[str, Trainer], options: Options) -> dict[str, list[float]]:
    say("test set")
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for _number in options.turns(least=3):
        for name, trainer in trainers.items():
            seconds[name].append(trainer.test().seconds)
    return seconds


def _test_table(model: str, tests: Mapping[str, list[float]]) -> Table:
    table = Table(f"Test set, {model}", ("", "s", "times as fast"))
    for name, times in tests.items():
        ratio = ratios(tests[EXAM_NAME], times)
        table.add(name, Spread(tuple(times)).text(), ratio.text(1))
        table.data[name] = {"seconds": Spread(tuple(times)).data(), "ratio": ratio.data()}
        table.rounds = len(times)
    return table
