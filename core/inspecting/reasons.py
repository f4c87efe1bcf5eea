"""Why a network gives its answer: what hiding each place of the image does, and which training images it sees alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.catalogue import SIDE
from core.inspecting.forward_pass import Passes, Step

PATCH = 4
"""Rows, and columns, of the square that is hidden."""
STRIDE = 2
"""Pixels between neighbouring squares."""
_BATCH = 1024


def without_each_place(passes: Passes, image: Tensor, background: float) -> Tensor:
    """Return the logits, (SIDE/STRIDE)²×classes, with a square hidden around every second pixel, row by row.

    `image` is normalised, 1×28×28; hidden pixels have the value of the `background`.
    """
    starts = range(0, SIDE, STRIDE)
    images = image.expand(len(starts) ** 2, *image.shape).clone()
    margin = (PATCH - STRIDE) // 2
    for number, (row, column) in enumerate((row, column) for row in starts for column in starts):
        rows, columns = (slice(max(0, at - margin), at - margin + PATCH) for at in (row, column))
        images[number, :, rows, columns] = background
    return passes.outputs(images)


class LastHidden:
    """What a network gives to its last linear layer, for all training images."""

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._values: Tensor | None = None

    def nearest(
        self,
        steps: list[Step],
        images: Tensor,
        prepare: Callable[[Tensor], Tensor],
        tell: Callable[[float], None],
        count: int,
    ) -> list[tuple[int, float]]:
        """Return the indices of the training images, N×28×28, that are nearest, with their Euclidean distances.

        `prepare` normalises images; `tell` is told the fraction that is done. Raises `LookupError` if the network has
        no linear layer.
        """
        linear = [step for step in steps if isinstance(step.module, nn.Linear) and step.given is not None]
        if not linear or linear[-1].given is None:
            raise LookupError("no linear layer")
        layer, own = linear[-1].module, linear[-1].given.flatten()
        if self._values is None:
            with self._passes.in_single_precision():
                self._values = self._all(layer, images, prepare, tell)
        distances = (self._values - own.to(self._values.dtype)).square().sum(1)
        nearest = distances.topk(min(count, len(distances)), largest=False).indices
        exact = self._passes.outputs(prepare(images[nearest]), layer).flatten(1).sub(own).square().sum(1).sqrt()
        return sorted(zip(nearest.tolist(), exact.tolist(), strict=True), key=lambda each: each[1])

    def _all(
        self, layer: nn.Module, images: Tensor, prepare: Callable[[Tensor], Tensor], tell: Callable[[float], None]
    ) -> Tensor:
        found = []
        for start in range(0, len(images), _BATCH):
            found.append(self._passes.outputs(prepare(images[start : start + _BATCH]), layer).flatten(1))
            tell(min(1.0, (start + _BATCH) / len(images)))
        return torch.cat(found)
