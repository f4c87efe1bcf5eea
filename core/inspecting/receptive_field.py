"""Receptive fields, found by what the values depend on: one pixel of the image at a time is no number."""

from __future__ import annotations

import torch
from torch import Tensor

from core.catalogue import SIDE
from core.inspecting.formulas import flat
from core.inspecting.forward_pass import BATCH, Passes, Step

_MOST_POSITIONS = 4096


class ReceptiveFields:
    """The pixels that each position of each layer's output depends on, the same for all images.

    It follows the network's own arithmetic, whatever it does between its layers. Where that hides a value that is no
    number, or mixes images, the fields are unknown.
    """

    def __init__(self, passes: Passes) -> None:
        self._passes = passes
        self._fields: dict[_Key, Tensor] | None = None

    def of(self, step: Step, place: tuple[int, ...]) -> bytes:
        """Return 784 bytes, 1 for each pixel that the value at `place` of an output depends on; empty if unknown."""
        self.measure()
        if step.gave is None or self._fields is None or (step.name, step.gave.shape) not in self._fields:
            return b""
        field = self._fields[step.name, step.gave.shape]
        position, sizes = (place[-2:], step.gave.shape[-2:]) if len(place) >= 3 else (place, step.gave.shape)
        at = flat(position, sizes)
        return field[:, at].to(torch.uint8).numpy().tobytes() if at < field.shape[1] else b""

    def measure(self) -> None:
        """Find all fields, if they are not known yet."""
        if self._fields is not None:
            return
        self._fields = {}
        if not self._passes.is_double:
            return
        try:
            self._fields = self._measured()
        except Exception:  # a custom network may refuse such images
            return

    def _measured(self) -> dict[_Key, Tensor]:
        """Return for each step the pixels × positions that depend on them.

        In single precision some algorithms of convolution would mix neighbouring pixels and subtract them again.
        """
        size = self._passes.batch_size
        chunk = size if size > 1 else BATCH
        images = torch.zeros(chunk, 1, SIDE, SIDE)
        images[0] = torch.nan
        known = {
            key
            for key, marked in self._passes.by_image(images, _by_position).items()
            if chunk > 1 and bool(marked[0].all()) and not bool(marked[1:].any())
        }
        parts: dict[_Key, list[Tensor]] = {}
        pixels = SIDE * SIDE
        for start in range(0, pixels, chunk):
            probe = torch.zeros(chunk, pixels)
            count = min(chunk, pixels - start)
            probe[range(count), range(start, start + count)] = torch.nan
            found = self._passes.by_image(probe.reshape(chunk, 1, SIDE, SIDE), _by_position)
            for key in known & found.keys():
                parts.setdefault(key, []).append(found[key][:count])
        return {key: torch.cat(found) for key, found in parts.items() if sum(map(len, found)) == pixels}


_Key = tuple[str, torch.Size]


def _by_position(values: Tensor) -> Tensor:
    """Return which positions are no number, N×positions: a position is the same in all channels."""
    if values.dim() >= 4:
        values = values.flatten(1, -3).sum(1)  # faster than to look at every channel
    return values.isnan().flatten(1)[:, :_MOST_POSITIONS]
