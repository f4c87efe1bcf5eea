"""Triton kernels for a step of linear layers on a GPU: gather, products with what surrounds them, loss, and Adam.

Each result is computed by one program in a fixed order, never by atomics: a step repeats to the last bit. Operands may
be float32 or bfloat16; sums are always float32. `precision` is Triton's name for float32 products: ieee or tf32.
Importing this file loads Triton, which not every machine has.
"""
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

PIXELS = 784

ROWS, COLUMNS, DEPTH = 16, 32, 64
"""The tile of a product forward and of an input's gradient, and the length of sum that it takes in at once.

A batch of 64 then gives 512 outputs 64 programs; a wider tile would leave most of the GPU's processors idle.
"""
WEIGHT_ROWS, WEIGHT_COLUMNS, WEIGHT_DEPTH = 32, 64, 32
"""The same of a weight's gradient, whose sum is only as long as the batch. Deeper tiles would spill registers."""
LONG_SUM = 1024
"""A product with a longer sum is cut into `SPLITS` of them: its few outputs would keep few processors busy for long."""
SPLITS = 7  # of 3136: seven times seven tiles
ADAM_BLOCK = 512
TOGETHER = 11
"""Slices that Adam reads without waiting for one another: more would take registers from the rest."""


@triton.jit(do_not_specialize=["num_rows"])
def _gather_kernel(
    images, labels, indices, x, y, counts, mean, std, num_rows, NUM_COUNTS: tl.constexpr, PIXELS: tl.constexpr
):
    row = tl.program_id(0)
    pixel = tl.arange(0, 1024)
    index = tl.load(indices + row)
    value = tl.load(images + index * PIXELS + pixel, mask=pixel < PIXELS, other=0).to(tl.float32)
    value = tl.div_rn(tl.div_rn(value, tl.full([1024], 255, tl.float32)) - mean, tl.zeros([1024], tl.float32) + std)
    tl.store(x + row * PIXELS + pixel, value.to(x.dtype.element_ty), mask=pixel < PIXELS)
    tl.store(y + row, tl.load(labels + index).to(tl.int32))
    if row == 0:
        count = tl.arange(0, 16)
        tl.store(counts + count, tl.load(counts + count, mask=count < NUM_COUNTS) + 1, mask=count < NUM_COUNTS)


def gather_normalise(
    images: Tensor, labels: Tensor, indices: Tensor, x: Tensor, y: Tensor, counts: Tensor, mean: float, std: float
) -> None:
    """Put a batch of images (uint8, N×28×28), normalised, into `x` (B×784) and its labels into `y` (int32, B).

    It also adds one to `counts`, Adam's counters of steps (float32, at most 16), so that they need no kernel.
    """
    rows = len(indices)
    _gather_kernel[(rows,)](images, labels, indices, x, y, counts, mean, std, rows, len(counts), PIXELS)


@triton.jit
def _relu(values):
    """Return max(values, 0), where NaN stays NaN, unlike in `tl.maximum`."""
    return tl.where(values < 0, 0.0, values)


@triton.jit(do_not_specialize=["num_rows"])
def _linear_kernel(
    x, weight, bias, out, num_rows,
    N: tl.constexpr, K: tl.constexpr, SPLITS: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    split = tl.program_id(2)
    LENGTH: tl.constexpr = (K + SPLITS * DEPTH - 1) // (SPLITS * DEPTH) * DEPTH
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, LENGTH, DEPTH):
        k = split * LENGTH + start + tl.arange(0, DEPTH)
        left = tl.load(x + row[:, None] * K + k[None, :], mask=(row[:, None] < num_rows) & (k[None, :] < K), other=0)
        right = tl.load(
            weight + column[:, None] * K + k[None, :], mask=(column[:, None] < N) & (k[None, :] < K), other=0
        )
        total = tl.dot(left, tl.trans(right), total, input_precision=PRECISION)
    inside = (row[:, None] < num_rows) & (column[None, :] < N)
    place = row[:, None] * N + column[None, :]
    if SPLITS == 1:
        total = _relu(total + tl.load(bias + column, mask=column < N, other=0).to(tl.float32)[None, :])
        tl.store(out + place, total.to(out.dtype.element_ty), mask=inside)
    else:
        tl.store(out + split * num_rows * N + place, total, mask=inside)


@triton.jit(do_not_specialize=["num_rows"])
def _join_kernel(parts, bias, out, num_rows, N: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr):
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < num_rows * N
    total = tl.zeros([BLOCK], tl.float32)
    for split in tl.static_range(SPLITS):
        total += tl.load(parts + split * num_rows * N + place, mask=inside, other=0)
    total = _relu(total + tl.load(bias + place % N, mask=inside, other=0).to(tl.float32))
    tl.store(out + place, total.to(out.dtype.element_ty), mask=inside)


def linear_relu(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, parts: Tensor, precision: str) -> None:
    """Compute `out` (B×N) = ReLU(`x` (B×K) · `weight`ᵀ (N×K) + `bias`); `parts` (float32, 7·B·N) holds split sums."""
    (rows, depth), width = x.shape, len(weight)
    splits = SPLITS if depth > LONG_SUM else 1
    grid = (triton.cdiv(rows, ROWS), triton.cdiv(width, COLUMNS), splits)
    into = out if splits == 1 else parts
    _linear_kernel[grid](x, weight, bias, into, rows, width, depth, splits, precision, ROWS, COLUMNS, DEPTH)
    if splits > 1:
        _join_kernel[(triton.cdiv(rows * width, 256),)](parts, bias, out, rows, width, splits, 256)


@triton.jit
def _weight_gradient(
    tile, gradient, x, weight_gradient, bias_gradient, num_rows,
    N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    TILES_ACROSS: tl.constexpr = (K + COLUMNS - 1) // COLUMNS
    n = tile // TILES_ACROSS * ROWS + tl.arange(0, ROWS)
    k = tile % TILES_ACROSS * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    bias_total = tl.zeros([ROWS], tl.float32)
    for start in range(0, num_rows, DEPTH):
        row = start + tl.arange(0, DEPTH)
        left = tl.load(
            gradient + row[:, None] * N + n[None, :], mask=(row[:, None] < num_rows) & (n[None, :] < N), other=0
        )
        right = tl.load(x + row[:, None] * K + k[None, :], mask=(row[:, None] < num_rows) & (k[None, :] < K), other=0)
        total = tl.dot(tl.trans(left), right, total, input_precision=PRECISION)
        bias_total += tl.sum(left.to(tl.float32), 0)
    tl.store(weight_gradient + n[:, None] * K + k[None, :], total, mask=(n[:, None] < N) & (k[None, :] < K))
    if tile % TILES_ACROSS == 0:
        tl.store(bias_gradient + n, bias_total, mask=n < N)


@triton.jit
def _input_gradient(
    tile, gradient, x, weight, out, num_rows,
    N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    TILES_ACROSS: tl.constexpr = (K + COLUMNS - 1) // COLUMNS
    row = tile // TILES_ACROSS * ROWS + tl.arange(0, ROWS)
    k = tile % TILES_ACROSS * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(0, N, DEPTH):
        n = start + tl.arange(0, DEPTH)
        left = tl.load(
            gradient + row[:, None] * N + n[None, :], mask=(row[:, None] < num_rows) & (n[None, :] < N), other=0
        )
        right = tl.load(weight + n[:, None] * K + k[None, :], mask=(n[:, None] < N) & (k[None, :] < K), other=0)
        total = tl.dot(left, right, total, input_precision=PRECISION)
    inside = (row[:, None] < num_rows) & (k[None, :] < K)
    place = row[:, None] * K + k[None, :]
    seen = tl.load(x + place, mask=inside, other=0)
    tl.store(out + place, tl.where(seen <= 0, 0.0, total).to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["num_rows"])
def _linear_backward_kernel(
    gradient, x, weight, weight_gradient, bias_gradient, out, num_rows,
    N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr, WEIGHT_TILES: tl.constexpr, HAS_OUT: tl.constexpr,
    WEIGHT_ROWS: tl.constexpr, WEIGHT_COLUMNS: tl.constexpr, WEIGHT_DEPTH: tl.constexpr,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    if tile < WEIGHT_TILES:
        _weight_gradient(
            tile, gradient, x, weight_gradient, bias_gradient, num_rows,
            N, K, PRECISION, WEIGHT_ROWS, WEIGHT_COLUMNS, WEIGHT_DEPTH,
        )  # fmt: skip
    elif HAS_OUT:
        _input_gradient(tile - WEIGHT_TILES, gradient, x, weight, out, num_rows, N, K, PRECISION, ROWS, COLUMNS, DEPTH)


def linear_backward(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    weight_gradient: Tensor,
    bias_gradient: Tensor,
    out: Tensor | None,
    precision: str,
) -> None:
    """Compute the gradients of weight (N×K), bias (N) and input (B×K, `out`) from a layer's output's (B×N).

    The input `x` (B×K) comes from a ReLU: where it is 0, so is its gradient. All of it is one launch, since the parts
    need nothing of one another. Without `out`, the input gets no gradient.
    """
    (rows, depth), width = x.shape, len(weight)
    weight_tiles = triton.cdiv(width, WEIGHT_ROWS) * triton.cdiv(depth, WEIGHT_COLUMNS)
    input_tiles = triton.cdiv(rows, ROWS) * triton.cdiv(depth, COLUMNS) if out is not None else 0
    _linear_backward_kernel[(weight_tiles + input_tiles,)](
        gradient, x, weight, weight_gradient, bias_gradient, x if out is None else out, rows,
        width, depth, precision, weight_tiles, out is not None,
        WEIGHT_ROWS, WEIGHT_COLUMNS, WEIGHT_DEPTH, ROWS, COLUMNS, DEPTH if width > 16 else 16,
    )  # fmt: skip


@triton.jit(do_not_specialize=["num_rows"])
def _classify_kernel(
    x, weight, bias, y, gradient, loss, num_rows,
    N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr,
    ROWS: tl.constexpr, CLASSES: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    label = tl.arange(0, CLASSES)
    loss_total = tl.zeros([ROWS], tl.float32)
    for first in range(0, num_rows, ROWS):
        row = first + tl.arange(0, ROWS)
        logits = tl.zeros([ROWS, CLASSES], tl.float32)
        for start in range(0, K, DEPTH):
            k = start + tl.arange(0, DEPTH)
            left = tl.load(
                x + row[:, None] * K + k[None, :], mask=(row[:, None] < num_rows) & (k[None, :] < K), other=0
            )
            right = tl.load(
                weight + label[:, None] * K + k[None, :], mask=(label[:, None] < N) & (k[None, :] < K), other=0
            )
            logits = tl.dot(left, tl.trans(right), logits, input_precision=PRECISION)
        logits += tl.load(bias + label, mask=label < N, other=0).to(tl.float32)[None, :]
        logits = tl.where(label[None, :] < N, logits, float("-inf"))
        shifted = logits - tl.max(logits, 1)[:, None]
        powers = tl.exp(shifted)
        total = tl.sum(powers, 1)
        is_label = label[None, :] == tl.load(y + row, mask=row < num_rows, other=0)[:, None]
        row_loss = tl.log(total) - tl.sum(tl.where(is_label, shifted, 0.0), 1)
        loss_total += tl.where(row < num_rows, row_loss, 0.0)
        slope = (powers / total[:, None] - tl.where(is_label, 1.0, 0.0)) / num_rows
        tl.store(
            gradient + row[:, None] * N + label[None, :],
            slope.to(gradient.dtype.element_ty),
            mask=(row[:, None] < num_rows) & (label[None, :] < N),
        )
    tl.store(loss, tl.sum(loss_total) / num_rows)


def classify(
    x: Tensor, weight: Tensor, bias: Tensor, y: Tensor, gradient: Tensor, loss: Tensor, precision: str
) -> None:
    """Compute the last layer (`x` B×K, `weight` N×K), the mean `loss` and the `gradient` of the logits (B×N), N ≤ 16.

    One program does it all, since the loss is a sum over the whole batch. A logit that is NaN makes it NaN.
    """
    rows, depth = x.shape
    _classify_kernel[(1,)](
        x, weight, bias, y, gradient, loss, rows, len(weight), depth, precision, 64, 16, 64, num_warps=8
    )


@triton.jit
def _one_minus_power(log_base, count):
    """Return 1 − base^count to the last digits of float32, for a base just under 1 too."""
    u = count * log_base
    series = 1 + u / 2 * (1 + u / 3 * (1 + u / 4 * (1 + u / 5 * (1 + u / 6 * (1 + u / 7 * (1 + u / 8))))))
    return tl.where(u > -0.5, -u * series, 1 - tl.exp(u))


@triton.jit
def _adam_kernel(
    parameters, gradients, averages, squares, rounded, slices, counts, lr,
    SIZE: tl.constexpr, SLICED: tl.constexpr, NUM_SLICES: tl.constexpr, ROUNDED: tl.constexpr,
    BETA1: tl.constexpr, BETA2: tl.constexpr, LOG_BETA1: tl.constexpr, LOG_BETA2: tl.constexpr,
    EPS: tl.constexpr, BLOCK: tl.constexpr, TOGETHER: tl.constexpr,
):  # fmt: skip
    first = tl.program_id(0) * BLOCK
    place = first + tl.arange(0, BLOCK)
    inside = place < SIZE
    gradient = tl.load(gradients + place, mask=inside & (place >= SLICED), other=0)
    if first < SLICED:
        for group in range(0, NUM_SLICES, TOGETHER):
            for i in tl.static_range(TOGETHER):
                from_slice = (place < SLICED) & (group + i < NUM_SLICES)
                gradient += tl.load(slices + (group + i) * SLICED + place, mask=from_slice, other=0)
    count = tl.load(counts)
    step_size = tl.div_rn(tl.load(lr), _one_minus_power(LOG_BETA1, count))
    correction = tl.sqrt_rn(_one_minus_power(LOG_BETA2, count))
    average = BETA1 * tl.load(averages + place, mask=inside, other=0) + (1 - BETA1) * gradient
    square = BETA2 * tl.load(squares + place, mask=inside, other=0) + (1 - BETA2) * gradient * gradient
    root = tl.div_rn(tl.sqrt_rn(square), tl.zeros([BLOCK], tl.float32) + correction) + EPS
    parameter = tl.load(parameters + place, mask=inside, other=0) - tl.div_rn(step_size * average, root)
    tl.store(averages + place, average, mask=inside)
    tl.store(squares + place, square, mask=inside)
    tl.store(parameters + place, parameter, mask=inside)
    if ROUNDED:
        tl.store(rounded + place, parameter.to(tl.bfloat16), mask=inside)


def adam_flat(
    parameters: Tensor,
    gradients: Tensor,
    averages: Tensor,
    squares: Tensor,
    counts: Tensor,
    lr: Tensor,
    *,
    betas: tuple[float, float],
    eps: float,
    slices: Tensor | None = None,
    rounded: Tensor | None = None,
) -> None:
    """Take a step of Adam (torch's fused formula) on flat float32 tensors of one size; `counts` already has this step.

    The first gradients are the sums of `slices` (S×n) if there are any. `rounded` (bfloat16) gets the parameters too.
    """
    size = parameters.numel()
    num_slices, sliced = slices.shape if slices is not None else (0, 0)
    _adam_kernel[(triton.cdiv(size, ADAM_BLOCK),)](
        parameters, gradients, averages, squares, parameters if rounded is None else rounded,
        gradients if slices is None else slices, counts, lr,
        size, sliced, num_slices, rounded is not None,
        betas[0], betas[1], math.log(betas[0]), math.log(betas[1]), eps, ADAM_BLOCK, TOGETHER,
    )  # fmt: skip
