"""A forward pass of one image through a network, with what each layer was given and gave, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from core.messages import N_, Problem, reason
from core.networks import tabulate
from core.randomness import random_state_kept, seed_all

_MOST_STEPS = 300
BATCH = 64
"""Images in a batch where the network takes any number: larger ones leave the processor's cache."""


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, or a function that the network calls itself, on one image."""

    name: str
    module: nn.Module
    """Layer, or one that does the same as the function."""
    given: Tensor | None
    """First input for the image, without the batch; None if there is none or the image's part cannot be told."""
    gave: Tensor | None
    is_function: bool
    calls: int = 1
    source: str | None = None
    """Name of the step whose output is the input, value for value; empty for the image, None for neither."""


class _Call(NamedTuple):
    name: str
    module: nn.Module
    is_function: bool
    given: Tensor | None
    gave: Tensor | None


class Passes:
    """A network, in double precision if it can be, that is given one image at a time.

    In single precision torch's results differ from themselves by 3e-3 between layouts and sizes of batch.
    """

    def __init__(self, network: nn.Module, batch_size: int) -> None:
        """Take over a network in eval mode. `batch_size` is tried if it takes no batch of one."""
        self.network = network.double().requires_grad_(False)
        self.is_double = True
        self.batch_size = 1
        self._sizes = (1, batch_size)
        self._places: list[tuple[_Place, _Place]] | None = None

    def run(self, image: Tensor) -> list[Step]:
        """Return the layers' values for an image, 1×28×28, normalised. Raises `Problem` if the network fails."""
        if self._places is None:
            self._settle(image)
        calls = self._calls(image.expand(self.batch_size, *image.shape))
        if len(calls) != len(self._places or ()):  # the network decides anew in each call what it calls
            self._places = self._places_of(image)
        steps = [
            Step(name, module, given_at.first(given), gave_at.first(gave), is_function)
            for (name, module, is_function, given, gave), (given_at, gave_at) in zip(
                calls, self._places or (), strict=False
            )
        ]
        return _linked(_merged(steps)[:_MOST_STEPS], image.to(self.dtype))

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.is_double else torch.float32

    def by_image(self, images: Tensor, reduce: Callable[[Tensor], Tensor]) -> dict[tuple[str, torch.Size], Tensor]:
        """Return what `reduce` makes of each step's output, N×…, for N images, a multiple of `batch_size`.

        Steps are found by their name and the shape of their output for one image.
        """
        found: dict[tuple[str, torch.Size], Tensor] = {}
        places = self._places or []

        def keep(number: int, output: Tensor) -> Tensor | None:
            parts = places[number][1].apart(output, len(images)) if number < len(places) else None
            if parts is None:
                return None
            shapes[number] = parts.shape[1:]
            return reduce(parts)

        shapes: dict[int, torch.Size] = {}
        for number, call in enumerate(self._calls(images, keep)):
            if call.gave is not None:
                found[call.name, shapes[number]] = call.gave
        return found

    @torch.no_grad()
    def _calls(self, images: Tensor, keep: _Keep | None = None) -> list[_Call]:
        """Run the network on N×1×28×28 images and return all calls; `keep` replaces the copies of the outputs."""
        with _as_default(self.dtype), random_state_kept(), _slow_attention():
            seed_all(0)
            return _recorded(self.network, images.to(self.dtype), keep)

    @torch.no_grad()
    def outputs(self, images: Tensor, layer: nn.Module | None = None) -> Tensor:
        """Return the network's outputs for N×1×28×28 images, N×…, or what it gives to one of its layers."""
        size = max(BATCH, self.batch_size) if self.batch_size == 1 else self.batch_size
        found: list[Tensor] = []
        with _as_default(self.dtype), random_state_kept(), _slow_attention():
            for part in images.to(self.dtype).split(size):
                seed_all(0)
                missing = 0 if self.batch_size == 1 else size - len(part)
                whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])
                given: list[Tensor] = []
                with (
                    nullcontext()
                    if layer is None
                    else layer.register_forward_pre_hook(
                        lambda _module, args, given=given: given.append(args[0].detach().clone())
                    )
                ):
                    outputs = self.network(whole)
                found.append((outputs if layer is None else given[-1])[: len(part)])
        return torch.cat(found)

    @contextmanager
    def in_single_precision(self) -> Iterator[None]:
        """Compute as the training did, in a fifth of the time; no parameter changes."""
        was_double = self.is_double
        self._set_precision(False)
        try:
            yield
        finally:
            self._set_precision(was_double)

    def _set_precision(self, is_double: bool) -> None:
        self.is_double = is_double
        self.network.double() if is_double else self.network.float()  # complex parameters stay what they are

    def _settle(self, image: Tensor) -> None:
        """Find the precision and the size of batch that the network takes."""
        failure: Exception | None = None
        for is_double in (True, False):
            self._set_precision(is_double)
            for size in self._sizes:
                self.batch_size = size
                try:
                    self._places = self._places_of(image)
                except Exception as error:  # a custom network may raise anything
                    failure = failure or error
                else:
                    return
        assert failure is not None
        text = N_("the network fails on this image: {kind}: {reason}")
        raise Problem(text, kind=type(failure).__name__, reason=reason(failure)) from failure

    def _places_of(self, image: Tensor) -> list[tuple[_Place, _Place]]:
        """Find where the images are in each call's tensors: what doubles with them."""
        once = self._calls(image.expand(self.batch_size, *image.shape))
        try:
            twice = self._calls(image.expand(2 * self.batch_size, *image.shape))
        except Exception:  # it takes only batches of its own size
            twice = []
        if [call.name for call in once] != [call.name for call in twice]:
            twice = []
        size = self.batch_size
        if not twice:
            return [(_Place.between(one.given, None, size), _Place.between(one.gave, None, size)) for one in once]
        return [
            (_Place.between(one.given, two.given, size), _Place.between(one.gave, two.gave, size))
            for one, two in zip(once, twice, strict=True)
        ]


class _Place(NamedTuple):
    """Where the first image is in a tensor of a batch; `dimension` is None if that cannot be told."""

    dimension: int | None
    each: int = 1
    """Number of rows that belong to an image."""

    @classmethod
    def between(cls, once: Tensor | None, twice: Tensor | None, batch_size: int) -> _Place:
        """Find the dimension that doubles with the batch; it is taken to be the first if there is nothing to compare."""
        if once is None:
            return cls(None)
        if twice is None or once.dim() != twice.dim():
            return cls(0 if once.dim() and len(once) == batch_size else None)
        doubled = [at for at, (one, other) in enumerate(zip(once.shape, twice.shape, strict=True)) if one != other]
        if len(doubled) != 1:
            return cls(None)
        size = once.shape[doubled[0]]
        is_whole = size % batch_size == 0 and twice.shape[doubled[0]] == 2 * size
        return cls(doubled[0], size // batch_size) if is_whole else cls(None)

    def first(self, tensor: Tensor | None) -> Tensor | None:
        """Return the first image's part."""
        if tensor is None or self.dimension is None or self.dimension >= tensor.dim():
            return None
        part = tensor.narrow(self.dimension, 0, self.each)
        return part.squeeze(self.dimension) if self.each == 1 else part

    def apart(self, tensor: Tensor | None, num_images: int) -> Tensor | None:
        """Return the parts of all images, with the image as the first dimension."""
        if tensor is None or self.dimension is None or tensor.shape[self.dimension] != self.each * num_images:
            return None
        parts = tensor.movedim(self.dimension, 0)
        return parts if self.each == 1 else parts.reshape(num_images, self.each, *parts.shape[1:])


def _merged(steps: list[Step]) -> list[Step]:
    """Return one step for each layer and size of its output, at the place of its first call: its last call."""
    found: dict[tuple[object, object], Step] = {}
    for step in steps:
        key = step.name if step.is_function else step.module, None if step.gave is None else step.gave.shape
        known = found.get(key)
        calls = 1 if known is None else known.calls + 1
        found[key] = Step(step.name, step.module, step.given, step.gave, step.is_function, calls)
    return list(found.values())


def _linked(steps: list[Step], image: Tensor) -> list[Step]:
    """Name for each step the one whose output it was given, found by the values themselves."""
    linked: list[Step] = []
    for step in steps:
        source = None
        if step.given is not None:
            given = step.given.flatten()
            for name, before in [*((one.name, one.gave) for one in reversed(linked)), ("", image)]:
                if before is not None and before.numel() == given.numel() and torch.equal(before.flatten(), given):
                    source = name
                    break
        linked.append(Step(step.name, step.module, step.given, step.gave, step.is_function, step.calls, source))
    return linked


# Recording


def _recorded(network: nn.Module, images: Tensor, keep: _Keep | None) -> list[_Call]:
    """Run a network and return the calls of its layers, and of functions that stand for layers, as they end.

    Inputs and outputs are copied, or, if `keep` is given, the outputs are what it makes of them.
    """
    paths = {module: path for module, path in tabulate.module_paths(network).items() if tabulate.is_layer(module)}
    calls: list[_Call] = []
    entered: list[tuple[nn.Module, Tensor | None]] = []

    def is_inside() -> bool:
        return any(module is not network for module, _given in entered)

    def given_of(args: object) -> Tensor | None:
        return _kept(args) if keep is None else None

    def gave_of(output: object) -> Tensor | None:
        if keep is None:
            return _kept(output)
        first = _first(output)
        with torch._C.DisableTorchFunction():  # what `keep` calls is not the network's
            return None if first is None else keep(len(calls), first)

    def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
        if module in paths:
            entered.append((module, given_of(args)))

    def leave(module: nn.Module, _args: Any, output: Any) -> None:
        if module not in paths:
            return
        while (begun := entered.pop())[0] is not module:
            pass  # a call within this one raised something that the network caught
        calls.append(_Call(paths[module] or type(module).__name__, module, False, begun[1], gave_of(output)))

    def call(function: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stand_in = None if is_inside() else _stand_in(function, args, kwargs)
        given = None if stand_in is None else given_of(args)
        output = function(*args, **kwargs)
        if stand_in is not None and (not isinstance(stand_in, nn.Flatten) or _flattens(args, output)):
            name = f"{_name_of(function)}()"
            number = 1 + sum(each.is_function and each.name.startswith(name) for each in calls)
            calls.append(_Call(name if number == 1 else f"{name} {number}", stand_in, True, given, gave_of(output)))
        return output

    # For every module there is: those compiled by torch.jit take no hooks of their own.
    with register_module_forward_pre_hook(enter), register_module_forward_hook(leave), _Functions(call):
        network(images)
    return calls


_Keep = Callable[[int, Tensor], Tensor | None]
"""Makes what is kept of an output, given the number of its call."""


def _kept(value: object) -> Tensor | None:
    """Return a copy of the first tensor in a value: what follows may write into it."""
    first = _first(value)
    if first is None:
        return None
    return first.detach().to(torch.float32 if first.dtype == torch.float32 else torch.float64, copy=True)


def _first(value: object) -> Tensor | None:
    """Return the first tensor of real numbers in a value."""
    if isinstance(value, Tensor):
        return None if value.is_nested or value.layout is not torch.strided or value.is_complex() else value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := _first(each)) is not None), None)
    return None


# Functions that the network calls itself

_Function = Callable[..., Any]


class _Functions(TorchFunctionMode):
    """A record of the functions of torch that are called."""

    def __init__(self, call: Callable[[_Function, tuple[Any, ...], dict[str, Any]], Any]) -> None:
        super().__init__()
        self._call = call

    def __torch_function__(
        self, func: _Function, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return self._call(func, args, kwargs or {})


_POOLS: Mapping[str, type[nn.Module]] = {
    **{f"max_pool{number}d": getattr(nn, f"MaxPool{number}d") for number in (1, 2, 3)},
    **{f"avg_pool{number}d": getattr(nn, f"AvgPool{number}d") for number in (1, 2, 3)},
    **{f"adaptive_avg_pool{number}d": getattr(nn, f"AdaptiveAvgPool{number}d") for number in (1, 2, 3)},
}
_POOL_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "max": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "avg": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "ada": ("output_size",),
}
_RESHAPING = ("flatten", "view", "reshape")


def _name_of(function: _Function) -> str:
    return str(getattr(function, "__name__", "")).strip("_")


def _stand_in(function: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> nn.Module | None:
    """Return a layer that does the same as a function; None for a function that is not shown."""
    name = _name_of(function)
    try:
        if name == "relu":
            return nn.ReLU()
        if name in _RESHAPING:
            return nn.Flatten()
        if name in ("softmax", "log_softmax"):
            dimension = kwargs.get("dim", args[1] if len(args) > 1 else None)
            return nn.Softmax(dimension) if name == "softmax" else nn.LogSoftmax(dimension)
        if name in _POOLS:
            known = dict(zip(_POOL_ARGUMENTS[name[:3]], args[1:], strict=False))
            known |= {key: value for key, value in kwargs.items() if key in _POOL_ARGUMENTS[name[:3]]}
            if "stride" in known and not known["stride"]:
                del known["stride"]
            return None if known.pop("return_indices", False) else _POOLS[name](**known)
    except (TypeError, ValueError, IndexError):
        pass
    return None


def _flattens(args: tuple[Any, ...], output: Any) -> bool:
    given = _first(args)
    return isinstance(output, Tensor) and given is not None and output.dim() < given.dim()


@contextmanager
def _as_default(dtype: torch.dtype) -> Iterator[None]:
    """Let tensors that a network makes itself have the precision of the others."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Let attention be carried out module by module, so that its layers are seen."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
