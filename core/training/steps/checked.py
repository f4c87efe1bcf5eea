"""A faster step in place of the plain one, once it was seen on this machine to do the same."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import IO, Any

import msgspec
import torch
from torch import Tensor, nn, optim

from core.messages import N_, Message, reason
from core.randomness import random_state, random_state_kept
from core.training import devices

Step = Callable[[Tensor], Tensor]
"""A training step: it takes the indices of a batch on the device, and returns the loss, float32, left there."""

_STEPS = 3
"""Steps that are compared before the first one is taken."""
_AGAIN = (100, 1_000, 10_000)
"""Steps after which a custom network's are compared again: what counts may decide otherwise only then."""
_ROUNDING = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 1e-1}
"""Relative differences of a gradient that two orders of summation explain, in each precision."""


_DIFFERS = N_(
    "the faster step differs from the plain one by {difference} on this machine, checked after {steps} batches:"
    " training goes on with the plain one"
)
_FAILS = N_(
    "the faster step fails on this machine, checked after {steps} batches ({reason}): training goes on with the plain"
    " one"
)
_PRINTS = N_("the network prints something in each batch: its steps are not recorded, but taken one by one")
_KEEPS = N_("the network keeps values of its own between batches: its steps are not recorded, but taken one by one")
_DRAWS = N_("the network draws random numbers on the CPU: its steps are not recorded, but taken one by one")


class Differs(Exception):
    """A step does something else than the plain one."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


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

    def gradients(self) -> list[Tensor]:
        """Return the moving averages of the gradients, in double precision: what a step has made of them."""
        states = (self._optimizer.state.get(parameter, {}) for parameter in self.parameters)
        return [state["exp_avg"].double() for state in states if "exp_avg" in state]


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

    def _refuse(self, error: Exception) -> None:
        if problem := devices.out_of_memory(error):
            self._tell(problem.message)
        message = error.message if isinstance(error, Differs) else Message(_FAILS, {"reason": reason(error)})
        self._tell(msgspec.structs.replace(message, values={"steps": self._taken, **message.values}))

    def _compare(self, fast: Step, before: Values) -> None:
        """Take steps both ways. Raises `Differs`."""
        first = torch.arange(self._batch_size, device=self._device)
        for number in range(_STEPS):
            indices = (first + number * self._batch_size) % self._num_images
            self._state.put(before)
            with random_state_kept(self._device):
                with _nothing_else_done(self._watched):
                    loss = self._plain(indices).double().clone()
                expected, after = self._state.gradients(), self._state.copy()
            self._state.put(before)
            _refresh(fast)
            _compare(fast(indices).double(), loss, self._rounding)
            for ours, theirs in zip(self._state.gradients(), expected, strict=True):
                _compare(ours, theirs, self._rounding)
            self._compare_update(before, after)
            before = after

    def _compare_update(self, before: Values, after: Values) -> None:
        """Compare how far the parameters have moved. Raises `Differs`.

        Adam moves a parameter by the sign of its gradient, which rounding decides where that is nearly zero: only as a
        whole can the moves be compared.
        """
        for key, ours in self._state.tensors().items():
            if isinstance(ours, nn.Parameter) and key in after:
                moved, should = (each.detach().double() - before[key].double() for each in (ours, after[key]))
                _compare(moved, should, max(0.05, 10 * self._rounding))


def _refresh(fast: Step) -> None:
    """Let a step that keeps something of the state in another form read the state anew."""
    getattr(fast, "refresh", lambda: None)()


def _compare(ours: Tensor, theirs: Tensor, rounding: float) -> None:
    """Compare two tensors as a whole: raises `Differs` if they do by more than a fraction of their length."""
    finite = theirs.isfinite()
    if not torch.equal(finite, ours.isfinite()):
        raise Differs(Message(_DIFFERS, {"difference": "∞"}))
    ours, theirs = ours[finite], theirs[finite]
    difference, length = float((ours - theirs).norm()), max(float(theirs.norm()), 1e-12)
    if difference > rounding * length:
        raise Differs(Message(_DIFFERS, {"difference": f"{difference / length:.1e}"}))


@contextmanager
def _nothing_else_done(network: nn.Module | None) -> Iterator[None]:
    """Watch a custom network's step for what a recorded one would not do again. Raises `Differs`."""
    if network is None:
        yield
        return
    before, kept = _python_state(network), [(module, _plain_values(module)) for module in network.modules()]
    with _output_watched() as written, _host_draws_watched():
        yield
    if written:
        raise Differs(Message(_PRINTS))
    if _python_state(network) != before:
        for module, values in kept:
            vars(module).update(values)
        raise Differs(Message(_KEEPS))


_PLAIN_KINDS = (int, float, str, bool, list, dict)


def _python_state(network: nn.Module) -> list[Any]:
    """Return what a network's modules and their file hold beside tensors, and which tensors their buffers are."""
    held: list[Any] = []
    for module in network.modules():
        held += [repr(_plain_values(module)), [id(value) for value in module._buffers.values()]]
        if not type(module).__module__.startswith("torch."):
            names = getattr(type(module).forward, "__globals__", {})
            held.append([(name, repr(value)) for name, value in names.items() if type(value) in _PLAIN_KINDS])
    return held


def _plain_values(module: nn.Module) -> dict[str, Any]:
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return copy.deepcopy({name: value for name, value in values.items() if type(value) in _PLAIN_KINDS})


class _Watched:
    """A stream that passes everything on, and remembers that something was written."""

    def __init__(self, stream: IO[str], written: list[str]) -> None:
        self._stream = stream
        self._written = written

    def write(self, text: str) -> int:
        self._written.append(text)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _output_watched() -> Iterator[list[str]]:
    written: list[str] = []
    with redirect_stdout(_Watched(sys.stdout, written)), redirect_stderr(_Watched(sys.stderr, written)):
        yield written


@contextmanager
def _host_draws_watched() -> Iterator[None]:
    """Raise `Differs` if something is drawn on the CPU inside: a recorded step would draw nothing anew."""
    before = random_state()
    yield
    after = random_state()
    of_torch = torch.equal(after.pop("rng_state"), before.pop("rng_state"))
    if not of_torch or after != before:
        raise Differs(Message(_DRAWS))
