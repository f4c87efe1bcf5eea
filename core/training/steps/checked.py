"""A faster step in place of the plain one, once it was seen on this machine to do the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import msgspec
import torch
from torch import Tensor, nn, optim

from core.messages import N_, Message, Problem, reason
from core.randomness import random_state_kept
from core.training import devices
from core.training.steps.watched import DoesMore, nothing_else_done

Step = Callable[[Tensor], Tensor]
"""A training step: it takes the indices of a batch on the device, and returns the loss, float32, left there."""

_STEPS = 3
"""Steps that are compared before the first one is taken."""
_AVERAGE = "exp_avg"
"""Adam's name for the moving average of a parameter's gradient."""
_AGAIN = (100, 1_000, 10_000)
"""Steps after which a custom network's are compared again: what counts may decide otherwise only then."""
_ROUNDING = {"fp32": 5e-4, "tf32": 2e-2, "bf16": 1e-1}
"""Relative differences of a gradient that two orders of summation explain, in each precision."""


_DIFFERS = N_(
    "the faster step differs from the plain one by {difference} on this machine, checked after {steps} batches:"
    " training goes on with the plain one"
)
_FAILS = N_(
    "the faster step fails on this machine, checked after {steps} batches ({reason}): training goes on with the plain"
    " one"
)


class Differs(Problem):
    """A step does something else than the plain one."""


Values = dict[tuple[object, str], Tensor]


class State:
    """All tensors that a training step changes: parameters, buffers and the optimizer's moments and counters."""

    def __init__(self, network: nn.Module, optimizer: optim.Optimizer) -> None:
        self.parameters = list(network.parameters())
        self._network = network
        self._optimizer = optimizer

    def tensors(self) -> dict[tuple[object, str], Tensor]:
        found: dict[tuple[object, str], Tensor] = {
            ("network", name): tensor
            for named in (self._network.named_parameters(), self._network.named_buffers())
            for name, tensor in named
        }
        for parameter in self.parameters:
            values = self._optimizer.state.get(parameter, {})
            found |= {(parameter, name): value for name, value in values.items() if isinstance(value, Tensor)}
        return found

    @torch.no_grad()
    def copy(self) -> Values:
        return {key: tensor.detach().clone() for key, tensor in self.tensors().items()}

    @torch.no_grad()
    def put(self, values: Values) -> None:
        """Put the values back in place; the moments of a parameter that had none are set to zero."""
        for key, tensor in self.tensors().items():
            if key in values:
                tensor.copy_(values[key])
            else:
                tensor.zero_()


class CheckedStep:
    """A step that takes whole batches the fast way, unless that was seen to do something else.

    Before the first batch, `fast` is compared with `plain`, each step from the same state; that takes milliseconds, and
    leaves everything as it was. Where they differ by more than rounding explains, or `fast` fails, `tell` is told why,
    and every batch is taken the plain way. Batches of another size always are.
    """

    def __init__(
        self,
        plain: Step,
        make_fast: Callable[[], Step],
        state: State,
        *,
        batch_size: int,
        num_images: int,
        device: torch.device,
        precision: str,
        tell: Callable[[Message], None],
        watched: nn.Module | None = None,
    ) -> None:
        self._plain = plain
        self._make_fast = make_fast
        self._state = state
        self._batch_size = batch_size
        self._num_images = num_images
        self._device = device
        self._rounding = _ROUNDING[precision]
        self._tell = tell
        self._watched = watched
        """A custom network, whose forward may do more than arithmetic."""
        self._fast: Step | None = None
        self._taken = 0
        self._is_stale = True
        """True if the state was changed otherwise than by the fast step since that was taken last."""

    def __call__(self, indices: Tensor) -> Tensor:
        """Train on a batch and return its loss, on the device; the next call may overwrite it."""
        if len(indices) != self._batch_size:
            self._is_stale = True
            return self._plain(indices)
        fast = self._fast
        is_due = self._watched is not None and fast is not self._plain and self._taken in _AGAIN
        if fast is None or is_due:
            fast = self._fast = self._proven(fast)
        self._taken += 1
        if self._is_stale:
            _refresh(fast)
            self._is_stale = False
        return fast(indices)

    def _proven(self, fast: Step | None) -> Step:
        """Return the fast step, which is made if it is not yet, if it does the same as the plain one, else that."""
        before = self._state.copy()
        try:
            with random_state_kept(self._device):
                if self._watched is not None:
                    with nothing_else_done(self._watched):
                        self._plain(self._indices(0))
                    self._state.put(before)
                fast = fast or self._make_fast()
                self._compare(fast, before)
        except Exception as error:
            self._refuse(error)
            return self._plain
        else:
            return fast
        finally:
            self._state.put(before)
            self._is_stale = True

    def _indices(self, number: int) -> Tensor:
        first = torch.arange(self._batch_size, device=self._device)
        return (first + number * self._batch_size) % self._num_images

    def _refuse(self, error: Exception) -> None:
        if problem := devices.out_of_memory(error):
            self._tell(problem.message)
        message = error.message if isinstance(error, Differs | DoesMore) else Message(_FAILS, {"reason": reason(error)})
        self._tell(msgspec.structs.replace(message, values={"steps": self._taken, **message.values}))

    def _compare(self, fast: Step, before: Values) -> None:
        """Take steps both ways, each from the same state, and then two in a row. Raises `Differs`.

        One of the steps, and one of two pairs, may differ by more than rounding explains: where a value is so near to
        zero that rounding decides its sign, ReLU passes on all of an image's gradient or nothing.
        """
        found: list[Differs] = []
        for number in range(_STEPS):
            before, differs = self._take_both_ways(fast, before, [number])
            found += [differs] if differs is not None else []
        if len(found) > 1:
            raise found[0]
        # What a step leaves for the next one besides the state shows only in a row.
        first, second = ([_STEPS, _STEPS + 1], [_STEPS + 2, _STEPS + 3])
        before, differs = self._take_both_ways(fast, before, first)
        if differs is not None and self._take_both_ways(fast, before, second)[1] is not None:
            raise differs

    def _take_both_ways(self, fast: Step, before: Values, numbers: Sequence[int]) -> tuple[Values, Differs | None]:
        """Take steps both ways from a state; return that after the plain ones, and how the fast ones differ, if so."""
        self._state.put(before)
        with random_state_kept(self._device):
            for number in numbers:
                with nothing_else_done(self._watched):
                    loss = self._plain(self._indices(number)).double().clone()
            after = self._state.copy()
        self._state.put(before)
        _refresh(fast)
        for number in numbers:
            faster = fast(self._indices(number)).double()
        try:
            if len(numbers) == 1:
                _compare(faster, loss, self._rounding)
                self._compare_states(before, after)
            else:  # rounding has grown, and has moved what has no gradient: the states are not compared
                _compare(faster, loss, 10 * self._rounding)
        except Differs as differs:
            return after, differs
        return after, None

    def _compare_states(self, before: Values, after: Values) -> None:
        """Compare what one step has changed, with what the plain one has. Raises `Differs`.

        Adam moves a parameter by the sign of its gradient, which rounding decides where that is nearly zero: such
        parameters do not count, and the others only as a whole.
        """
        typical = max((_typical(value) for (_of, name), value in after.items() if name == _AVERAGE), default=0.0)
        for key, ours in self._state.tensors().items():
            if key not in after:
                continue
            theirs, average = after[key], after.get((ours, _AVERAGE))
            if not theirs.is_floating_point():
                _compare_counts(ours, theirs)
            elif key[1] == _AVERAGE:
                _compare(ours, theirs, self._rounding, typical)
            elif key[1] == "exp_avg_sq":
                _compare(ours.sqrt(), theirs.sqrt(), self._rounding, math.sqrt(1e-3) * typical)
            elif not isinstance(ours, nn.Parameter):
                _compare(ours, theirs, self._rounding)
            elif average is not None:
                counts = ~(average.abs() <= 10 * self._rounding * typical)
                moved, should = ((each.detach().double() - before[key].double())[counts] for each in (ours, theirs))
                _compare(moved, should, min(0.9, max(0.05, 10 * self._rounding)))


def _refresh(fast: Step) -> None:
    """Let a step that keeps something of the state in another form read the state anew."""
    getattr(fast, "refresh", lambda: None)()


def _compare(ours: Tensor, theirs: Tensor, rounding: float, typical: float = 0.0) -> None:
    """Compare two tensors as a whole: raises `Differs` if they do by more than a fraction of their length.

    A length that is less than a tenth of that of `typical` numbers counts as that: what should cancel out, such as the
    gradient of a bias before batch normalisation, is rounding alone.
    """
    ours, theirs = ours.double(), theirs.double()
    finite = theirs.isfinite()
    if not torch.equal(finite, ours.isfinite()):
        raise Differs(_DIFFERS, difference="∞")
    ours, theirs = ours[finite], theirs[finite]
    least = max(0.1 * typical * math.sqrt(theirs.numel()), 1e-12)
    difference, length = float((ours - theirs).norm()), max(float(theirs.norm()), least)
    if difference > rounding * length:
        raise Differs(_DIFFERS, difference=f"{difference / length:.1e}")


def _compare_counts(ours: Tensor, theirs: Tensor) -> None:
    """Compare numbers that are counted. Raises `Differs`."""
    if not torch.equal(ours, theirs):
        raise Differs(_DIFFERS, difference=str(int((ours != theirs).sum())))


def _typical(values: Tensor) -> float:
    """Return the root of the mean square of those that are finite, 0 without any."""
    finite = values[values.isfinite()].double()
    return float(finite.square().mean().sqrt()) if finite.numel() else 0.0
