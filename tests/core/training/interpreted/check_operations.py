"""Each of the GPU's kernels against autograd in double precision."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.training.steps.fused import convolutions, kernels

FP32, BF16 = torch.float32, torch.bfloat16
ALLOWED = {FP32: 1e-5, BF16: 2**-8}
"""Largest error relative to the largest value: sums of float32, and results rounded to bfloat16."""


def drawn(*shape: int, kind: torch.dtype = FP32, scale: float = 1) -> Tensor:
    return (torch.randn(shape) * scale).to(kind)


def unwritten(*shape: int, kind: torch.dtype = FP32) -> Tensor:
    return torch.full(shape, 77, dtype=torch.uint8) if kind == torch.uint8 else torch.full(shape, torch.nan, dtype=kind)


def error(found: Tensor, wanted: Tensor) -> float:
    """Return the largest difference relative to the largest value; NaN in the same places is no difference."""
    assert torch.equal(found.isnan(), wanted.isnan())
    difference = (found.double() - wanted.double()).nan_to_num().abs().max()
    return float(difference / wanted.double().nan_to_num().abs().max())


def test_images_and_labels_are_taken_and_normalised_to_the_last_digit() -> None:
    images, labels = torch.randint(256, (20, 28, 28)).byte(), torch.randint(10, (20,))
    indices, counts = torch.randperm(20)[:7], torch.arange(8.0)
    for kind in (FP32, BF16):
        x, y = unwritten(7, 784, kind=kind), torch.full((7,), 77, dtype=torch.int32)
        kernels.gather_normalise(images, labels, indices, x, y, counts, 0.1307, 0.3081)
        wanted = images[indices].float().div(255).sub(0.1307).div(0.3081).view(7, 784)
        assert torch.equal(x, wanted.to(kind))
        assert torch.equal(y, labels[indices].int())
    assert counts.tolist() == [i + 2 for i in range(8)]


@pytest.mark.parametrize("kind", [FP32, BF16])
@pytest.mark.parametrize(("rows", "width", "depth"), [(7, 33, 50), (17, 64, 128), (7, 40, 1100)])
def test_a_linear_layer_with_relu(rows: int, width: int, depth: int, kind: torch.dtype) -> None:
    x, weight, bias = drawn(rows, depth, kind=kind), drawn(width, depth, kind=kind), drawn(width, kind=kind)
    x[1, 2] = torch.nan
    out, parts = unwritten(rows, width, kind=kind), unwritten(kernels.SPLITS * rows * width)
    kernels.linear_relu(x, weight, bias, out, parts, "ieee")
    wanted = functional.linear(x.double(), weight.double(), bias.double()).relu()
    assert wanted[1].isnan().all()
    assert error(out, wanted) < ALLOWED[kind]


@pytest.mark.parametrize("kind", [FP32, BF16])
@pytest.mark.parametrize(("rows", "width", "depth"), [(7, 33, 50), (70, 10, 128)])
def test_gradients_of_a_linear_layer_behind_a_relu(rows: int, width: int, depth: int, kind: torch.dtype) -> None:
    before = drawn(rows, depth, kind=kind).double().requires_grad_()
    weight = drawn(width, depth, kind=kind).double().requires_grad_()
    bias = drawn(width).double().requires_grad_()
    gradient = drawn(rows, width, kind=kind)
    before.relu().matmul(weight.T).add(bias).backward(gradient.double())
    x, out = before.detach().relu().to(kind), unwritten(rows, depth, kind=kind)
    weight_gradient, bias_gradient = unwritten(width, depth), unwritten(width)
    for into in (None, out):
        kernels.linear_backward(gradient, x, weight.detach().to(kind), weight_gradient, bias_gradient, into, "ieee")
        assert error(weight_gradient, weight.grad) < ALLOWED[FP32]  # type: ignore[arg-type]
        assert error(bias_gradient, bias.grad) < ALLOWED[FP32]  # type: ignore[arg-type]
    assert error(out, before.grad) < ALLOWED[kind]  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [FP32, BF16])
@pytest.mark.parametrize("rows", [7, 70])
def test_the_last_layer_with_the_loss_and_its_gradient(rows: int, kind: torch.dtype) -> None:
    x, weight, bias = drawn(rows, 50, kind=kind), drawn(10, 50, kind=kind), drawn(10, kind=kind)
    y, gradient, loss = torch.randint(10, (rows,)), unwritten(rows, 10, kind=kind), unwritten()
    kernels.classify(x, weight, bias, y.int(), gradient, loss, "ieee")
    logits = functional.linear(x.double(), weight.double(), bias.double()).requires_grad_()
    wanted = functional.cross_entropy(logits, y)
    wanted.backward()
    assert error(loss, wanted.detach()) < ALLOWED[FP32]
    assert error(gradient, logits.grad) < ALLOWED[kind]  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_is_not_hidden(value: float) -> None:
    x, weight, bias = drawn(7, 50), drawn(10, 50), drawn(10)
    bias[3] = value
    y, gradient, loss = torch.zeros(7, dtype=torch.int32), unwritten(7, 10), torch.zeros(())
    kernels.classify(x, weight, bias, y, gradient, loss, "ieee")
    assert loss.isnan()
    assert gradient.isnan().any(1).all()


@pytest.mark.parametrize("steps_before", [0, 5, 3000, 10_000_000])
def test_adam(steps_before: int) -> None:
    size, sliced = 1300, 600
    parameter = nn.Parameter(drawn(size))
    reference = torch.optim.Adam([wide := nn.Parameter(parameter.detach().double())], lr=0.01)
    parameters = parameter.detach()
    averages, squares = drawn(size, scale=0.1), drawn(size, scale=0.1) ** 2
    counts, rounded = torch.full((3,), float(steps_before)), unwritten(size, kind=BF16)
    state = {"step": torch.tensor(float(steps_before)), "exp_avg": averages.double(), "exp_avg_sq": squares.double()}
    reference.state[wide] = state
    for _ in range(3):
        gradients, slices = drawn(size), drawn(13, sliced)
        wide.grad = torch.cat([slices.double().sum(0), gradients[sliced:].double()])
        reference.step()
        counts += 1
        kernels.adam_flat(
            parameters, gradients, averages, squares, counts, torch.tensor(0.01),
            betas=(0.9, 0.999), eps=1e-8, slices=slices, rounded=rounded,
        )  # fmt: skip
    assert error(parameters, wide.detach()) < 1e-6
    assert error(averages, state["exp_avg"]) < 1e-6
    assert error(squares, state["exp_avg_sq"]) < 1e-6
    assert torch.equal(rounded, parameters.bfloat16())


def _images(kind: torch.dtype) -> Tensor:
    """Return images, 3×784, of noise, of one grey with a bright corner, and of few values: with many equal maxima."""
    noise, grey, few = drawn(784), torch.full((784,), -0.4242), torch.randint(2, (784,)).float()
    grey[:40] = 2
    return torch.stack([noise, grey, few]).to(kind)


@pytest.mark.parametrize("kind", [FP32, BF16])
def test_the_first_convolution(kind: torch.dtype) -> None:
    x = _images(kind)
    convolution = nn.Conv2d(1, 32, 3, padding=1).to(kind).double()
    weight, bias = (each.detach().to(kind) for each in convolution.parameters())
    out, places = unwritten(3, 14, 14, 32, kind=kind), unwritten(3, 14, 14, 32, kind=torch.uint8)
    convolutions.first_forward(x, weight, bias, out, places)
    wide = convolution(x.view(3, 1, 28, 28).double())
    assert error(out.permute(0, 3, 1, 2), functional.max_pool2d(wide.detach(), 2).relu()) < ALLOWED[kind]
    gradient = torch.where(out > 0, drawn(3, 14, 14, 32, kind=kind), 0)
    slices = unwritten(convolutions.SLICES, 400)
    convolutions.first_backward(gradient, places, x, slices, 64, 352)
    wide.backward(_unpooled(gradient.permute(0, 3, 1, 2), places.permute(0, 3, 1, 2)))
    found = slices[:, 64:352].sum(0).view(32, 1, 3, 3)
    assert error(found, convolution.weight.grad) < ALLOWED[FP32]  # type: ignore[arg-type]
    assert error(slices[:, 352:384].sum(0), convolution.bias.grad) < ALLOWED[FP32]  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("kind", [FP32, BF16])
def test_the_second_convolution(kind: torch.dtype) -> None:
    x = drawn(3, 14, 14, 32, kind=kind)
    x[1, :7] = 0.25  # many equal maxima
    x = functional.relu(x)
    convolution = nn.Conv2d(32, 64, 3, padding=1).to(kind).double()
    weight, bias = (each.detach().to(kind) for each in convolution.parameters())
    weight = weight.contiguous(memory_format=torch.channels_last)
    out, places = unwritten(3, 3136, kind=kind), unwritten(3, 3136, kind=torch.uint8)
    convolutions.second_forward(x, weight, bias, out, places, "ieee")
    before = x.double().permute(0, 3, 1, 2).requires_grad_()
    wide = convolution(functional.relu(before))
    assert error(out, functional.max_pool2d(wide.detach(), 2).relu().flatten(1)) < ALLOWED[kind]
    gradient = torch.where(out > 0, drawn(3, 3136, kind=kind), 0)
    spread, slope = unwritten(3, 14, 14, 64, kind=kind), unwritten(3, 14, 14, 32, kind=kind)
    slices = unwritten(convolutions.SLICES, 18816)
    convolutions.unpool(gradient, places, spread)
    convolutions.second_backward(spread, x, weight, slices, slope, 320, 18752, "ieee")
    wide.backward(_unpooled(gradient.view(3, 64, 7, 7), places.view(3, 64, 7, 7)))
    assert error(slope, before.grad.permute(0, 2, 3, 1)) < ALLOWED[kind]  # type: ignore[union-attr]
    found = slices[:, 320:18752].sum(0).view(64, 3, 3, 32).permute(0, 3, 1, 2)
    assert error(found, convolution.weight.grad) < ALLOWED[FP32]  # type: ignore[arg-type]
    assert error(slices[:, 18752:].sum(0), convolution.bias.grad) < ALLOWED[FP32]  # type: ignore[arg-type, union-attr]


def _unpooled(gradient: Tensor, places: Tensor) -> Tensor:
    """Return the gradient of a pool's inputs (B×C×2H×2W) by torch, from that of its outputs (B×C×H×W)."""
    half = gradient.shape[-1]
    row, column = torch.arange(half).view(half, 1), torch.arange(half)
    flat = (2 * row + places.long() // 2) * (2 * half) + 2 * column + places.long() % 2
    return functional.max_unpool2d(gradient.double().contiguous(), flat.contiguous(), [2, 2])


def test_a_pool_takes_the_first_of_equals_and_nan_before_all() -> None:
    """All sums are of small integers, hence exact, and often equal."""
    pixels, weight = torch.randint(3, (2, 1, 28, 28)).float(), torch.randint(-1, 2, (32, 1, 3, 3)).float()
    pixels[0, 0, 5, 6] = pixels[1, 0, 0, 0] = torch.nan
    out, places = unwritten(2, 14, 14, 32), unwritten(2, 14, 14, 32, kind=torch.uint8)
    convolutions.first_forward(pixels.view(2, 784), weight, torch.zeros(32), out, places)
    wanted, wanted_places = _pooled(functional.conv2d(pixels, weight, padding=1))
    assert error(out.permute(0, 3, 1, 2), wanted.relu()) == 0
    assert torch.equal(places.permute(0, 3, 1, 2), wanted_places)

    x, weight = torch.randint(2, (2, 32, 14, 14)).float(), torch.randint(-1, 2, (64, 32, 3, 3)).float()
    x[0, 3, 5, 6] = x[1, 0, 0, 0] = torch.nan
    out, places = unwritten(2, 3136), unwritten(2, 3136, kind=torch.uint8)
    by_place, weight = x.permute(0, 2, 3, 1).contiguous(), weight.contiguous(memory_format=torch.channels_last)
    convolutions.second_forward(by_place, weight, torch.zeros(64), out, places, "ieee")
    wanted, wanted_places = _pooled(functional.conv2d(x, weight, padding=1))
    assert error(out, wanted.relu().flatten(1)) == 0
    assert torch.equal(places, wanted_places.flatten(1))


def _pooled(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maximum of each 2×2 window and, as torch finds it, its place in the window (uint8)."""
    out, flat = functional.max_pool2d(values.contiguous(), 2, return_indices=True)
    side = values.shape[-1]
    return out, (flat // side % 2 * 2 + flat % side % 2).byte()
