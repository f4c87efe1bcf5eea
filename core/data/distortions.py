"""The conditions of `core.data.conditions`, applied to images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from core.data.conditions import Condition

NOISE_SEED = 0
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def distorted(images: Tensor, condition: Condition) -> Iterator[Tensor]:
    """Yield the images under a condition, once for each of its directions. All uint8, N×28×28.

    Pixels that enter from beyond the edge are black; noise is the same in every call.
    """
    match condition.kind:
        case "shift":
            for right, down in _DIRECTIONS:
                yield shifted(images, right * int(condition.strength), down * int(condition.strength))
        case "turn":
            for sense in (1, -1):
                yield turned(images, sense * condition.strength)
        case "noise":
            yield noisy(images, condition.strength)


def shifted(images: Tensor, right: int, down: int) -> Tensor:
    """Return the images shifted by whole pixels; uint8, N×28×28."""
    height, width = images.shape[-2:]
    # Negative padding crops what moves out of the image.
    moved = functional.pad(images, (right, -right, down, -down))
    return moved[..., :height, :width]


def turned(images: Tensor, degrees: float) -> Tensor:
    """Return the images rotated counterclockwise about their centre, with bilinear interpolation; uint8, N×28×28."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Where in the image each output pixel comes from; y points down.
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]], dtype=torch.float32)
    grid = functional.affine_grid(turn.unsqueeze(0), [1, 1, *images.shape[-2:]], align_corners=False)
    # Treat the images as channels of a single one, so that the grid is computed and looked up only once.
    pixels = functional.grid_sample(images.unsqueeze(0).float(), grid, padding_mode="zeros", align_corners=False)
    return pixels[0].round_().to(torch.uint8)


def noisy(images: Tensor, deviation: float) -> Tensor:
    """Return the images with normal noise from a fixed seed, clipped between black and white; uint8, N×28×28.

    `deviation` is the standard deviation as a fraction of white.
    """
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.randn(images.shape, generator=generator, dtype=torch.float32)
    return noise.mul_(255 * deviation).add_(images).round_().clamp_(0, 255).to(torch.uint8)
