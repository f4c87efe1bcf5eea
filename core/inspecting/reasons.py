"""Why a network gives its answer: what hiding each place of the image does, and which training images it sees alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from core.catalogue import SIDE
from core.inspecting.forward_pass import Passes, Step

PATCH = 4
"""Rows, and columns, of the square that is hidden."""
STRIDE = 2
"""Pixels between neighbouring squares."""
_CHUNK = 1024
_MOST_KEPT = 16_000_000
"""Values that are kept of the training images: for more, they are computed anew each time."""


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
        self._kept: list[Tensor] = []

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
        no linear layer, or what it is given cannot be told apart by image.
        """
        linear = [step for step in steps if isinstance(step.module, nn.Linear) and step.given is not None]
        if not linear or linear[-1].given is None:
            raise LookupError("no linear layer")
        layer, own = linear[-1].module, linear[-1].given.flatten()
        if not bool(own.isfinite().all()):
            raise LookupError("values that are not finite have no distance")
        nearest = torch.zeros(0, dtype=torch.long)
        least = torch.zeros(0)
        for start, values in self._chunks(layer, images, prepare):
            distances = torch.cat([least, (values - own.to(values.dtype)).square().sum(1)])
            indices = torch.cat([nearest, torch.arange(start, start + len(values))])
            least, order = distances.topk(min(count, len(distances)), largest=False)
            nearest = indices[order]
            tell(min(1.0, (start + len(values)) / len(images)))
        exact = self._passes.inputs_of(layer, prepare(images[nearest])).flatten(1).sub(own).square().sum(1).sqrt()
        return sorted(zip(nearest.tolist(), exact.tolist(), strict=True), key=lambda each: each[1])

    def _chunks(
        self, layer: nn.Module, images: Tensor, prepare: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[int, Tensor]]:
        """Yield the values of images, with the number of the first of them; they are kept if they are not too many."""
        if self._kept:
            for number, values in enumerate(self._kept):
                yield number * _CHUNK, values
            return
        single = self._passes.in_single_precision()
        kept: list[Tensor] = []
        for start in range(0, len(images), _CHUNK):
            values = single.inputs_of(single.twin_of(layer), prepare(images[start : start + _CHUNK])).flatten(1)
            if values[0].numel() * len(images) <= _MOST_KEPT:
                kept.append(values)
            yield start, values
        self._kept = kept
