"""The project's training against the exam's program: one process each, training in turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.benchmarks.measuring import Options, Spread, Table, quiet_moment, ratios, say
from tests.benchmarks.trainer import EXAM, Answer, Spec, Trainer

EXAM_NAME = "the exam's program"
BUDGETS = {
    ("RN_1", "fp32"): 3.5,
    ("RN_2", "fp32"): 1.7,
    ("RN_2", "bf16"): 2.7,
    ("RN_1", "exact"): 1.5,
    ("RN_2", "exact"): 1.1,
}
STEPS = {"RN_1": 250, "RN_2": 80}


def measure(options: Options) -> Iterator[Table]:
    for model in options.models:
        yield from _compare(model, options)


def _compare(model: str, options: Options) -> list[Table]:
    common = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir)
    specs = {
        EXAM_NAME: common.but(program=EXAM),
        "fp32": common,
        "bf16": common.but(precision="bf16"),
        "exact": common.but(exact=True),
    }
    trainers = {name: Trainer(spec) for name, spec in specs.items()}
    try:
        seconds = by_turns(trainers, STEPS[model] // (4 if options.quick else 1), options, model)
        tests = _tests({name: trainers[name] for name in (EXAM_NAME, "fp32")}, options)
    finally:
        for trainer in trainers.values():
            trainer.close()
    table = Table(
        f"Training {model}: batches of 64, milliseconds a step", ("", "ms a step", "times as fast", "at least")
    )
    fill(table, seconds, EXAM_NAME, {name: least for (of, name), least in BUDGETS.items() if of == model}, model)
    passes = Table(f"Test set, {model}", ("", "s", "times as fast"))
    for name, times in tests.items():
        ratio = ratios(tests[EXAM_NAME], times)
        passes.add(name, Spread(tuple(times)).text(), ratio.text(1))
        passes.data[name] = {"seconds": Spread(tuple(times)).data(), "ratio": ratio.data()}
    return [table, passes]


def by_turns(trainers: Mapping[str, Trainer], steps: int, options: Options, what: str) -> dict[str, list[float]]:
    """Return the seconds per step of each, for every round."""
    say(f"{what}: {', '.join(trainers)}; {steps} steps at a time")
    for trainer in trainers.values():
        trainer.train(max(5, steps // 5))  # warm-up
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for number in range(options.rounds):
        for name, trainer in trainers.items():
            quiet_moment(options.patience_s)
            seconds[name].append(_per_step(trainer.train(steps)))
        so_far = ", ".join(f"{name} {1000 * times[-1]:.2f}" for name, times in seconds.items())
        say(f"round {number + 1}/{options.rounds}: {so_far} ms")
    return seconds


def _per_step(answer: Answer) -> float:
    return answer.seconds / answer.steps


def _tests(trainers: Mapping[str, Trainer], options: Options) -> dict[str, list[float]]:
    say("test set")
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(max(3, options.rounds // 2)):
        for name, trainer in trainers.items():
            quiet_moment(options.patience_s)
            seconds[name].append(trainer.test().seconds)
    return seconds


def fill(
    table: Table, seconds: Mapping[str, list[float]], against: str, least: Mapping[str, float], model: str
) -> None:
    """Add a row for each: its time, and how many times as fast as `against` it is, round by round."""
    for name, times in seconds.items():
        spread = Spread(tuple(1000 * time for time in times))
        ratio = ratios(seconds[against], times)
        table.add(name, spread.text(), "1" if name == against else ratio.text(), str(least.get(name, "")))
        table.data[name] = {"ms_per_step": spread.data(), "ratio": ratio.data(), "at_least": least.get(name)}
        if name != against:
            table.bars.append((f"{model} {name}", ratio.median, least.get(name)))
