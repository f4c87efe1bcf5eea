"""The layer table of any network (Annexe 1 of the exam), computed from the network itself."""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from core.messages import Message
from core.networks.describe import kind, settings, specification
from core.networks.layer_table import Layer, LayerTable
from core.networks.output_size import CONVOLUTIONS, derivation
from core.networks.parts import is_layer, own_parameters, part_paths
from core.networks.shapes import times
from core.networks.two_batches import LARGE, SMALL, on_two_batches


def layer_table(network: nn.Module, model: str) -> LayerTable:
    """Return the layers that `network` calls for N×1×28×28 images; neither it nor the generator's state changes.

    A row is a layer and a size of its output, at the place of its first call. `model` is the network's name in the
    table. Lazy layers must have had their first forward pass, as they have after `build_network`. Raises whatever the
    network's forward raises.
    """
    with on_two_batches(network) as (stand_in, small, large):
        paths = part_paths(stand_in)
        calls, doubled = (_calls(stand_in, paths, images) for images in (small, large))
        parameters = list(stand_in.parameters())
        rows = _Rows(paths)
        for call, twin in _paired(calls, doubled):
            rows.add_call(call, twin)
        rows.add_the_uncalled()
    return LayerTable(
        model=model,
        layers=tuple(rows.found.values()),
        total=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )


@dataclass
class _Call:
    """A call of a layer or container, with the shapes of its first input and first output (None if there is none)."""

    module: nn.Module
    given: torch.Size | None = None
    gave: torch.Size | None = None


def _calls(network: nn.Module, modules: Container[nn.Module], images: torch.Tensor) -> list[_Call]:
    """Run a network and return the calls of some of its modules, in the order in which they begin."""
    calls: list[_Call] = []
    unfinished: list[_Call] = []

    def begin(module: nn.Module, _args: Any) -> None:
        calls.append(_Call(module))
        unfinished.append(calls[-1])

    def end(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        while (call := unfinished.pop()).module is not module:
            pass  # a call within this one raised something that the network caught
        call.given, call.gave = _first_shape([*args, *kwargs.values()]), _first_shape(output)

    # For every module there is: those compiled by torch.jit take no hooks of their own.
    with register_module_forward_pre_hook(begin), register_module_forward_hook(end, with_kwargs=True):
        network(images)
    return [call for call in calls if call.module in modules]


def _paired(calls: list[_Call], doubled: list[_Call]) -> Iterator[tuple[_Call, _Call | None]]:
    """Pair each call with the same call of the same module for twice as many images.

    A module called image by image is called twice as often then: its calls for one image stand for the others. Where
    the network decides anew how often, its last call stands for those that are missing.
    """
    twins: defaultdict[nn.Module, deque[_Call]] = defaultdict(deque)
    for call in doubled:
        twins[call.module].append(call)
    often = Counter(call.module for call in calls)
    left = {
        module: count // SMALL if len(twins[module]) == 2 * count and count % SMALL == 0 else count
        for module, count in often.items()
    }
    for call in calls:
        if left[call.module]:
            left[call.module] -= 1
            candidates = twins[call.module]
            yield call, (candidates.popleft() if len(candidates) > 1 else candidates[0] if candidates else None)


class _Rows:
    """The rows of a network's table, in the order in which they are found."""

    def __init__(self, paths: Mapping[nn.Module, str]) -> None:
        self.found: dict[object, Layer] = {}
        """Rows by parameter, or by layer and size of its output."""
        self._paths = paths
        self._counted: set[nn.Parameter] = set()

    def add_call(self, call: _Call, twin: _Call | None) -> None:
        """Add what a call shows for the first time; `twin` is the same call for twice as many images."""
        module = call.module
        if not is_layer(module):
            self._add_parameters(module)
            return
        size = None if twin is None else _size_for_one_image(call.gave, twin.gave)
        known = self.found.get((module, size))
        if known is None:
            row = self._layer(module, size, _derivation_for_one_image(call, twin))
            given = None if twin is None else _size_for_one_image(call.given, twin.given)
            self.found[module, size] = msgspec.structs.replace(row, input_shape=given)
        else:
            self.found[module, size] = msgspec.structs.replace(known, calls=known.calls + 1)

    def add_the_uncalled(self) -> None:
        """Add the parameters, and the layers with parameters, that no call has shown."""
        for module in self._paths:
            if not is_layer(module):
                self._add_parameters(module)
            elif not self._counted.issuperset(own_parameters(module).values()):
                self.found[module] = self._layer(module, None, "", called=False)

    def _layer(self, module: nn.Module, size: tuple[int, ...] | None, derived: str, *, called: bool = True) -> Layer:
        parameters = list(own_parameters(module).values())
        new = [parameter for parameter in parameters if parameter not in self._counted]
        self._counted.update(new)
        name = type(module).__name__
        return Layer(
            name=self._paths[module] or name,
            type=name,
            kind=kind(module),
            specification=specification(module),
            output_shape=size,
            parameters=sum(parameter.numel() for parameter in new),
            parameter_sum=_parameter_sum([_factors(module, parameter) for parameter in new]),
            output_derivation=derived,
            shared=len(new) < len(parameters),
            called=called,
            calls=int(called),
            settings=settings(module),
        )

    def _add_parameters(self, container: nn.Module) -> None:
        for name, parameter in own_parameters(container).items():
            if parameter in self._counted:
                continue
            self._counted.add(parameter)
            path = self._paths[container]
            self.found[parameter] = Layer(
                name=f"{path}.{name}" if path else name,
                type="Parameter",
                kind=Message("parameter"),
                specification=Message("{shape}", {"shape": times(parameter.shape)}),
                output_shape=None,
                parameters=parameter.numel(),
                parameter_sum=_parameter_sum([tuple(parameter.shape)]),
                output_derivation="",
            )


def _first_shape(value: object) -> torch.Size | None:
    if isinstance(value, torch.Tensor):
        return None if value.is_nested else value.shape
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := _first_shape(each)) is not None), None)
    return None


def _size_for_one_image(small: torch.Size | None, large: torch.Size | None) -> tuple[int, ...] | None:
    """Return the shape of an output for one image, given those for both batches; None if it cannot be told.

    What doubles is the batch, wherever it is. If it holds several for each image, such as the patches of all images one
    after the other, their number stays.
    """
    if small is None or large is None or len(small) != len(large):
        return None
    doubled = [place for place, (one, other) in enumerate(zip(small, large, strict=True)) if one != other]
    if not doubled:
        return tuple(small)
    place = doubled[0]
    each, rest = divmod(small[place], SMALL)
    if len(doubled) > 1 or rest or large[place] != each * LARGE:
        return None
    return (*small[:place], *((each,) if each > 1 else ()), *small[place + 1 :])


def _derivation_for_one_image(call: _Call, twin: _Call | None) -> str:
    """Return the derivation of an output's size; empty if it depends on the number of images."""
    texts = {
        derivation(each.module, each.given, each.gave)
        for each in (call, twin)
        if each is not None and each.given is not None and each.gave is not None
    }
    return texts.pop() if len(texts) == 1 else ""


def _factors(module: nn.Module, parameter: nn.Parameter) -> tuple[int, ...]:
    """Return the shape of a parameter, that of a layer's weight as Annexe 1 writes it: inputs × outputs × kernel."""
    shape = tuple(parameter.shape)
    if isinstance(module, (*CONVOLUTIONS, nn.Linear)) and module._parameters.get("weight") is parameter:
        outputs, inputs, *kernel = shape
        return (inputs, outputs, *kernel)
    return shape


def _parameter_sum(shapes: list[tuple[int, ...]]) -> str:
    """Return a sum such as `1×32×3×3 + 32`; equal shapes are counted together, as in a batch norm's `2×32`."""
    if not any(math.prod(shape) for shape in shapes):
        return ""
    return " + ".join(times((count, *shape) if count > 1 else shape) for shape, count in Counter(shapes).items())
