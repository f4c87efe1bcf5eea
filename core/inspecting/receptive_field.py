"""Receptive fields, found by what the values depend on: one pixel of the image at a time is no number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from core.catalogue import SIDE
from core.inspecting.formulas import flat
from core.inspecting.forward_pass import BATCH, FAILURES, Passes, Step

_MOST_POSITIONS = 4096
_MOST_CPU_S = 10.0
"""Seconds after which a network is too large for it."""


class ReceptiveFields:
    """The pixels that each position of each layer's output depends on, the same for all images and all parameters.

    It follows the network's own arithmetic, whatever it does between its layers. Where that hides a value that is no
    number, or mixes images, the fields are unknown. They are found piece by piece.
    """

    def __init__(self) -> None:
        self._fields: dict[_Key, Tensor] = {}
        self._pieces: Iterator[None] | None = None
        self._cpu_s = 0.0
        self.are_known = False
        """True once they have been found, or cannot be."""

    def of(self, step: Step, place: tuple[int, ...]) -> bytes:
        """Return 784 bytes, 1 for each pixel that the value at `place` of an output depends on; empty if unknown."""
        if step.gave is None or (step.name, step.gave.shape) not in self._fields:
            return b""
        field = self._fields[step.name, step.gave.shape]
        position, sizes = (place[-2:], step.gave.shape[-2:]) if len(place) >= 3 else (place, step.gave.shape)
        at = flat(position, sizes)
        return field[:, at].to(torch.uint8).numpy().tobytes() if at < field.shape[1] else b""

    def advance(self, passes: Passes, is_wanted: Callable[[], bool]) -> None:
        """Go on finding them by a network's forward passes until they are known, or something else is wanted."""
        while not self.are_known and not is_wanted():
            self._pieces = self._pieces or self._measured(passes)
            began = time.process_time()
            try:
                next(self._pieces)
            except StopIteration:
                self.are_known = True
            except FAILURES:  # a custom network may refuse such images
                self.are_known = True
            self._cpu_s += time.process_time() - began
            self.are_known = self.are_known or self._cpu_s > _MOST_CPU_S

    def _measured(self, passes: Passes) -> Iterator[None]:
        """Find for each step the pixels × positions that depend on them, a batch at a time.

        In single precision some algorithms of convolution would mix neighbouring pixels and subtract them again.
        """
        size = passes.batch_size
        chunk = size if size > 1 else BATCH // 2
        images = torch.zeros(chunk, 1, SIDE, SIDE)
        passes.settle(images[0])
        if not passes.is_double or chunk < 2:
            return
        images[0] = torch.nan
        known = {
            key
            for key, marked in passes.by_image(images, _by_position).items()
            if bool((marked[0] == 2).all()) and not bool(marked[1:].any())
        }
        yield
        parts: dict[_Key, list[Tensor]] = {}
        pixels = SIDE * SIDE
        for start in range(0, pixels, chunk):
            probe = torch.zeros(chunk, pixels)
            count = min(chunk, pixels - start)
            probe[range(count), range(start, start + count)] = torch.nan
            found = passes.by_image(probe.reshape(chunk, 1, SIDE, SIDE), _by_position)
            for key in known & found.keys():
                parts.setdefault(key, []).append(found[key][:count])
            yield
        whole = {key: torch.cat(found) for key, found in parts.items() if sum(map(len, found)) == pixels}
        # Where the channels of a layer depend on different pixels, as after parallel branches, they stay unknown.
        self._fields = {key: states == 2 for key, states in whole.items() if not bool((states == 1).any())}


_Key = tuple[str, torch.Size]


def _by_position(values: Tensor) -> Tensor:
    """Return which positions are no number, N×positions: 0 for none, 2 for all channels of it, 1 for some."""
    marked = values.isnan()
    if marked.dim() >= 4:
        channels = marked.flatten(1, -3)
        state = channels.any(1).to(torch.uint8) + channels.all(1).to(torch.uint8)
    else:
        state = 2 * marked.to(torch.uint8)
    return state.flatten(1)[:, :_MOST_POSITIONS]
