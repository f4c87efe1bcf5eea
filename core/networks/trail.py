"""The layers that a forward pass called before it failed, and what the last one was given."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from core.messages import N_, Problem
from core.networks.describe import BATCH_NORMS
from core.networks.output_size import CONVOLUTIONS
from core.networks.shapes import times

_MOST_STEPS = 6


class _Step(NamedTuple):
    name: str
    module: nn.Module
    given: tuple[int, ...] | None
    """Shape of what the layer was given, without the batch."""
    gave: tuple[int, ...] | None = None
    """Shape of what it gave, without the batch; None for the layer that failed."""


class Trail:
    """A record of the layers that a network calls, for the explanation of an error in its forward pass."""

    def __init__(self) -> None:
        self._done: list[_Step] = []
        self._entered: _Step | None = None
        """Layer that was called last and has not returned."""

    @contextmanager
    def following(self, network: nn.Module) -> Iterator[None]:
        """Record the calls of all layers inside."""
        layers = [(name, module) for name, module in network.named_modules() if not any(module.children())]
        names = {module: name or type(module).__name__ for name, module in layers}

        def enter(module: nn.Module, given: tuple[Any, ...]) -> None:
            if module in names:
                self._entered = _Step(names[module], module, _shape(given))

        def leave(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            self._entered = None  # also where the network caught an error of the layer
            if module in names:
                self._done.append(_Step(names[module], module, _shape(given), _shape((output,))))
            if module is network:  # the forward pass is complete
                self._done.clear()

        # For every module there is: those compiled by torch.jit take no hooks of their own.
        with register_module_forward_pre_hook(enter), register_module_forward_hook(leave):
            yield

    def explained(self, **culprit: str) -> Problem | None:
        """Return a problem that explains why the last layer could not take what it was given; None if it could.

        `culprit` has the `where` and `class_name` of the network.
        """
        if self._entered is None:
            return None
        name, module, given, _gave = self._entered
        if isinstance(module, nn.Linear) and given:
            text = N_("{where}: {class_name} fails: {layer} was given {given} values, and takes {takes}")
            found, takes = given[-1], module.in_features
        elif isinstance(module, (*CONVOLUTIONS, *BATCH_NORMS)) and given:
            text = N_("{where}: {class_name} fails: {layer} was given {given} channels, and takes {takes}")
            found, takes = given[0], module.num_features if isinstance(module, BATCH_NORMS) else module.in_channels
        else:
            return None
        if found == takes:
            return None
        values = {"layer": name, "given": self._as_product(found), "takes": str(takes), **culprit}
        values |= {"type": type(module).__name__, "found": str(found), "layers": self.layers()}
        advice = N_("Write nn.{type}({found}, …). Called before: {layers}.") if self._done else ""
        return Problem(text, advice=advice, **values)

    def layers(self) -> str:
        """Return the layers before the error and the sizes that they gave: `conv1 32×28×28, pool 32×14×14`.

        The text is empty if the forward pass was complete.
        """
        steps = [f"{step.name} {times(step.gave)}" if step.gave else step.name for step in self._done]
        return ", ".join(steps if len(steps) <= _MOST_STEPS else ["…", *steps[-_MOST_STEPS:]])

    def _as_product(self, found: int) -> str:
        """Write a number of values with the sizes that were flattened into it, if there are any: `3136 = 64·7·7`."""
        gave = next((step.gave for step in reversed(self._done) if step.gave and math.prod(step.gave) == found), ())
        return f"{found} = {'·'.join(map(str, gave))}" if len(gave) > 1 else str(found)


def _shape(values: tuple[Any, ...]) -> tuple[int, ...] | None:
    first = next((value for value in values if isinstance(value, torch.Tensor)), None)
    return tuple(first.shape[1:]) if first is not None else None
