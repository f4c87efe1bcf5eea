"""The health of a network's layers: their gradients, dead units, and the spread of their weights and activations.

It is measured after an epoch, on one fixed batch of training images, with a copy of the network in eval mode: the
training goes on as if it had not been. Functional calls, such as `functional.relu`, are not seen.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from core.config import RunConfig
from core.data.datasets import Dataset
from core.messages import N_, Message, reason
from core.networks.output_size import CONVOLUTIONS
from core.networks.parts import is_layer, own_parameters, part_paths
from core.networks.rehearsal import rehearsal
from core.runs.events import LayersMeasured, Notice, finite
from core.runs.layer_health import MAX_LAYERS, NUM_BINS, Histogram, LayerHealth
from core.training.batches import normalise

MAX_SHARE = 0.01
"""Most of a training's time that the measurements take, once they have taken `FREE_S`."""
FREE_S = 0.2
_BATCH_SIZE = 128
_NUM_SAMPLED = 4096
"""Number of values of a tensor that its histogram counts; all of them would take RN_2 longer than a step."""
_MOST_CALLS = 8
"""Calls of one layer whose activations are sampled."""
_GOLDEN_RATIO = 0.6180339887
_BY_CHANNELS = (*CONVOLUTIONS, nn.modules.batchnorm._BatchNorm)


class HealthMeter:
    """Measures the layers of a network while it is trained, unless that takes too much of the time."""

    def __init__(
        self,
        network: nn.Module,
        dataset: Dataset,
        config: RunConfig,
        device: torch.device,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        # A custom network may not take a larger batch than it had.
        size = _BATCH_SIZE if config.architecture.is_built_in else min(_BATCH_SIZE, config.batch_size)
        self._images = normalise(dataset.train_images[:size].to(device), dataset)
        self._labels = dataset.train_labels[:size].to(device)
        self._network = network
        self._clock = clock
        self._began = clock()
        self._spent_s = self._last_s = 0.0
        self._has_failed = False

    def measure(self, epoch: int) -> LayersMeasured | Notice | None:
        """Measure the layers after an epoch. Return why that cannot be done, once; None if it is not done."""
        began = self._clock()
        is_due = self._spent_s + self._last_s <= FREE_S + MAX_SHARE * (began - self._began)
        if self._has_failed or not is_due:
            return None
        try:
            return LayersMeasured(epoch=epoch, layers=measure_layers(self._network, self._images, self._labels))
        except (Exception, SystemExit) as error:  # a custom network may raise anything
            self._has_failed = True
            text = N_("the layers cannot be measured ({reason}): training continues without it")
            return Notice(message=Message(text, {"reason": reason(error)}))
        finally:
            self._last_s = self._clock() - began
            self._spent_s += self._last_s


def measure_layers(network: nn.Module, images: Tensor, labels: Tensor) -> tuple[LayerHealth, ...]:
    """Measure every layer on images, float, N×1×28×28, with their labels, int64, N, all on the network's device.

    Neither the network nor a random generator changes. Raises whatever the network's forward raises.
    """
    with rehearsal(network, images.device) as stand_in, torch.enable_grad():
        parts = {module: path or type(module).__name__ for module, path in part_paths(stand_in).items()}
        calls = _Calls({module for module in parts if is_layer(module)})
        with register_module_forward_hook(calls.add):
            loss = nn.functional.cross_entropy(stand_in(images).float(), labels)
        norms = _gradient_norms(loss, [parameter for parameter in stand_in.parameters() if parameter.requires_grad])
        found = []
        for module, name in parts.items():
            own = own_parameters(module)
            if is_layer(module):
                found.append(_layer(name, list(own.values()), norms, calls.of.get(module, _Outputs())))
            else:  # parameters that belong to no layer
                prefix = "" if module is stand_in else f"{name}."
                found += [_layer(prefix + key, [parameter], norms, _Outputs()) for key, parameter in own.items()]
    return tuple(found[:MAX_LAYERS])


@dataclass
class _Outputs:
    """What a layer has put out: some of the values, and the number of a ReLU's units and of those that are dead."""

    sampled: list[Tensor] = field(default_factory=list)
    num_units: int = 0
    num_dead: int = 0


class _Calls:
    """The calls of layers, as a hook sees them: at once, since the next layer may overwrite what one has put out."""

    def __init__(self, layers: set[nn.Module]) -> None:
        self.of: dict[nn.Module, _Outputs] = {}
        self._layers = layers
        self._unit_axis: int | None = None
        """Axis of the units in what the last layer with parameters has put out; None if every place is one."""

    def add(self, module: nn.Module, _args: Any, output: Any) -> None:
        values = _first_tensor(output)
        if module not in self._layers or values is None or values.ndim < 2 or not values.is_floating_point():
            return
        outputs = self.of.setdefault(module, _Outputs())
        if len(outputs.sampled) < _MOST_CALLS:
            outputs.sampled.append(_sample(values))
        if isinstance(module, nn.ReLU | nn.ReLU6):
            units = self._unit_axis
            others = [0] if units is None else [axis for axis in range(values.ndim) if axis != units % values.ndim]
            greatest = values.detach().amax(others)
            if greatest.isfinite().all():
                outputs.num_units += greatest.numel()
                outputs.num_dead += int((greatest <= 0).sum())
        elif isinstance(module, _BY_CHANNELS):
            self._unit_axis = 1
        elif next(module.parameters(), None) is not None:
            self._unit_axis = -1 if isinstance(module, nn.Linear) else None


def _layer(name: str, own: list[nn.Parameter], norms: Mapping[Tensor, float], outputs: _Outputs) -> LayerHealth:
    with_gradient = [norms[parameter] for parameter in own if parameter in norms]
    weights = [parameter for parameter in own if parameter.ndim > 1] or own
    return LayerHealth(
        name=name,
        gradient_norm=_rounded(math.hypot(*with_gradient)) if with_gradient else None,
        dead=outputs.num_dead / outputs.num_units if outputs.num_units else None,
        weights=_histogram(_sample(each) for each in weights if each.is_floating_point()),
        activations=_histogram(outputs.sampled),
    )


def _gradient_norms(loss: Tensor, parameters: list[nn.Parameter]) -> dict[Tensor, float]:
    """Return the norm of the loss's gradient with respect to each parameter that it depends on."""
    if not parameters:
        return {}
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    used = {parameter: each for parameter, each in zip(parameters, gradients, strict=True) if each is not None}
    norms = [torch.linalg.vector_norm(each.to_dense()) for each in used.values()]
    return dict(zip(used, torch.stack(norms).tolist() if norms else (), strict=True))


def _first_tensor(value: object) -> Tensor | None:
    """Return the first tensor in what a layer has put out; None if there is none that can be indexed."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, list | tuple):
        return next(filter(None.__ne__, map(_first_tensor, value)), None)
    is_plain = isinstance(value, Tensor) and not value.is_nested and value.layout is torch.strided
    return value if isinstance(value, Tensor) and is_plain else None


def _sample(values: Tensor) -> Tensor:
    """Return some of a tensor's values, spread evenly, as float64 on the CPU."""
    number = values.numel()
    values = values.detach()
    if number > _NUM_SAMPLED:
        # A step that is a divisor of a row's length, or near one, would always meet the same columns.
        step = int(number * _GOLDEN_RATIO)
        while math.gcd(step, number) > 1:
            step += 1
        places = torch.arange(_NUM_SAMPLED, device=values.device) * step % number
        indices: list[Tensor] = []
        for size in reversed(values.shape):  # `torch.unravel_index` would import sympy, for half a second
            indices.insert(0, places % size)
            places = places // size
        values = values[tuple(indices)]
    return values.reshape(-1).cpu().to(torch.float64, copy=True)


def _histogram(sampled: Iterable[Tensor]) -> Histogram | None:
    """Return the histogram of values; None if there are none, or one is not finite."""
    found = list(sampled)
    values = torch.cat(found) if found else torch.zeros(0)
    if not len(values) or not values.isfinite().all():
        return None
    low, high = values.min().item(), values.max().item()
    if not max(-low, high, high - low) < 1e300:
        return None
    counts = torch.histc(values, NUM_BINS, low, high)
    return Histogram(low=_round(low), high=_round(high), counts=tuple(map(int, counts.tolist())))


def _rounded(value: float) -> float | None:
    return None if finite(value) is None else _round(value)


def _round(value: float) -> float:
    """Return a number to six digits: nobody reads more, and they fill the run's events."""
    return float(f"{value:.6g}")
