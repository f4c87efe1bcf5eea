"""A layer's values as pictures of its channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from core.inspecting.views import FeatureMap, Kernels, LevelScale

_VECTOR_COLUMNS = 32
"""Values in a row of a vector's picture."""
_MOST_WEIGHTS = 1_000_000


def shape_of_maps(shape: Sequence[int]) -> tuple[int, int, int]:
    """Return the number of maps for an output of this shape, and the rows and columns of each."""
    if len(shape) >= 2:
        return math.prod(shape[:-2]), shape[-2], shape[-1]
    size = shape[0] if shape else 1
    columns = max(1, min(size, _VECTOR_COLUMNS))
    return 1, -(-size // columns), columns


def as_maps(values: Tensor) -> Tensor:
    """Return values of any shape as maps, channels × rows × columns; the last row of a vector is filled up with 0."""
    number, rows, columns = shape_of_maps(values.shape)
    missing = number * rows * columns - values.numel()
    return torch.nn.functional.pad(values.flatten(), (0, missing)).reshape(number, rows, columns)


def scale_of(values: Tensor) -> LevelScale:
    """Return the range of the finite values, 0 included."""
    finite = values[values.isfinite()]
    if not finite.numel():
        return LevelScale(0.0, 0.0)
    return LevelScale(min(0.0, float(finite.min())), max(0.0, float(finite.max())))


def pictures(values: Tensor, scale: LevelScale, most: int | None = None, coarseness: int = 1) -> tuple[FeatureMap, ...]:
    """Return the channels of an output as pictures: all in their order, or the `most` active ones, those first.

    The more active channel is the one with the value of the greater magnitude. Of a coarser picture, only each
    `coarseness`-th row and column is shown.
    """
    maps = as_maps(values)[:, ::coarseness, ::coarseness]
    activity = maps.abs().nan_to_num(0, 0, 0).amax((1, 2))
    order = activity.argsort(descending=True, stable=True)[:most] if most is not None else torch.arange(len(maps))
    chosen = maps[order]
    levels = leveled(chosen, scale)
    flat = chosen.flatten(1)
    largest = flat.gather(1, flat.abs().nan_to_num(0, 0, 0).argmax(1, keepdim=True)).flatten()
    _channels, rows, columns = maps.shape
    return tuple(
        FeatureMap(channel, rows, columns, levels[number].numpy().tobytes(), extreme)
        for number, (channel, extreme) in enumerate(zip(order.tolist(), largest.tolist(), strict=True))
    )


def leveled(values: Tensor, scale: LevelScale) -> Tensor:
    """Return values from `scale.low` to `scale.high` as levels from 0 to 255; those that are not finite are 0."""
    span = scale.high - scale.low or 1.0
    return ((values - scale.low) / span * 255).round().nan_to_num(0, 0, 0).clamp(0, 255).to(torch.uint8)


def kernels(weight: Tensor, given: Sequence[int] | None) -> Kernels:
    """Return the weights of a layer as pictures, outputs × inputs × rows × columns.

    The weights of a unit that reads a flattened picture of `given`, channels × rows × columns, have its shape.
    """
    if weight.dim() == 2:
        if given is not None and math.prod(given) == weight.shape[1]:
            shaped = weight.reshape(len(weight), *given)
        else:
            shaped = torch.stack([as_maps(row) for row in weight])
    else:
        shaped = weight.reshape(*weight.shape[:2], -1, weight.shape[-1])
    outputs, inputs, rows, columns = shaped.shape
    kept = min(outputs, max(1, _MOST_WEIGHTS // max(1, inputs * rows * columns)))
    scale = scale_of(weight)
    levels = leveled(shaped[:kept], scale).numpy().tobytes()
    return Kernels(kept, inputs, rows, columns, levels, scale, outputs)
