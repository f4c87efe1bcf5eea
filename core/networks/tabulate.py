"""The layer table of any network (Annexe 1 of the exam), computed from the network itself."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized
from torch.utils.hooks import RemovableHandle

from core.catalogue import IMAGE_SHAPE
from core.messages import Message
from core.networks.layer_table import Layer, LayerTable
from core.networks.rehearsal import rehearsal

# Images in the batch: few, and a number that is unlikely to be another dimension of a layer's output.
_BATCH_SIZE = 17

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
_ADAPTIVE_AVERAGE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

_KINDS: tuple[tuple[tuple[type[nn.Module], ...], Message], ...] = (
    (_CONVOLUTIONS, Message("convolution")),
    ((nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), Message("transposed convolution")),
    ((nn.Linear,), Message("linear")),
    ((*_POOLS[:3], *_ADAPTIVE_MAX_POOLS), Message("max pooling")),
    ((*_POOLS[3:], *_ADAPTIVE_AVERAGE_POOLS), Message("average pooling")),
    ((nn.Flatten,), Message("flatten")),
    ((nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout), Message("dropout")),
    (_BATCH_NORMS, Message("batch norm")),
    ((nn.LayerNorm,), Message("layer normalisation")),
    ((nn.GroupNorm,), Message("group normalisation")),
    ((nn.MultiheadAttention,), Message("multi-head attention")),
    ((nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell), Message("recurrent layer")),
    ((nn.Embedding,), Message("embedding")),
    ((nn.Identity,), Message("identity")),
)


def layer_table(network: nn.Module, model: str) -> LayerTable:
    """Return the layers that `network` calls for N×1×28×28 images; neither it nor the generator's state changes.

    `model` is the network's name in the table. Lazy layers must have had their first forward pass, as they have after
    `build_network`. Raises whatever the network's forward raises.
    """
    with rehearsal(network) as stand_in, torch.no_grad():
        recorder = _Recorder(stand_in)
        recorder.run()
        parameters = list(stand_in.parameters())
    return LayerTable(
        model=model,
        layers=tuple(recorder.layers),
        total=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    )


class _Recorder:
    """A recorder that runs a network once and notes every layer that it calls."""

    def __init__(self, network: nn.Module) -> None:
        self.layers: list[Layer] = []
        self._network = network
        self._paths = _paths(network)
        self._counted: set[nn.Parameter] = set()
        self._last: tuple[nn.Module, torch.Size | None] | None = None

    def run(self) -> None:
        device = next((parameter.device for parameter in self._network.parameters()), None)
        handles = [self._watch(module) for module in self._paths]
        try:
            self._network(torch.zeros(_BATCH_SIZE, *IMAGE_SHAPE, device=device))
        finally:
            for handle in handles:
                handle.remove()
        for module in self._paths:
            if not _is_layer(module) or isinstance(module, nn.ParameterList | nn.ParameterDict):
                self._add_own_parameters(module)
            elif not self._counted.issuperset(module.parameters()):
                self._add(module, None, None, called=False)

    def _watch(self, module: nn.Module) -> RemovableHandle:
        if _is_layer(module):
            return module.register_forward_hook(self._called, with_kwargs=True)
        return module.register_forward_pre_hook(lambda container, _inputs: self._add_own_parameters(container))

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        inputs, output = _first_tensor([*args, *kwargs.values()]), _first_tensor(output)
        call = (module, None if output is None else output.shape)
        # A cell called in a loop, such as once per row of the image, is one layer to a reader.
        if call != self._last:
            self._add(module, inputs, output, called=True)
        self._last = call

    def _add(
        self, module: nn.Module, inputs: torch.Tensor | None, output: torch.Tensor | None, *, called: bool
    ) -> None:
        parameters = list(module.parameters())
        new = [parameter for parameter in parameters if parameter not in self._counted]
        self._counted.update(new)
        kind = type(module).__name__
        self.layers.append(
            Layer(
                name=self._paths[module] or kind,
                type=kind,
                kind=_kind(module),
                specification=_specification(module),
                output_shape=None if output is None else _without_batch(output),
                parameters=sum(parameter.numel() for parameter in new),
                parameter_sum=_parameter_sum([_factors(module, parameter) for parameter in new]),
                output_derivation="" if inputs is None or output is None else _derivation(module, inputs, output),
                shared=len(new) < len(parameters),
                called=called,
            )
        )

    def _add_own_parameters(self, container: nn.Module) -> None:
        for name, parameter in container.named_parameters(recurse=False):
            if parameter in self._counted:
                continue
            self._counted.add(parameter)
            path = self._paths[container]
            self.layers.append(
                Layer(
                    name=f"{path}.{name}" if path else name,
                    type="Parameter",
                    kind=Message("parameter"),
                    specification=Message("{shape}", {"shape": _times(parameter.shape)}),
                    output_shape=None,
                    parameters=parameter.numel(),
                    parameter_sum=_parameter_sum([tuple(parameter.shape)]),
                    output_derivation="",
                )
            )


def _paths(network: nn.Module) -> dict[nn.Module, str]:
    """Map every layer and container to the first of its attribute paths; modules inside a layer are left out."""
    paths: dict[nn.Module, str] = {}

    def visit(module: nn.Module, path: str) -> None:
        if module in paths:
            return
        paths[module] = path
        if not _is_layer(module):
            for name, child in module.named_children():
                visit(child, f"{path}.{name}" if path else name)

    visit(network, "")
    return paths


def _is_layer(module: nn.Module) -> bool:
    """Return True if a reader sees one layer: a module without submodules, or one that only uses them internally."""
    return isinstance(module, nn.MultiheadAttention) or is_parametrized(module) or not any(module.children())


def _first_tensor(value: object) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return next((found for each in value if (found := _first_tensor(each)) is not None), None)
    return None


def _without_batch(output: torch.Tensor) -> tuple[int, ...]:
    """Return the shape of a layer's output for one image, whichever dimension is the batch."""
    shape = tuple(output.shape)
    if _BATCH_SIZE in shape:
        batch = shape.index(_BATCH_SIZE)
        return shape[:batch] + shape[batch + 1 :]
    if shape and shape[0] % _BATCH_SIZE == 0:  # the rows or patches of all images, one after the other
        return (shape[0] // _BATCH_SIZE, *shape[1:])
    return shape


def _kind(module: nn.Module) -> Message:
    """Return Annexe 1's word for a layer, or the class name if it has none."""
    for classes, kind in _KINDS:
        if isinstance(module, classes):
            return kind
    return Message("{name}", {"name": type(module).__name__})


def _times(factors: tuple[int, ...]) -> str:
    return "×".join(map(str, factors)) or "1"


def _factors(module: nn.Module, parameter: nn.Parameter) -> tuple[int, ...]:
    """Return the shape of a parameter, that of a layer's weight as Annexe 1 writes it: inputs × outputs × kernel."""
    shape = tuple(parameter.shape)
    if isinstance(module, (*_CONVOLUTIONS, nn.Linear)) and module._parameters.get("weight") is parameter:
        outputs, inputs, *kernel = shape
        return (inputs, outputs, *kernel)
    return shape


def _parameter_sum(shapes: list[tuple[int, ...]]) -> str:
    """Return a sum such as `1×32×3×3 + 32`; equal shapes are counted together, as in a batch norm's `2×32`."""
    if not any(math.prod(shape) for shape in shapes):
        return ""
    return " + ".join(_times((count, *shape) if count > 1 else shape) for shape, count in Counter(shapes).items())


class _Window(NamedTuple):
    """The sliding window of a convolution or pooling, per dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    """Padding on both sides together."""
    dilation: tuple[int, ...]
    ceil: bool


def _window(module: nn.Module) -> _Window | None:
    """Return the window of a convolution or pooling, or None for any other layer."""
    if not isinstance(module, (*_CONVOLUTIONS, *_POOLS)):
        return None
    dimensions = next(
        count for count in (1, 2, 3) if isinstance(module, (_CONVOLUTIONS[count - 1], *_POOLS[count - 1 :: 3]))
    )

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * dimensions if isinstance(value, int) else tuple(value)

    # Convolutions have no ceil_mode, and average pooling has no dilation.
    settings = vars(module)
    kernel, dilation = each(settings["kernel_size"]), each(settings.get("dilation", 1))
    if settings["padding"] == "same":
        padding = tuple(step * (size - 1) for size, step in zip(kernel, dilation, strict=True))
    elif settings["padding"] == "valid":
        padding = each(0)
    else:
        padding = tuple(2 * width for width in each(settings["padding"]))
    return _Window(kernel, each(settings["stride"]), padding, dilation, settings.get("ceil_mode", False))


def _specification(module: Any) -> Message:
    """Return a layer's settings, short enough for a table column; empty if none of them matters here."""
    window = _window(module)
    if window is not None:
        return _window_specification(module, window)
    if isinstance(module, nn.Linear):
        return Message("{inputs}→{outputs}", {"inputs": module.in_features, "outputs": module.out_features})
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return Message("{inputs}→{outputs}", {"inputs": module.input_size, "outputs": module.hidden_size})
    if isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d | nn.Dropout3d | nn.AlphaDropout):
        return Message("p = {p}", {"p": module.p})
    if isinstance(module, _BATCH_NORMS):
        return Message("{channels} channels", {"channels": module.num_features})
    return Message("")


def _window_specification(module: Any, window: _Window) -> Message:
    """Return a text such as `1→32, 3×3, p 1` or `2×2, stride 2`.

    s is the stride, p the padding, d the dilation, g the groups.
    """
    kernel, more = _times(window.kernel), []
    is_convolution = isinstance(module, _CONVOLUTIONS)
    if is_convolution and set(window.stride) != {1}:
        more.append(f"s {_uniform(window.stride)}")
    if any(window.padding):
        same = module.padding == "same"
        more.append("p same" if same else f"p {_uniform(tuple(total // 2 for total in window.padding))}")
    if set(window.dilation) != {1}:
        more.append(f"d {_uniform(window.dilation)}")
    if is_convolution:
        if module.groups != 1:
            more.append(f"g {module.groups}")
        window_text = ", ".join([kernel, *more])
        values = {"inputs": module.in_channels, "outputs": module.out_channels, "window": window_text}
        return Message("{inputs}→{outputs}, {window}", values)
    stride = _uniform(window.stride)
    if window.ceil:
        more.append("⌈⌉")
    if more:
        values = {"kernel": kernel, "stride": stride, "more": ", ".join(more)}
        return Message("{kernel}, stride {stride}, {more}", values)
    return Message("{kernel}, stride {stride}", {"kernel": kernel, "stride": stride})


def _uniform(values: tuple[int, ...]) -> str:
    """Return a text such as `2` for the same in every dimension, otherwise such as `2×1`."""
    return str(values[0]) if len(set(values)) == 1 else _times(values)


def _derivation(module: nn.Module, inputs: torch.Tensor, output: torch.Tensor) -> str:
    """Return the formula that gives the output's size from the input's, one for each dimension if they differ."""
    if isinstance(module, nn.Flatten):
        return _flatten_derivation(module, inputs, output)
    window = _window(module)
    if window is None:
        return ""
    dimensions = len(window.kernel)
    sizes = zip(inputs.shape[-dimensions:], output.shape[-dimensions:], strict=True)
    sums = [_window_sum(window, dimension, before, after) for dimension, (before, after) in enumerate(sizes)]
    return "; ".join(dict.fromkeys(sums)) if all(sums) else ""


def _flatten_derivation(module: nn.Flatten, inputs: torch.Tensor, output: torch.Tensor) -> str:
    first, last = module.start_dim % inputs.dim(), module.end_dim % inputs.dim()
    flattened = inputs.shape[first : last + 1]
    if first == 0 or len(flattened) < 2 or output.shape[first] != math.prod(flattened):
        return ""
    return f"{'·'.join(map(str, flattened))} = {output.shape[first]}"


def _window_sum(window: _Window, dimension: int, before: int, after: int) -> str:
    """Return the formula of torch's Conv2d and MaxPool2d for one dimension; empty if it does not give `after`."""
    kernel, stride, padding, dilation = (values[dimension] for values in window[:4])
    text = str(before)
    if padding:
        text += f" + 2·{padding // 2}" if padding % 2 == 0 else f" + {padding}"
    text += f" − {kernel}" if dilation == 1 else f" − {dilation}·({kernel} − 1) − 1"
    room = before + padding - dilation * (kernel - 1) - 1
    if room % stride == 0:
        quotient, text = room // stride, f"({text})/{stride} + 1"
    elif window.ceil:
        quotient, text = -(-room // stride), f"⌈({text})/{stride}⌉ + 1"
        if after == quotient:  # torch drops a last window that would start in the padding
            quotient, text = quotient - 1, f"{text} − 1"
    else:
        quotient, text = room // stride, f"⌊({text})/{stride}⌋ + 1"
    return f"{text} = {after}" if quotient + 1 == after else ""
