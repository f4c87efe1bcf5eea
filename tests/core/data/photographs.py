"""Photographs of digits, made up: a digit on paper, with light, shadow, texture and noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

PHOTOGRAPHS: dict[str, dict[str, Any]] = {
    "dark on light": {},
    "light on dark": {"paper": 0.1, "ink": 0.9},
    "uneven light": {"gradient": 0.6, "noise": 0.02},
    "paper's texture": {"texture": 0.1, "noise": 0.03},
    "half in the shadow": {"shadow": 0.5, "noise": 0.02},
    "small in a corner": {"scale": 3, "at": (0.25, 0.7), "noise": 0.02},
    "fills the picture": {"scale": 13},
    "pencil": {"ink": 0.6, "noise": 0.03, "gradient": 0.3},
    "turned": {"turn": 8, "noise": 0.02},
    "chalk": {"paper": 0.15, "ink": 0.5, "noise": 0.02, "gradient": 0.4},
}


def photograph(
    digit: NDArray[np.uint8],
    *,
    size: tuple[int, int] = (480, 360),
    scale: int = 8,
    at: tuple[float, float] = (0.5, 0.5),
    paper: float = 0.85,
    ink: float = 0.2,
    gradient: float = 0,
    shadow: float = 0,
    texture: float = 0,
    noise: float = 0,
    turn: float = 0,
) -> Image.Image:
    """Return a grey photograph of a 28×28 digit, enlarged by `scale`, its middle `at` fractions of width and height."""
    generator = np.random.default_rng(1)
    width, height = size
    enlarged = Image.fromarray(digit).resize((28 * scale, 28 * scale), Image.Resampling.BICUBIC)
    layer = Image.new("L", size)
    enlarged = enlarged.rotate(turn, Image.Resampling.BICUBIC)
    layer.paste(enlarged, (round(at[0] * width) - 14 * scale, round(at[1] * height) - 14 * scale))
    drawn = np.asarray(layer) / 255
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    light = (1 - gradient * (0.6 * x + 0.4 * y)) * np.where(x + 0.5 * y > 0.75, 1 - shadow, 1)
    grains = Image.fromarray(generator.integers(0, 256, (height // 3, width // 3), np.uint8))
    grain = np.asarray(grains.resize(size, Image.Resampling.BILINEAR)) / 255 - 0.5
    seen = (paper + (ink - paper) * drawn + texture * grain) * light + generator.normal(0, noise, drawn.shape)
    return Image.fromarray((255 * seen.clip(0, 1)).astype(np.uint8))
