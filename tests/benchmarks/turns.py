"""Programs that train by turns: the time of their steps in every round, and how they compare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.machine import usable_cores
from tests.benchmarks.measuring import Options, Spread, Table, paired, quiet_moment, say
from tests.benchmarks.trainer import Spec, Trainer

TURN_S = 0.4
_WARM_UP_S = 0.6
_CORES_EACH = 4
"""Number of cores for each program that starts while others do; two always start at once, which mostly read files."""


@dataclass
class Started:
    """Training processes that are warm."""

    trainers: dict[str, Trainer] = field(default_factory=dict)
    per_step_s: dict[str, float] = field(default_factory=dict)
    """Least seconds per step so far: from them follows the number of steps in a turn."""
    first_call_s: dict[str, float] = field(default_factory=dict)
    """Seconds of each program's first call, in which it compiles if it does."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why a program could not be run, by its name."""


@contextmanager
def started(specs: Mapping[str, Spec], options: Options) -> Iterator[Started]:
    """Start a process for each program and warm it up."""
    processes = Started()

    def start(name: str) -> None:
        say(f"starting {name}, {specs[name].model}")
        trainer = Trainer(specs[name])
        try:
            first, per_step = _warm_up(trainer)
        except RuntimeError as error:
            say(str(error))
            trainer.close()
            processes.failed[name] = str(error)
            return
        processes.trainers[name], processes.first_call_s[name], processes.per_step_s[name] = trainer, first, per_step

    try:
        with ThreadPoolExecutor(max(2, usable_cores() // _CORES_EACH)) as pool:
            list(pool.map(start, specs))
        processes.trainers = {name: processes.trainers[name] for name in specs if name in processes.trainers}
        yield processes
    finally:
        for trainer in processes.trainers.values():
            trainer.close()


def _warm_up(trainer: Trainer) -> tuple[float, float]:
    """Return the seconds of the first call, and the least seconds of a step in those that follow."""
    first = trainer.train(trainer.spec.chunk).seconds
    seconds, steps, per_step = 0.0, trainer.spec.chunk, math.inf
    while seconds < _WARM_UP_S:
        answer = trainer.train(steps)
        seconds += answer.seconds
        per_step = min(per_step, answer.seconds / steps)
        steps *= 2
    return first, per_step


def take_turns(processes: Started, options: Options, what: str) -> dict[str, list[float]]:
    """Return the seconds per step of each program in every round; every second round goes through them backwards."""
    seconds: dict[str, list[float]] = {name: [] for name in processes.trainers}
    names = list(seconds)
    for name in names:
        _turn(processes, name)  # they were warmed up beside others that started: what fills a turn is known only now
    for number in options.turns(least=4, by=2):
        quiet_moment(options.patience_s)
        for name in reversed(names) if number % 2 else names:
            seconds[name].append(_turn(processes, name))
        if number % 10 == 0:
            so_far = ", ".join(f"{name} {1000 * times[-1]:.3g}" for name, times in seconds.items())
            say(f"{what}, round {number + 1}: {so_far} ms")
    return seconds


def _turn(processes: Started, name: str) -> float:
    """Return the seconds per step of as many whole calls as fill a turn."""
    trainer, least = processes.trainers[name], processes.per_step_s[name]
    answer = trainer.train(max(1, round(TURN_S / least / trainer.spec.chunk)) * trainer.spec.chunk)
    per_step = answer.seconds / answer.steps
    processes.per_step_s[name] = min(least, per_step)
    return per_step


def milliseconds(seconds: list[float]) -> Spread:
    return Spread(tuple(1000 * each for each in seconds))


def add_ratios(
    table: Table, seconds: Mapping[str, list[float]], against: str, least: Mapping[str, float], what: str
) -> None:
    """Add a row for each program: its time, and how many times as fast as `against` it is, in pairs of turns."""
    for name, times in seconds.items():
        spread, ratio = milliseconds(times), paired(seconds[against], times)
        table.add(name, spread.text(3), "1" if name == against else ratio.text(), str(least.get(name, "")))
        table.data[name] = {"ms_per_step": spread.data(), "ratio": ratio.data(), "at_least": least.get(name)}
        table.rounds = len(times)
        if name != against:
            table.bars.append((f"{what} {name}", ratio.mean, least.get(name)))
