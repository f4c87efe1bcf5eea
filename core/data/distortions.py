"""The conditions of `core.data.conditions` carried out on images."""

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
    """The images under a condition, once for each direction or sense that it has. All uint8, N×28×28.

    What enters from beyond the edge is black; noise is the same at every call.
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
    """Every pixel moved by whole pixels; uint8, N×28×28."""
    height, width = images.shape[-2:]
    # Negative padding crops what is moved out.
    moved = functional.pad(images, (right, -right, down, -down))
    return moved[..., :height, :width]


def turned(images: Tensor, degrees: float) -> Tensor:
    """Every image turned about its centre, counterclockwise, with bilinear interpolation; uint8, N×28×28."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # From where in the image each pixel is taken; y points down.
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]])
    grid = functional.affine_grid(turn.unsqueeze(0), [1, 1, *images.shape[-2:]], align_corners=False)
    # The images as channels of one: the grid is then computed, and looked up, once.
    pixels = functional.grid_sample(images.unsqueeze(0).float(), grid, padding_mode="zeros", align_corners=False)
    return pixels[0].round_().to(torch.uint8)


def noisy(images: Tensor, deviation: float) -> Tensor:
    """Normal noise added, cut to black and white, from a fixed seed; `deviation` of white 1; uint8, N×28×28."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.randn(images.shape, generator=generator)
    return noise.mul_(255 * deviation).add_(images).round_().clamp_(0, 255).to(torch.uint8)
