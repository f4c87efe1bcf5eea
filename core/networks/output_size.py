"""How the size of a layer's output follows from its settings and the size of its input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
LP_POOLS = (nn.LPPool1d, nn.LPPool2d, nn.LPPool3d)
UNPOOLS = (nn.MaxUnpool1d, nn.MaxUnpool2d, nn.MaxUnpool3d)
ADAPTIVE_MAX_POOLS = (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d)
ADAPTIVE_AVERAGE_POOLS = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)
FRACTIONAL_POOLS = (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d)
PADS = (
    *(nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d),
    *(nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d),
    *(nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d),
)

_RESIZING = (*ADAPTIVE_MAX_POOLS, *ADAPTIVE_AVERAGE_POOLS, *FRACTIONAL_POOLS)
_SLIDING = (*CONVOLUTIONS, *TRANSPOSED, *MAX_POOLS, *AVERAGE_POOLS, *LP_POOLS, *UNPOOLS, nn.Unfold)

_Rule = Callable[[int, int, int], tuple[str, int]]
"""Return the calculation for a dimension and its result, given the dimension and its sizes before and after."""


class Window(NamedTuple):
    """The sliding window of a convolution or pooling, per dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    """Padding on both sides together."""
    dilation: tuple[int, ...]
    ceil: bool


def window(module: nn.Module) -> Window | None:
    """Return the window that a layer slides over its input (a transposed one, over its output), else None."""
    if not isinstance(module, _SLIDING):
        return None
    count = dimensions(module)

    def each(value: Any) -> tuple[int, ...]:
        return (value,) * count if isinstance(value, int) else tuple(value)

    # Convolutions have no ceil_mode, average pooling has no dilation, LP pooling neither padding nor a default stride.
    settings = vars(module)
    kernel, dilation = each(settings["kernel_size"]), each(settings.get("dilation", 1))
    stride = kernel if settings["stride"] is None else each(settings["stride"])
    padding = settings.get("padding", 0)
    if padding == "same":
        both = tuple(step * (size - 1) for size, step in zip(kernel, dilation, strict=True))
    else:
        both = each(0) if padding == "valid" else tuple(2 * width for width in each(padding))
    return Window(kernel, stride, both, dilation, settings.get("ceil_mode", False))


def derivation(module: Any, given: torch.Size, gave: torch.Size) -> str:
    """Return the formula that gives the output's size from the input's, one for each dimension if they differ.

    It is empty where there is nothing to derive, and where the layer does not follow its settings' formula.
    """
    slid = window(module)
    if isinstance(module, nn.Flatten):
        return _flattened(module, given, gave)
    if isinstance(module, nn.Unfold) and slid is not None:
        return _unfolded(slid, given, gave)
    if isinstance(module, nn.RNNBase):
        size = module.proj_size or module.hidden_size
        return _if_right(f"2·{size}", 2 * size, gave[-1]) if module.bidirectional else ""
    if isinstance(module, nn.MultiheadAttention):
        return _if_right(f"{module.num_heads}·{module.head_dim}", module.num_heads * module.head_dim, gave[-1])
    if isinstance(module, nn.PixelShuffle | nn.PixelUnshuffle):
        return _shuffled(module, given, gave)
    if isinstance(module, _RESIZING) or (isinstance(module, nn.Upsample) and module.scale_factor is None):
        sizes = _last(len(given) - 2, given, gave)
        return "; ".join(dict.fromkeys(f"{before} → {after}" for before, after in sizes))
    if isinstance(module, nn.Upsample):
        return _each_dimension(_scaled(module), len(given) - 2, given, gave)
    if isinstance(module, PADS):
        return _each_dimension(_padded(module), dimensions(module), given, gave)
    if slid is not None:
        rule = _transposed if isinstance(module, (*TRANSPOSED, *UNPOOLS)) else _slid
        return _each_dimension(rule(slid), len(slid.kernel), given, gave)
    return ""


def dimensions(module: nn.Module) -> int:
    """Return the number of dimensions that a layer works on, which torch writes at the end of its class's name."""
    names = (parent.__name__ for parent in type(module).__mro__ if parent.__module__.startswith("torch.nn.modules."))
    return next((int(name[-2]) for name in names if name[-2:] in ("1d", "2d", "3d")), 2)


def _last(count: int, given: torch.Size, gave: torch.Size) -> list[tuple[int, int]]:
    """Return the sizes of the last dimensions before and after; none if there are fewer, as around a reshape inside."""
    return list(zip(given[-count:], gave[-count:], strict=True)) if count <= min(len(given), len(gave)) else []


def _each_dimension(rule: _Rule, count: int, given: torch.Size, gave: torch.Size) -> str:
    """Return the calculation of each of the last dimensions, equal ones once; empty if one does not give its size."""
    sums = []
    for dimension, (before, after) in enumerate(_last(count, given, gave)):
        text, result = rule(dimension, before, after)
        sums.append(_if_right(text, result, after))
    return "; ".join(dict.fromkeys(sums)) if all(sums) else ""


def _if_right(text: str, result: int, size: int) -> str:
    return f"{text} = {size}" if result == size else ""


def _slid(slid: Window) -> _Rule:
    """Return the formula of torch's Conv2d and MaxPool2d."""

    def rule(dimension: int, before: int, after: int) -> tuple[str, int]:
        kernel, stride, padding, dilation = (values[dimension] for values in slid[:4])
        text = str(before)
        if padding:
            text += f" + 2·{padding // 2}" if padding % 2 == 0 else f" + {padding}"
        text += f" − {kernel}" if dilation == 1 else f" − {dilation}·({kernel} − 1) − 1"
        room = before + padding - dilation * (kernel - 1) - 1
        if room % stride == 0:
            return f"({text})/{stride} + 1", room // stride + 1
        if not slid.ceil:
            return f"⌊({text})/{stride}⌋ + 1", room // stride + 1
        result, text = -(-room // stride) + 1, f"⌈({text})/{stride}⌉ + 1"
        if after == result - 1:  # torch drops a last window that would start in the padding
            return f"{text} − 1", after
        return text, result

    return rule


def _transposed(slid: Window) -> _Rule:
    """Return the formula of torch's ConvTranspose2d; its output padding is what remains, as it may be given late."""

    def rule(dimension: int, before: int, after: int) -> tuple[str, int]:
        kernel, stride, padding, dilation = (values[dimension] for values in slid[:4])
        text = f"({before} − 1)·{stride}"
        if padding:
            text += f" − 2·{padding // 2}"
        text += f" + {kernel}" if dilation == 1 else f" + {dilation}·({kernel} − 1) + 1"
        result = (before - 1) * stride - padding + dilation * (kernel - 1) + 1
        if 0 < after - result < max(stride, dilation):
            return f"{text} + {after - result}", after
        return text, result

    return rule


def _scaled(module: Any) -> _Rule:
    def rule(dimension: int, before: int, _after: int) -> tuple[str, int]:
        scale = module.scale_factor[dimension] if isinstance(module.scale_factor, tuple) else module.scale_factor
        result = math.floor(before * scale)
        text = f"{before}·{scale:g}"
        return (text if result == before * scale else f"⌊{text}⌋"), result

    return rule


def _padded(module: Any) -> _Rule:
    def rule(dimension: int, before: int, _after: int) -> tuple[str, int]:
        start = len(module.padding) - 2 * (dimension + 1)  # torch's padding begins with the last dimension
        left, right = module.padding[start : start + 2]
        if left == right > 0:
            return f"{before} + 2·{left}", before + 2 * left
        signed = (f" {'−' if width < 0 else '+'} {abs(width)}" for width in (left, right) if width)
        return f"{before}{''.join(signed)}", before + int(left) + int(right)

    return rule


def _flattened(module: nn.Flatten, given: torch.Size, gave: torch.Size) -> str:
    first, last = module.start_dim % len(given), module.end_dim % len(given)
    joined = given[first : last + 1]
    if first == 0 or len(joined) < 2:
        return ""
    return _if_right("·".join(map(str, joined)), math.prod(joined), gave[first])


def _unfolded(slid: Window, given: torch.Size, gave: torch.Size) -> str:
    """Return the calculations of a patch's length and of the number of patches."""
    counts = [_slid(slid)(dimension, size, 0) for dimension, size in enumerate(given[-2:])]
    length = (given[-3], *slid.kernel)
    texts = (
        _if_right("·".join(map(str, length)), math.prod(length), gave[-2]),
        _if_right("·".join(f"({text})" for text, _ in counts), math.prod(count for _, count in counts), gave[-1]),
    )
    return "; ".join(texts) if all(texts) else ""


def _shuffled(module: nn.PixelShuffle | nn.PixelUnshuffle, given: torch.Size, gave: torch.Size) -> str:
    if isinstance(module, nn.PixelShuffle):
        by = module.upscale_factor
        channels = _if_right(f"{given[-3]}/({by}·{by})", given[-3] // by**2, gave[-3])
        sides = _each_dimension(lambda _dimension, before, _after: (f"{before}·{by}", before * by), 2, given, gave)
    else:
        by = module.downscale_factor
        channels = _if_right(f"{given[-3]}·{by}·{by}", given[-3] * by**2, gave[-3])
        sides = _each_dimension(lambda _dimension, before, _after: (f"{before}/{by}", before // by), 2, given, gave)
    return f"{channels}; {sides}" if channels and sides else ""
