"""Triton kernels for RN_2's convolutions on a GPU, each with the bias, max-pool and ReLU beside it.

Between the layers, values lie in memory by image, row, column, channel: the channels of a place make a product's
row. What follows the second pool lies by image, channel, row, column, as the next layer's weights have it. Of each
window of a pool, the place of its greatest value is kept: 0 to 3, row by row. Sums have a fixed order, as in `kernels`.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from core.training.steps.fused.kernels import _relu

FIRST, SECOND = 32, 64
"""Channels after each convolution."""
SLICES = 44
"""Parts of a batch, each with sums of its own for the convolutions' gradients: with nine taps, 396 programs."""
POSITIONS, SUMMED_POSITIONS = 32, 64
"""Places that a program takes in at once: of the first convolution forward, and of its gradient."""
WINDOWS, COLUMNS = 16, 32
"""The tile of the second convolution: 16 windows of four places each, 32 of the 64 channels."""
INPUT_POSITIONS, DEPTH = 64, 32
"""Places whose gradients a program computes, each of 32 channels, and the length of sum that it takes in at once."""


@triton.jit
def _window_maximum(a, b, c, d):
    """Return the maximum of a window's values and its place: the first of equals, and NaN before all, as in torch."""
    best, place = a, tl.zeros_like(a).to(tl.int32)
    best, place = _greater(best, place, b, 1)
    best, place = _greater(best, place, c, 2)
    return _greater(best, place, d, 3)


@triton.jit
def _greater(best, place, value, new_place: tl.constexpr):
    is_greater = (value > best) | (value != value)
    return tl.where(is_greater, value, best), tl.where(is_greater, new_place, place)


@triton.jit(do_not_specialize=["num_images"])
def _first_forward_kernel(
    x, weight, bias, out, places, num_images,
    POSITIONS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    position = tl.program_id(0) * POSITIONS + tl.arange(0, POSITIONS)
    channel = tl.arange(0, CHANNELS)
    inside = position < num_images * 196
    top = x + position // 196 * 784
    row, column = position % 196 // 14 * 2, position % 14 * 2
    a = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    b, c, d = a, a, a
    # Every window sees 4×4 pixels, and each of its four places 3×3 of them, in the same order: equals stay equal.
    for i in tl.static_range(4):
        for j in tl.static_range(4):
            y, z = row + i - 1, column + j - 1
            pixel = tl.load(top + y * 28 + z, mask=inside & (y >= 0) & (y < 28) & (z >= 0) & (z < 28), other=0)
            pixel = pixel.to(tl.float32)[:, None]
            if i < 3 and j < 3:
                a += pixel * tl.load(weight + channel * 9 + (i * 3 + j)).to(tl.float32)[None, :]
            if i < 3 and j > 0:
                b += pixel * tl.load(weight + channel * 9 + (i * 3 + j - 1)).to(tl.float32)[None, :]
            if i > 0 and j < 3:
                c += pixel * tl.load(weight + channel * 9 + (i * 3 + j - 3)).to(tl.float32)[None, :]
            if i > 0 and j > 0:
                d += pixel * tl.load(weight + channel * 9 + (i * 3 + j - 4)).to(tl.float32)[None, :]
    added = tl.load(bias + channel).to(tl.float32)[None, :]
    kind = out.dtype.element_ty
    best, place = _window_maximum((a + added).to(kind).to(tl.float32), (b + added).to(kind).to(tl.float32),
                                  (c + added).to(kind).to(tl.float32), (d + added).to(kind).to(tl.float32))  # fmt: skip
    to = position[:, None] * CHANNELS + channel[None, :]
    tl.store(out + to, _relu(best).to(kind), mask=inside[:, None])
    tl.store(places + to, place.to(tl.uint8), mask=inside[:, None])


def first_forward(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, places: Tensor) -> None:
    """Compute convolution, max-pool and ReLU of `x` (B×784): `out` and `places` (uint8) are B×14×14×32."""
    grid = (triton.cdiv(len(x) * 196, POSITIONS),)
    _first_forward_kernel[grid](x, weight, bias, out, places, len(x), POSITIONS, FIRST)


@triton.jit(do_not_specialize=["num_images"])
def _second_forward_kernel(
    x, weight, bias, out, places, num_images, PRECISION: tl.constexpr,
    WINDOWS: tl.constexpr, COLUMNS: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
):  # fmt: skip
    index = tl.arange(0, 4 * WINDOWS)  # the four places of each window follow one another
    window = tl.program_id(0) * WINDOWS + index // 4
    row = window % 49 // 7 * 2 + index % 4 // 2
    column = window % 7 * 2 + index % 2
    before, after = tl.arange(0, FIRST), tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([4 * WINDOWS, COLUMNS], tl.float32)
    for tap in range(9):
        y, z = row + tap // 3 - 1, column + tap % 3 - 1
        inside = (window < num_images * 49) & (y >= 0) & (y < 14) & (z >= 0) & (z < 14)
        place = window // 49 * 196 + y * 14 + z
        left = tl.load(x + place[:, None] * FIRST + before[None, :], mask=inside[:, None], other=0)
        right = tl.load(weight + (after[:, None] * 9 + tap) * FIRST + before[None, :])
        total = tl.dot(left, tl.trans(right), total, input_precision=PRECISION)
    total += tl.load(bias + after).to(tl.float32)[None, :]
    total = total.to(out.dtype.element_ty).to(tl.float32)
    left_half, right_half = tl.split(tl.permute(tl.reshape(total, [WINDOWS, 2, 2, COLUMNS]), [0, 3, 1, 2]))
    a, c = tl.split(left_half)
    b, d = tl.split(right_half)
    best, place = _window_maximum(a, b, c, d)
    window = (tl.program_id(0) * WINDOWS + tl.arange(0, WINDOWS))[:, None]
    to = window // 49 * (49 * SECOND) + after[None, :] * 49 + window % 49
    tl.store(out + to, _relu(best).to(out.dtype.element_ty), mask=window < num_images * 49)
    tl.store(places + to, place.to(tl.uint8), mask=window < num_images * 49)


def second_forward(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, places: Tensor, precision: str) -> None:
    """Compute convolution, max-pool and ReLU of `x` (B×14×14×32): `out` and `places` (uint8) are B×3136.

    `weight` is 64×32×3×3 with its channels last in memory.
    """
    grid = (triton.cdiv(len(x) * 49, WINDOWS), SECOND // COLUMNS)
    _second_forward_kernel[grid](x, weight, bias, out, places, len(x), precision, WINDOWS, COLUMNS, FIRST, SECOND)


@triton.jit
def _unpool_kernel(gradient, places, out, CHANNELS: tl.constexpr):
    image, row = tl.program_id(0) // 7, tl.program_id(0) % 7
    channel, column = tl.arange(0, CHANNELS)[:, None], tl.arange(0, 8)[None, :]
    at = image * (CHANNELS * 49) + channel * 49 + row * 7 + column
    value = tl.load(gradient + at, mask=column < 7, other=0)
    place = tl.load(places + at, mask=column < 7, other=0).to(tl.int32)
    for corner in tl.static_range(4):
        to = image * 196 + (2 * row + corner // 2) * 14 + 2 * column + corner % 2
        tl.store(out + to * CHANNELS + channel, tl.where(place == corner, value, 0.0).to(value.dtype), mask=column < 7)


def unpool(gradient: Tensor, places: Tensor, out: Tensor) -> None:
    """Give each window's gradient (B×3136) to its greatest value, and zero to the others, in `out` (B×14×14×64)."""
    _unpool_kernel[(len(gradient) * 7,)](gradient, places, out, SECOND)


@triton.jit
def _second_input_gradient(
    tile, gradient, x, weight, out, num_positions, PRECISION: tl.constexpr,
    POSITIONS: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    position = tile * POSITIONS + tl.arange(0, POSITIONS)
    row, column = position % 196 // 14, position % 14
    before = tl.arange(0, FIRST)
    total = tl.zeros([POSITIONS, FIRST], tl.float32)
    for part in range(9 * SECOND // DEPTH):
        tap = part // (SECOND // DEPTH)
        after = part % (SECOND // DEPTH) * DEPTH + tl.arange(0, DEPTH)
        down, right = 1 - tap // 3, 1 - tap % 3
        y, z = row + down, column + right
        inside = (position < num_positions) & (y >= 0) & (y < 14) & (z >= 0) & (z < 14)
        place = position + down * 14 + right
        slope = tl.load(gradient + place[:, None] * SECOND + after[None, :], mask=inside[:, None], other=0)
        filters = tl.load(weight + (after[:, None] * 9 + tap) * FIRST + before[None, :])
        total = tl.dot(slope, filters, total, input_precision=PRECISION)
    to = position[:, None] * FIRST + before[None, :]
    inside = (position < num_positions)[:, None]
    seen = tl.load(x + to, mask=inside, other=0)
    tl.store(out + to, tl.where(seen <= 0, 0.0, total).to(out.dtype.element_ty), mask=inside)


@triton.jit
def _second_weight_gradient(
    part, tap, gradient, x, slices, size, weight_at, bias_at, num_positions, PRECISION: tl.constexpr,
    NUM_SLICES: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    before, after = tl.arange(0, FIRST), tl.arange(0, SECOND)
    length = tl.cdiv(num_positions, NUM_SLICES * DEPTH) * DEPTH
    down, right = tap // 3 - 1, tap % 3 - 1
    total = tl.zeros([SECOND, FIRST], tl.float32)
    bias_total = tl.zeros([SECOND], tl.float32)
    for start in range(part * length, tl.minimum((part + 1) * length, num_positions), DEPTH):
        position = start + tl.arange(0, DEPTH)
        slope = tl.load(
            gradient + position[:, None] * SECOND + after[None, :], mask=(position < num_positions)[:, None], other=0
        )
        y, z = position % 196 // 14 + down, position % 14 + right
        inside = (position < num_positions) & (y >= 0) & (y < 14) & (z >= 0) & (z < 14)
        place = position + down * 14 + right
        seen = tl.load(x + place[:, None] * FIRST + before[None, :], mask=inside[:, None], other=0)
        total = tl.dot(tl.trans(slope), seen, total, input_precision=PRECISION)
        bias_total += tl.sum(slope.to(tl.float32), 0)
    slices += part * size
    tl.store(slices + weight_at + (after[:, None] * 9 + tap) * FIRST + before[None, :], total)
    if tap == 0:
        tl.store(slices + bias_at + after, bias_total)


@triton.jit(do_not_specialize=["num_images", "input_tiles"])
def _second_backward_kernel(
    gradient, x, weight, slices, out, num_images, input_tiles,
    SIZE: tl.constexpr, WEIGHT_AT: tl.constexpr, BIAS_AT: tl.constexpr, PRECISION: tl.constexpr,
    POSITIONS: tl.constexpr, NUM_SLICES: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    if tile < input_tiles:  # the longer ones first
        _second_input_gradient(
            tile, gradient, x, weight, out, num_images * 196, PRECISION, POSITIONS, FIRST, SECOND, DEPTH
        )
    else:
        _second_weight_gradient(
            (tile - input_tiles) // 9, (tile - input_tiles) % 9, gradient, x, slices, SIZE, WEIGHT_AT, BIAS_AT,
            num_images * 196, PRECISION, NUM_SLICES, FIRST, SECOND, DEPTH,
        )  # fmt: skip


def second_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    slices: Tensor,
    out: Tensor,
    weight_at: int,
    bias_at: int,
    precision: str,
) -> None:
    """Compute the second convolution's gradients from that of its outputs (B×14×14×64).

    Those of weight and bias go to each row of `slices` (44×n, to be added up), at these places; that of the input `x`,
    which a ReLU made, into `out` (both B×14×14×32).
    """
    num_images = len(x)
    input_tiles = triton.cdiv(num_images * 196, INPUT_POSITIONS)
    _second_backward_kernel[(input_tiles + 9 * SLICES,)](
        gradient, x, weight, slices, out, num_images, input_tiles, slices.shape[1], weight_at, bias_at, precision,
        INPUT_POSITIONS, SLICES, FIRST, SECOND, DEPTH,
    )  # fmt: skip


@triton.jit(do_not_specialize=["num_images"])
def _first_backward_kernel(
    gradient, places, x, slices, num_images,
    SIZE: tl.constexpr, WEIGHT_AT: tl.constexpr, BIAS_AT: tl.constexpr,
    POSITIONS: tl.constexpr, NUM_SLICES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    part, tap = tl.program_id(0), tl.program_id(1)
    channel = tl.arange(0, CHANNELS)
    num_positions = num_images * 196
    length = tl.cdiv(num_positions, NUM_SLICES * POSITIONS) * POSITIONS
    total = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    bias_total = tl.zeros([POSITIONS, CHANNELS], tl.float32)
    for start in range(part * length, tl.minimum((part + 1) * length, num_positions), POSITIONS):
        position = (start + tl.arange(0, POSITIONS))[:, None]
        at = position * CHANNELS + channel[None, :]
        slope = tl.load(gradient + at, mask=position < num_positions, other=0).to(tl.float32)
        place = tl.load(places + at, mask=position < num_positions, other=0).to(tl.int32)
        y = position % 196 // 14 * 2 + place // 2 + tap // 3 - 1
        z = position % 14 * 2 + place % 2 + tap % 3 - 1
        inside = (position < num_positions) & (y >= 0) & (y < 28) & (z >= 0) & (z < 28)
        pixel = tl.load(x + position // 196 * 784 + y * 28 + z, mask=inside, other=0).to(tl.float32)
        total += slope * pixel
        bias_total += slope
    tl.store(slices + part * SIZE + WEIGHT_AT + channel * 9 + tap, tl.sum(total, 0))
    if tap == 0:
        tl.store(slices + part * SIZE + BIAS_AT + channel, tl.sum(bias_total, 0))


def first_backward(gradient: Tensor, places: Tensor, x: Tensor, slices: Tensor, weight_at: int, bias_at: int) -> None:
    """Compute the first convolution's gradients from that of its pool's outputs (B×14×14×32) and `x` (B×784).

    They go to each row of `slices`, at these places, like the second's.
    """
    _first_backward_kernel[(SLICES, 9)](
        gradient, places, x, slices, len(x), slices.shape[1], weight_at, bias_at, SUMMED_POSITIONS, SLICES, FIRST
    )
