"""Conversion of a drawing to the form of MNIST's digits, as its authors did it: scaled, then centred by mass."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from core.catalogue import SIDE

_DIGIT_SIDE = 20
"""Side of the box that an MNIST digit fits into before it is centred."""


def mnist_form(drawing: Tensor) -> Tensor:
    """Convert a drawing to MNIST's form; both are uint8, 28×28, bright ink on black. An empty drawing stays empty.

    LeCun, Cortes and Burges: "The images were size normalized to fit in a 20x20 pixel box while preserving their aspect
    ratio […] centered in a 28x28 image by computing the center of mass of the pixels".
    """
    rows, columns = drawing.nonzero(as_tuple=True)
    if not len(rows):
        return drawing.clone()
    ink = drawing[int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1].float()
    scale = _DIGIT_SIDE / max(ink.shape)
    size = [max(1, round(side * scale)) for side in ink.shape]
    ink = functional.interpolate(ink[None, None], size, mode="bilinear", antialias=True)[0, 0].clamp(0, 255)

    top, left = (_offset(ink.sum(axis), side) for axis, side in ((1, size[0]), (0, size[1])))
    image = torch.zeros(SIDE, SIDE)
    image[top : top + size[0], left : left + size[1]] = ink
    return image.round().to(torch.uint8)


def _offset(profile: Tensor, side: int) -> int:
    """Return where `side` pixels must begin for their mass to be in the middle, as far as the frame has room."""
    middle = float((profile * torch.arange(side)).sum() / profile.sum())
    return min(max(0, round((SIDE - 1) / 2 - middle)), SIDE - side)
