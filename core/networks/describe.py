"""A layer's kind and settings, in the words of Annexe 1 of the exam."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from torch import nn

from core.messages import Message, Value
from core.networks.layer_table import Settings
from core.networks.output_size import (
    ADAPTIVE_AVERAGE_POOLS,
    ADAPTIVE_MAX_POOLS,
    AVERAGE_POOLS,
    CONVOLUTIONS,
    FRACTIONAL_POOLS,
    LP_POOLS,
    MAX_POOLS,
    PADS,
    TRANSPOSED,
    UNPOOLS,
    Window,
    dimensions,
    window,
)
from core.networks.shapes import times

DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)

_KINDS: tuple[tuple[tuple[type[nn.Module], ...], Message], ...] = (
    (CONVOLUTIONS, Message("convolution")),
    (TRANSPOSED, Message("transposed convolution")),
    ((nn.Linear,), Message("linear")),
    ((nn.Bilinear,), Message("bilinear")),
    ((*MAX_POOLS, *ADAPTIVE_MAX_POOLS, *FRACTIONAL_POOLS), Message("max pooling")),
    ((*AVERAGE_POOLS, *ADAPTIVE_AVERAGE_POOLS), Message("average pooling")),
    (LP_POOLS, Message("LP pooling")),
    (UNPOOLS, Message("max unpooling")),
    (PADS, Message("padding")),
    ((nn.Upsample,), Message("upsampling")),
    ((nn.Flatten,), Message("flatten")),
    (DROPOUTS, Message("dropout")),
    (BATCH_NORMS, Message("batch norm")),
    ((nn.LayerNorm,), Message("layer normalisation")),
    ((nn.GroupNorm,), Message("group normalisation")),
    (_INSTANCE_NORMS, Message("instance normalisation")),
    ((nn.MultiheadAttention,), Message("multi-head attention")),
    ((nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell), Message("recurrent layer")),
    ((nn.Embedding, nn.EmbeddingBag), Message("embedding")),
    ((nn.Identity,), Message("identity")),
)


def kind(module: nn.Module) -> Message:
    """Return Annexe 1's word for a layer, or the class name if it has none."""
    for classes, found in _KINDS:
        if isinstance(module, classes):
            return found
    return Message("{name}", {"name": type(module).__name__})


def specification(module: Any) -> Message:
    """Return a layer's settings, short enough for a table column; empty if none of them matters here."""
    slid = window(module)
    if isinstance(module, (*CONVOLUTIONS, *TRANSPOSED)) and slid is not None:
        return _convolution(module, slid)
    if slid is not None:
        return _pooling(module, slid)
    if isinstance(module, nn.Linear):
        return _arrow(module.in_features, module.out_features)
    if isinstance(module, nn.Bilinear):
        return _arrow(f"{module.in1_features}·{module.in2_features}", module.out_features)
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return _arrow(module.num_embeddings, module.embedding_dim)
    if isinstance(module, nn.RNNBase):
        return _recurrent(module)
    if isinstance(module, nn.RNNCellBase):
        return _arrow(module.input_size, module.hidden_size)
    if isinstance(module, nn.MultiheadAttention):
        return Message("{width}, {heads} heads", {"width": module.embed_dim, "heads": module.num_heads})
    if isinstance(module, DROPOUTS):
        return Message("p = {p}", {"p": module.p})
    if isinstance(module, (*BATCH_NORMS, *_INSTANCE_NORMS)):
        return Message("{channels} channels", {"channels": module.num_features})
    if isinstance(module, nn.GroupNorm):
        return Message(
            "{channels} channels, {groups} groups", {"channels": module.num_channels, "groups": module.num_groups}
        )
    return _resizing(module)


def settings(module: Any) -> Settings | None:
    """Return what a layer's numbers are worked out from; None for kinds of layers that the exam does not ask for."""
    if isinstance(module, nn.Linear):
        return Settings(module.in_features, module.out_features, bias=module.bias is not None)
    slid = window(module)
    if slid is None or not isinstance(module, (*CONVOLUTIONS, *MAX_POOLS, *AVERAGE_POOLS)):
        return None
    if isinstance(module, CONVOLUTIONS):
        found = Settings(module.in_channels, module.out_channels, groups=module.groups, bias=module.bias is not None)
    else:
        found = Settings(0, 0, bias=False)
    return msgspec.structs.replace(found, **slid._asdict())


def _arrow(inputs: int | str, outputs: int) -> Message:
    return Message("{inputs}→{outputs}", {"inputs": inputs, "outputs": outputs})


def _convolution(module: Any, slid: Window) -> Message:
    """Return a text such as `1→32, 3×3, p 1`.

    s is the stride, p the padding, op the output padding, d the dilation, g the groups.
    """
    parts = [times(slid.kernel)]
    if set(slid.stride) != {1}:
        parts.append(f"s {_uniform(slid.stride)}")
    parts += _padding(module, slid)
    if any(module.output_padding):
        parts.append(f"op {_uniform(module.output_padding)}")
    parts += _dilation(slid)
    if module.groups != 1:
        parts.append(f"g {module.groups}")
    values = {"inputs": module.in_channels, "outputs": module.out_channels, "window": ", ".join(parts)}
    return Message("{inputs}→{outputs}, {window}", values)


def _pooling(module: Any, slid: Window) -> Message:
    """Return a text such as `2×2, stride 2`; ⌈⌉ says that a last window that does not fit counts too."""
    more = [*_padding(module, slid), *_dilation(slid)]
    if slid.ceil:
        more.append("⌈⌉")
    if isinstance(module, LP_POOLS):
        more.append(f"L{module.norm_type:g}")
    values: dict[str, Value] = {"kernel": times(slid.kernel), "stride": _uniform(slid.stride)}
    if more:
        return Message("{kernel}, stride {stride}, {more}", {**values, "more": ", ".join(more)})
    return Message("{kernel}, stride {stride}", values)


def _padding(module: Any, slid: Window) -> list[str]:
    if not any(slid.padding):
        return []
    same = module.padding == "same"
    return ["p same" if same else f"p {_uniform(tuple(total // 2 for total in slid.padding))}"]


def _dilation(slid: Window) -> list[str]:
    return [] if set(slid.dilation) == {1} else [f"d {_uniform(slid.dilation)}"]


def _several(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Sequence) else (value,)


def _uniform(values: tuple[Any, ...]) -> str:
    """Return a text such as `2` for the same in every dimension, otherwise such as `2×1`."""
    return str(values[0]) if len(set(values)) == 1 else times(values)


def _recurrent(module: nn.RNNBase) -> Message:
    inputs, outputs = module.input_size, module.proj_size or module.hidden_size
    values: dict[str, Value] = {"inputs": inputs, "outputs": outputs, "layers": module.num_layers}
    if module.bidirectional and module.num_layers > 1:
        return Message("{inputs}→{outputs}, {layers} layers, bidirectional", values)
    if module.bidirectional:
        return Message("{inputs}→{outputs}, bidirectional", values)
    if module.num_layers > 1:
        return Message("{inputs}→{outputs}, {layers} layers", values)
    return _arrow(inputs, outputs)


def _resizing(module: Any) -> Message:
    """Return the settings of a layer that only changes the size of its input."""
    if isinstance(module, (*ADAPTIVE_AVERAGE_POOLS, *ADAPTIVE_MAX_POOLS)):
        sizes = _several(module.output_size)
        return _to(sizes if len(sizes) > 1 else sizes * dimensions(module))
    if isinstance(module, nn.Unflatten):
        return _to(module.unflattened_size)
    if isinstance(module, FRACTIONAL_POOLS) and module.output_size is not None:
        return _to(_several(module.output_size))
    if isinstance(module, FRACTIONAL_POOLS):
        return _by(_uniform(_several(module.output_ratio)))
    if isinstance(module, nn.Upsample):
        if module.scale_factor is None:
            return Message("→{size}, {mode}", {"size": _uniform(_several(module.size)), "mode": module.mode})
        factors = tuple(f"{factor:g}" for factor in _several(module.scale_factor))
        return Message("×{factor}, {mode}", {"factor": _uniform(factors), "mode": module.mode})
    if isinstance(module, nn.PixelShuffle):
        return _by(module.upscale_factor)
    if isinstance(module, nn.PixelUnshuffle):
        return _by(f"1/{module.downscale_factor}")
    if isinstance(module, PADS):
        widths = _several(module.padding)
        same = len(set(widths)) == 1
        return Message("p {padding}", {"padding": str(widths[0]) if same else "/".join(map(str, widths))})
    return Message("")


def _to(sizes: Iterable[int | None]) -> Message:
    """Return a text such as `→7×7`; a size that stays as it is is a dash."""
    return Message("→{size}", {"size": times("–" if size is None else size for size in sizes)})


def _by(factor: int | str) -> Message:
    return Message("×{factor}", {"factor": factor})
