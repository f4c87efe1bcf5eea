"""Test that the fast path learns what the exam's program does: two one-sided tests of the accuracy, with a margin.

The reference is trained with `exact`, which has the exam's losses digit for digit: that is checked here too. The number
of seeds follows from the spread of the first ones (the pilot, which counts), and the verdict is given once there are
that many: looking at it again and again on the way would make errors likelier.
Source: D. J. Schuirmann, A comparison of the two one-sided tests procedure and the power approach, 1987.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from tests.benchmarks.learning import BF16, EXACT, EXAM, FP32, TF32, Kept, Training, carry_out_all, digest_of_code
from tests.benchmarks.measuring import Interval, Options, Table

MARGIN = 0.2
"""Greatest difference of two accuracies that counts as none, in percentage points."""
LEVEL, POWER = 0.05, 0.9
PILOT = 10
"""Number of seeds that the spread is measured with."""
_MOST_SEEDS = 1000
_PROBABILITIES = 4000
Accuracies = Sequence[float]


def measure(options: Options) -> Iterator[Table]:
    kept = Kept(options.results_path)
    for model, part in options.by_model():
        yield _Compared(model, kept, part).table()


class _Compared:
    """A network's ways of training, and what they learn from the same seeds."""

    def __init__(self, model: str, kept: Kept, options: Options) -> None:
        import torch

        self._model, self._kept, self._options = model, kept, options
        self._torch, self._code = str(torch.__version__), digest_of_code()
        self._variants = (FP32, TF32, BF16) if options.on_gpu else (FP32, BF16)

    def table(self) -> Table:
        """Train what is missing, as far as the time allows, and compare."""
        same_digits = [self._training(variant, 0, epochs=1) for variant in (EXAM, EXACT)]
        carry_out_all(same_digits, self._kept, self._options)
        self._train(dict.fromkeys(self._variants, PILOT))
        needed = {variant: self._needed(variant) for variant in self._variants}
        self._train({variant: count or 0 for variant, count in needed.items()})
        table = Table(
            f"{self._model} after {self._options.epochs} epochs: what the fast path learns, against the exact one",
            ("", "training loss", "test accuracy, %", "difference, points, 90 %", "seeds", "needed", "verdict"),
        )
        table.notes = [self._digits(same_digits), *_NOTES]
        self._add_row(table, EXACT, None)
        for variant in self._variants:
            self._add_row(table, variant, needed[variant])
        return table

    def _training(self, variant: str, seed: int, *, epochs: int = 0) -> Training:
        options = self._options
        return Training(
            model=self._model,
            variant=variant,
            seed=seed,
            epochs=epochs or options.epochs,
            dataset=options.dataset,
            device=options.device,
            torch=self._torch,
            code=self._code,
        )

    def _train(self, counts: dict[str, int]) -> None:
        """Train so many seeds of each variant, and of the exact one as many as the most, seed by seed."""
        most = max(counts.values())
        wanted = [
            self._training(variant, seed)
            for seed in range(min(most, self._options.seeds or most))
            for variant in (EXACT, *(variant for variant, count in counts.items() if seed < count))
        ]
        carry_out_all(wanted, self._kept, self._options)

    def _accuracies(self, variant: str) -> list[float]:
        """Return the accuracies of the seeds from 0 that are there, in percent."""
        found: list[float] = []
        while (training := self._training(variant, len(found))) in self._kept:
            found.append(100 * self._kept[training].accuracy)
        return found

    def _of_common_seeds(self, variant: str) -> tuple[Accuracies, Accuracies]:
        """Return a variant's accuracies and the exact ones of the seeds that both have."""
        its, exact = self._accuracies(variant), self._accuracies(EXACT)
        seeds = min(len(its), len(exact))
        return its[:seeds], exact[:seeds]

    def _needed(self, variant: str) -> int | None:
        """Return the number of seeds that the pilot's spread asks for; None before the pilot is complete."""
        its, exact = self._of_common_seeds(variant)
        if len(its) < PILOT:
            return None
        return max(PILOT, seeds_needed(math.hypot(statistics.stdev(its[:PILOT]), statistics.stdev(exact[:PILOT]))))

    def _add_row(self, table: Table, variant: str, needed: int | None) -> None:
        accuracies = self._accuracies(variant)
        losses = [self._kept[self._training(variant, seed)].loss for seed in range(len(accuracies))]
        if not accuracies:
            table.add(variant, "", "", "", "0", "", "not measured yet")
            return
        cells = [_mean(losses, 4), _mean(accuracies, 2)]
        if variant == EXACT:
            table.add(variant, *cells, "", str(len(accuracies)), "", "")
            table.data[variant] = {"loss": losses, "accuracy": accuracies}
            return
        its, exact = self._of_common_seeds(variant)
        shown = "known after the pilot" if needed is None else str(needed)
        if len(its) < 2:
            table.add(variant, *cells, "", str(len(its)), shown, "not measured yet")
            return
        interval, p = difference(its, exact)
        table.add(variant, *cells, interval.text(3), str(len(its)), shown, _verdict(interval, len(its), needed))
        table.data[variant] = {"loss": losses, "accuracy": accuracies, "difference": interval.data(), "p": p}
        table.notes.append(f"{variant}: p {p:.2g}.")

    def _digits(self, trainings: Sequence[Training]) -> str:
        """Say whether the exam's program and the exact one, seed 0, one epoch, end with the same numbers."""
        if any(training not in self._kept for training in trainings):
            return "Exact against the exam's own program: not compared yet."
        exam, exact = (self._kept[training] for training in trainings)
        same = (exam.loss, exam.accuracy) == (exact.loss, exact.accuracy)
        return (
            f"Seed 0, one epoch: the exam's program {exam.loss!r}, {exam.accuracy:.2%}, exact {exact.loss!r}, "
            f"{exact.accuracy:.2%}: {'the same digits' if same else 'not the same digits'}."
        )


_NOTES = (
    f"Equivalent: the 90 % interval of the difference lies within ±{MARGIN} point, which is two one-sided tests at "
    f"{LEVEL:.0%}. As many seeds as are needed for a power of {POWER:.0%} if there is no difference, from the standard "
    f"deviations of the first {PILOT} seeds.",
    "The two are taken as independent samples (Welch's t): a seed gives both the same first parameters, but another "
    "order of the images. Each trains with one thread.",
    "All are tested on the same 10,000 images of MNIST: the verdict is about the training, on these images.",
)


def _verdict(interval: Interval, seeds: int, needed: int | None) -> str:
    if needed is None or seeds < needed:
        return f"open: {seeds} of {needed or 'the seeds needed'}"
    if interval.low > -MARGIN and interval.high < MARGIN:
        return f"equivalent within {MARGIN} point"
    return "not shown"


def seeds_needed(deviation: float) -> int:
    """Return the least number of seeds with which equal networks are called equivalent as often as `POWER` says."""
    return next((seeds for seeds in range(2, _MOST_SEEDS) if power(seeds, deviation) >= POWER), _MOST_SEEDS)


def power(seeds: int, deviation: float) -> float:
    """Return the power of the two tests at no difference, averaged over the deviations that may be measured.

    `deviation` is that of a difference of two accuracies, each of another one of so many seeds.
    """
    import numpy as np
    from scipy import stats

    if deviation == 0:
        return 1.0
    free = 2 * (seeds - 1)
    probabilities = (np.arange(_PROBABILITIES) + 0.5) / _PROBABILITIES
    measured = deviation * np.sqrt(stats.chi2.ppf(probabilities, free) / free)
    room = MARGIN * math.sqrt(seeds) - stats.t.ppf(1 - LEVEL, free) * measured
    return float(np.clip(2 * stats.norm.cdf(room / deviation) - 1, 0, None).mean())


def difference(its: Accuracies, exact: Accuracies) -> tuple[Interval, float]:
    """Return the mean difference with its 90 % interval (Welch), and the greater p of the two one-sided tests."""
    from scipy import stats

    mean = statistics.mean(its) - statistics.mean(exact)
    parts = [statistics.variance(each) / len(each) for each in (its, exact)]
    if not any(parts):
        return Interval(mean, mean, mean), float(abs(mean) >= MARGIN)
    error = math.sqrt(sum(parts))
    free = sum(parts) ** 2 / sum(part**2 / (len(its) - 1) for part in parts)
    half = float(stats.t.ppf(1 - LEVEL, free)) * error
    return Interval(mean, mean - half, mean + half), float(stats.t.sf((MARGIN - abs(mean)) / error, free))


def _mean(values: Sequence[float], digits: int) -> str:
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"
