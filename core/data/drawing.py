"""Conversion of a drawing to the form of MNIST's digits, as its authors did it: scaled, then centred by mass."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.catalogue import SIDE

Grey = NDArray[np.uint8]
"""Grey image, rows × columns, with bright ink on black."""

DIGIT_SIDE = 20
"""Side of the box that an MNIST digit fits into before it is centred."""
CENTRE = 14
"""Row and column of an MNIST digit's centre of mass, counted from 0: to half a pixel, it is there in every image."""


def mnist_form(drawing: Grey) -> Grey:
    """Convert a drawing of any size to MNIST's form, 28×28. An empty drawing stays empty.

    LeCun, Cortes and Burges: "The images were size normalized to fit in a 20x20 pixel box while preserving their aspect
    ratio […] centered in a 28x28 image by computing the center of mass of the pixels".
    """
    image = np.zeros((SIDE, SIDE), np.uint8)
    rows, columns = drawing.nonzero()
    if not len(rows):
        return image
    ink = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = DIGIT_SIDE / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    # Averages over the pixels that become one; float, as 8 bits would be rounded after each of two passes.
    scaled = Image.fromarray(ink.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    ink = np.asarray(scaled).clip(0, 255).round().astype(np.uint8)
    top, left = _offset(ink.sum(1)), _offset(ink.sum(0))
    image[top : top + height, left : left + width] = ink
    return image


def _offset(profile: NDArray[np.unsignedinteger]) -> int:
    """Return where pixels must begin for their mass to be at pixel 14, as in MNIST, as far as the frame has room."""
    side = len(profile)
    mean = float(profile @ np.arange(side)) / max(1.0, float(profile.sum()))
    return min(max(0, math.ceil(CENTRE - mean - 0.5)), SIDE - side)
