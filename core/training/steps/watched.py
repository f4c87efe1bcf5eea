"""What a custom network does in a step beside arithmetic: a recorded step would not do it again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from core.messages import N_, Problem
from core.randomness import random_state
from core.training.steps.straight import MODULE_S_OWN

_PRINTS = N_("the network prints something in each batch: its steps are not recorded, but taken one by one")
_KEEPS = N_(
    "the network keeps values of its own between batches, or may: its steps are not recorded, but taken one by one"
)
_DRAWS = N_("the network draws random numbers on the CPU: its steps are not recorded, but taken one by one")

_ATOMS = (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_COLLECTIONS = (list, tuple, set, frozenset, dict)


class DoesMore(Problem):
    """A network does more in a step than a recording would do again."""


@contextmanager
def nothing_else_done(network: nn.Module | None) -> Iterator[None]:
    """Watch a custom network during a step. Raises `DoesMore`.

    The step is one more than the network is to take: what it prints is not shown, and what it keeps is put back.
    Without a network nothing is watched.
    """
    if network is None:
        yield
        return
    kept, before = [_CopiedData(names) for names, _must_be_known in _namespaces(network)], _state(network)
    printed = io.StringIO()
    is_same = False
    try:
        with redirect_stdout(printed), redirect_stderr(printed), _host_draws_watched():
            yield
        is_same = before is not None and _state(network) == before
    finally:
        if not is_same:  # else a recorded step may read these very tensors
            for each in kept:
                each.put_back()
    if printed.getvalue():
        raise DoesMore(_PRINTS)
    if not is_same:
        raise DoesMore(_KEEPS)


@contextmanager
def _host_draws_watched() -> Iterator[None]:
    before = random_state()
    yield
    after = random_state()
    of_torch = torch.equal(after.pop("rng_state"), before.pop("rng_state"))
    if not of_torch or after != before:
        raise DoesMore(_DRAWS)


def _namespaces(network: nn.Module) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield what each module of a network keeps by name, and the file of its class; and if all of it has to be known.

    A module of torch's, and a file with its functions and classes, hold much that no step changes.
    """
    files: dict[int, dict[str, Any]] = {}
    for module in network.modules():
        is_of_torch = type(module).__module__.startswith("torch.")
        yield vars(module), not is_of_torch
        if not is_of_torch:
            names = getattr(type(module).forward, "__globals__", {})
            files[id(names)] = names
    for names in files.values():
        yield names, False


class _CopiedData:
    """A copy of the data in a namespace."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names
        self._before = set(names)
        self._copies = {name: _copied(value) for name, value in _data(names)}

    def put_back(self) -> None:
        for name in [name for name, _value in _data(self._names) if name not in self._before]:
            del self._names[name]
        self._names.update(self._copies)


def _state(network: nn.Module) -> list[Any] | None:
    """Return what tells one state of a network's namespaces from another; None if that cannot be told."""
    try:
        return [
            [id(value) for module in network.modules() for value in module._buffers.values()],
            *(
                [(name, _told(value)) for name, value in names.items() if name not in MODULE_S_OWN]
                if must_be_known
                else [(name, _told(value, or_not=True)) for name, value in _data(names)]
                for names, must_be_known in _namespaces(network)
            ),
        ]
    except _Unknown:
        return None


class _Unknown(Exception):
    """Raised for a value whose state cannot be told."""


def _data(names: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, value)
        for name, value in names.items()
        if name not in MODULE_S_OWN and (isinstance(value, Tensor) or type(value) in _ATOMS + _COLLECTIONS)
    ]


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value if isinstance(value, nn.Parameter) else value.detach().clone()
    if type(value) is dict:
        return {key: _copied(each) for key, each in value.items()}
    if type(value) in _COLLECTIONS:
        return type(value)(map(_copied, value))
    return value


def _told(value: Any, *, or_not: bool = False) -> Any:
    """Return what tells a value from another, without copying tensors.

    Raises `_Unknown` for an object whose state cannot be told, unless that does not matter.
    """
    if isinstance(value, nn.Parameter):  # a step may change it
        return id(value)
    if isinstance(value, Tensor):
        return id(value), value._version
    if type(value) is dict:
        return [(repr(key), _told(each, or_not=or_not)) for key, each in value.items()]
    if type(value) in (list, tuple):
        return [_told(each, or_not=or_not) for each in value]
    if type(value) in (set, frozenset):
        return sorted(map(repr, value))
    if type(value) in _ATOMS:
        return type(value), repr(value)
    if or_not or callable(value) or isinstance(value, ModuleType):  # layers are looked at by themselves
        return id(value)
    raise _Unknown
