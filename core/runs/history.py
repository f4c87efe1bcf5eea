"""The measurements of a run in bounded memory: a reader's memory and a chart's cost do not grow with the run."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

_LONGEST_S = 1e12
_LAST_STEP = 1 << 53
"""Largest step: no run gets there, and beyond it a float cannot tell one step from the next."""


class Column(NamedTuple):
    """A summary of the finite values in a range of steps."""

    low: float
    high: float
    mean: float


class Curve:
    """Values by step, in at most `capacity` buckets of neighbouring steps.

    Each bucket has the minimum, maximum and mean of its finite values; the others are only counted. When the buckets
    are full, neighbours are merged in pairs and the stride doubles.
    """

    def __init__(self, capacity: int = 4096) -> None:
        assert capacity >= 2
        self._capacity = capacity
        self._stride = 1
        self._low = array("d")  # low, high and mean are +inf, -inf and 0 in a bucket without a finite value
        self._high = array("d")
        self._mean = array("d")
        self._count = array("q")
        self._not_finite = array("q")
        self.end = 0
        """One past the last known step."""
        self.version = 0
        """Counter that grows with every change to the curve."""

    @property
    def stride(self) -> int:
        """Number of steps that share a bucket."""
        return self._stride

    def __len__(self) -> int:
        """Return the number of buckets in use, never more than the capacity."""
        return len(self._low)

    def add(self, step: int, value: float | None) -> None:
        self.extend(step, (value,))

    def extend(self, first_step: int, values: Sequence[float | None]) -> None:
        """Add the values of the steps from `first_step` on, counted from 0; None means a value that is not finite."""
        stop = first_step + len(values)
        if not values or first_step < 0 or stop > _LAST_STEP:
            return
        try:
            numbers = array("d", cast(Sequence[float], values))  # raises TypeError if one is None
        except (TypeError, OverflowError):
            numbers = array("d", map(_number, values))
        self._make_room(stop)
        self._record(first_step, numbers)
        self.end = max(self.end, stop)
        self.version += 1

    def truncate(self, step: int) -> None:
        """Forget everything from `step` on.

        A bucket that `step` cuts in two is dropped whole, so that no forgotten value lives on in it.
        """
        if step >= self.end:
            return
        kept = max(0, step) // self._stride
        for values in (self._low, self._high, self._mean, self._count, self._not_finite):
            del values[kept:]
        self.end = max(0, step)
        self.version += 1

    def columns(self, edges: Sequence[float]) -> list[Column | None]:
        """Return a column for each two neighbouring `edges`, which are steps in rising order.

        A column summarises the buckets that begin between its edges; it is None if they have no finite values. The
        cost depends on the capacity, not on the length of the run.
        """
        return [self._column(begin, end) for begin, end in self._ranges(edges)]

    def gaps(self, edges: Sequence[float]) -> list[int]:
        """Return the indices of the columns that contain a value that is not finite."""
        if not any(self._not_finite):
            return []
        return [i for i, (begin, end) in enumerate(self._ranges(edges)) if any(self._not_finite[begin:end])]

    @property
    def points(self) -> list[tuple[int, float]]:
        """The first step and the mean of each bucket with finite values."""
        known = zip(self._mean, self._count, strict=True)
        return [(i * self._stride, mean) for i, (mean, count) in enumerate(known) if count]

    def around(self, step: float) -> tuple[tuple[int, float] | None, tuple[int, float] | None]:
        """Return the nearest points before `step`, and from it on; None where there is none."""
        middle = min(len(self), max(0, math.ceil(step / self._stride)))
        sides = range(middle - 1, -1, -1), range(middle, len(self))
        buckets = (next((i for i in side if self._count[i]), None) for side in sides)
        before, after = (None if i is None else (i * self._stride, self._mean[i]) for i in buckets)
        return before, after

    def smoothed(self, weight: float) -> Curve:
        """Return the exponential moving mean, in which a value counts `weight` times as much as the next one.

        It is debiased as TensorBoard's: the first values are not drawn towards 0.
        """
        smooth = Curve(self._capacity)
        smooth._stride, smooth.end = self._stride, self.end
        decay, value, total = weight**self._stride, 0.0, 0.0
        for mean, count in zip(self._mean, self._count, strict=True):
            total = total * decay + count
            smooth._append_empty(1)
            if count:
                value = value * (1 - count / total) + mean * (count / total)
                smooth._low[-1] = smooth._high[-1] = smooth._mean[-1] = value
                smooth._count[-1] = 1
        return smooth

    def _ranges(self, edges: Sequence[float]) -> Iterable[tuple[int, int]]:
        last = len(self)
        return pairwise(min(last, max(0, math.ceil(edge / self._stride))) for edge in edges)

    def _column(self, begin: int, end: int) -> Column | None:
        counts = self._count[begin:end]
        total = sum(counts)
        if total == 0:
            return None
        low, high = min(self._low[begin:end]), max(self._high[begin:end])
        mean = sum(mean * (count / total) for mean, count in zip(self._mean[begin:end], counts, strict=True))
        return Column(low, high, min(max(mean, low), high))

    def _make_room(self, stop: int) -> None:
        while (stop - 1) // self._stride >= self._capacity:
            self._stride *= 2
            if len(self) % 2:
                self._append_empty(1)
            left, right = slice(0, None, 2), slice(1, None, 2)
            counts = zip(self._mean[left], self._count[left], self._mean[right], self._count[right], strict=True)
            self._mean = array("d", [_mean_of_both(*pair) for pair in counts])
            self._low = array("d", map(min, self._low[left], self._low[right]))
            self._high = array("d", map(max, self._high[left], self._high[right]))
            self._count = array("q", map(int.__add__, self._count[left], self._count[right]))
            self._not_finite = array("q", map(int.__add__, self._not_finite[left], self._not_finite[right]))

    def _append_empty(self, number: int) -> None:
        self._low.extend([math.inf] * number)
        self._high.extend([-math.inf] * number)
        self._mean.extend([0.0] * number)
        self._count.extend([0] * number)
        self._not_finite.extend([0] * number)

    def _record(self, first_step: int, numbers: array[float]) -> None:
        all_finite = math.isfinite(sum(numbers))
        if self._stride == 1 and all_finite and first_step == len(self):
            for values in (self._low, self._high, self._mean):
                values.extend(numbers)
            self._count.extend([1] * len(numbers))
            self._not_finite.extend([0] * len(numbers))
            return
        begin = 0
        while begin < len(numbers):
            bucket = (first_step + begin) // self._stride
            end = min(len(numbers), (bucket + 1) * self._stride - first_step)
            chunk = numbers[begin:end]
            finite = chunk if all_finite else array("d", filter(math.isfinite, chunk))
            self._merge(bucket, finite, len(chunk) - len(finite))
            begin = end

    def _merge(self, bucket: int, finite: array[float], not_finite: int) -> None:
        if bucket >= len(self):
            self._append_empty(bucket + 1 - len(self))
        self._not_finite[bucket] += not_finite
        if not finite:
            return
        number = len(finite)
        mean = sum(finite) / number
        if not math.isfinite(mean):  # the sum overflowed
            mean = sum(value / number for value in finite)
        self._mean[bucket] = _mean_of_both(self._mean[bucket], self._count[bucket], mean, number)
        self._low[bucket] = min(self._low[bucket], min(finite))
        self._high[bucket] = max(self._high[bucket], max(finite))
        self._count[bucket] += number


def _number(value: float | None) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:  # an integer too large for a float
        return math.inf


def _mean_of_both(mean: float, count: int, other_mean: float, other_count: int) -> float:
    """Return the mean of both groups, weighting before adding: the sum of two means could overflow."""
    if count == 0 or other_count == 0:
        return mean if other_count == 0 else other_mean
    total = count + other_count
    return mean * (count / total) + other_mean * (other_count / total)


class Clock:
    """The seconds that a training has taken by step, interpolated linearly between at most `capacity` known points.

    When there are more, those closest together are thinned out. Neither steps nor time run backwards: a point that
    does is ignored.
    """

    def __init__(self, capacity: int = 1024) -> None:
        assert capacity >= 2
        self._capacity = capacity
        self._stride = 1
        self._steps = array("q", [0])
        self._seconds = array("d", [0.0])

    @classmethod
    def mean(cls, clocks: Sequence[Clock], points: int = 128) -> Clock:
        """Return the mean of several clocks; a training that has not reached a step is taken to go on at its pace."""
        if len(clocks) == 1:
            return clocks[0]
        mean = cls(points + 1)
        begun = [clock for clock in clocks if clock.end]
        end = max((clock.end for clock in begun), default=0)
        for i in range(1, points + 1):
            step = end * i // points
            mean.add(step, sum(clock.seconds_at(step) for clock in begun) / max(1, len(begun)))
        return mean

    def __len__(self) -> int:
        """Return the number of points kept, never more than the capacity."""
        return len(self._steps)

    @property
    def end(self) -> int:
        """The last step with a known time."""
        return self._steps[-1]

    def add(self, step: int, seconds: float) -> None:
        """Record that `step` batches were completed after `seconds`."""
        if not self._steps[-1] < step <= _LAST_STEP or not self._seconds[-1] <= seconds <= _LONGEST_S:
            return
        if len(self) > 1 and step - self._steps[-2] < self._stride:
            self._steps.pop()
            self._seconds.pop()
        self._steps.append(step)
        self._seconds.append(seconds)
        while len(self) > self._capacity:
            self._stride *= 2
            self._thin()

    def truncate(self, step: int) -> None:
        """Forget everything after `step`."""
        kept = max(1, bisect_right(self._steps, step))
        del self._steps[kept:], self._seconds[kept:]

    def seconds_at(self, step: float) -> float:
        """Return the seconds taken until `step`; beyond the last known step, at the average pace until there."""
        last = self._steps[-1]
        if step >= last:
            return self._seconds[-1] * (step / last) if last else 0.0
        return _between(self._steps, self._seconds, step)

    def step_at(self, seconds: float) -> float:
        """Return the step reached after `seconds`; the last known one if the training has not taken that long."""
        if seconds >= self._seconds[-1]:
            return self._steps[-1]
        return _between(self._seconds, self._steps, seconds)

    def _thin(self) -> None:
        kept = [0]
        for i in range(1, len(self) - 1):
            if self._steps[i] - self._steps[kept[-1]] >= self._stride:
                kept.append(i)
        kept.append(len(self) - 1)
        self._steps = array("q", [self._steps[i] for i in kept])
        self._seconds = array("d", [self._seconds[i] for i in kept])


def _between(known: Sequence[float], values: Sequence[float], at: float) -> float:
    """Return the value at `at`, interpolated linearly between its neighbours in `known`, which rises."""
    right = bisect_right(known, max(at, known[0]))
    before, after = known[right - 1], known[right]
    share = (max(at, before) - before) / (after - before)
    return values[right - 1] + share * (values[right] - values[right - 1])


class LossHistory:
    """The curves that a chart shows of a run. Steps are batches, counted from 0 over the whole run."""

    def __init__(self, capacity: int = 4096) -> None:
        self.batches = Curve(capacity)
        """Loss of each batch."""
        self.running = Curve(capacity)
        """Mean loss over the epoch so far, known at some steps."""
        self.epochs = Curve(capacity)
        """Loss of each epoch, at the step of its last batch."""
        self.validation = Curve(capacity)
        """Validation loss after each epoch, at the step of its last batch."""
        self.accuracy = Curve(capacity)
        """Validation accuracy, from 0 to 1, at the same steps."""
        self.clock = Clock()

    def extend(self, first_step: int, losses: Sequence[float | None]) -> None:
        self.batches.extend(first_step, losses)

    def add_running(self, step: int, value: float | None) -> None:
        self.running.add(step, value)

    def add_epoch(self, last_step: int, value: float | None) -> None:
        self.epochs.add(last_step, value)

    def add_validation(self, last_step: int, loss: float | None, accuracy: float | None) -> None:
        self.validation.add(last_step, loss)
        self.accuracy.add(last_step, accuracy)

    def add_seconds(self, steps: int, seconds: float) -> None:
        """Record that `steps` batches were completed after `seconds`."""
        self.clock.add(steps, seconds)

    def truncate(self, step: int) -> None:
        """Forget everything from `step` on, which a resumed run repeats."""
        for curve in self._curves:
            curve.truncate(step)
        self.clock.truncate(step)

    @property
    def end(self) -> int:
        """One past the last known step."""
        return max(self.batches.end, self.running.end, self.epochs.end)

    @property
    def version(self) -> int:
        """A counter that grows with every change to one of the curves."""
        return sum(curve.version for curve in self._curves)

    @property
    def _curves(self) -> tuple[Curve, ...]:
        return self.batches, self.running, self.epochs, self.validation, self.accuracy
