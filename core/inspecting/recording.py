"""The calls of a network's layers in a forward pass, and of functions that it calls itself, as they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from core.networks.parts import is_layer, part_paths


class Call(NamedTuple):
    name: str
    module: nn.Module
    is_function: bool
    given: Tensor | None
    gave: Tensor | None
    given_in: int = 0
    """Address of the memory that the input was in; 0 if it is not known."""
    gave_in: int = 0


def recorded(network: nn.Module, images: Tensor, keep: Keep | None) -> tuple[list[Call], Tensor]:
    """Run a network; return the calls of its layers, and of functions like layers, as they end, and its output.

    Inputs and outputs are copied, or, if `keep` is given, the outputs are what it makes of them.
    """
    paths = {module: path for module, path in part_paths(network).items() if is_layer(module)}
    calls: list[Call] = []
    entered: list[tuple[nn.Module, Tensor | None, int]] = []
    alive: list[Tensor] = []  # for as long as they are, no other tensor has their memory

    def memory_of(value: object) -> int:
        first = _first(value)
        if first is None or keep is not None:
            return 0
        alive.append(first)
        return first.untyped_storage().data_ptr()

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
            entered.append((module, given_of(args), memory_of(args)))

    def leave(module: nn.Module, _args: Any, output: Any) -> None:
        if module not in paths:
            return
        while (begun := entered.pop())[0] is not module:
            pass  # a call within this one raised something that the network caught
        name = paths[module] or type(module).__name__
        calls.append(Call(name, module, False, begun[1], gave_of(output), begun[2], memory_of(output)))

    def call(function: _Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        is_inside = any(module is not network for module, *_given in entered)
        stand_in = None if is_inside else _stand_in(function, args, kwargs)
        given, given_in = (None, 0) if stand_in is None else (given_of(args), memory_of(args))
        output = function(*args, **kwargs)
        if stand_in is not None and (not isinstance(stand_in, nn.Flatten) or _flattens(args, output)):
            name = f"{_name_of(function)}()"
            number = 1 + sum(each.is_function and each.name.startswith(name) for each in calls)
            name = name if number == 1 else f"{name} {number}"
            calls.append(Call(name, stand_in, True, given, gave_of(output), given_in, memory_of(output)))
        return output

    # For every module there is: those compiled by torch.jit take no hooks of their own.
    with register_module_forward_pre_hook(enter), register_module_forward_hook(leave), _Functions(call):
        output = network(images)
    return calls, output


Keep = Callable[[int, Tensor], Tensor | None]
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
