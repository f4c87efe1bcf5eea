"""Parameters, gradients and Adam's moments side by side in memory, so that one kernel can update them all."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.training.optimizer import FusedAdam

_MULTIPLE = 1024
"""Flat tensors have a multiple of so many numbers, for kernels to read several at once; the last ones stay zero."""


class FlatState:
    """A network's parameters and its optimizer's moments as views of flat float32 tensors, in the parameters' order.

    Parameters stay the same objects with the same shapes. Filters over several channels have their channels last in
    memory. `rounded` are the parameters in bfloat16, if they are asked for: whoever changes the others writes them too.
    """

    def __init__(self, network: nn.Module, optimizer: FusedAdam, *, with_rounded: bool) -> None:
        self._parameters = list(network.parameters())
        self._optimizer = optimizer
        sizes = [parameter.numel() for parameter in self._parameters]
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        if any(start % 8 for start in starts):
            raise ValueError("parameters that do not begin at a multiple of 16 bytes")
        device = self._parameters[0].device
        size = math.ceil(sum(sizes) / _MULTIPLE) * _MULTIPLE
        # Apart from one another, so that a checkpoint of one does not hold them all.
        self.parameters, self.gradients, self.averages, self.squares = (
            torch.zeros(size, device=device) for _ in range(4)
        )
        self.rounded = torch.zeros(size, dtype=torch.bfloat16, device=device) if with_rounded else None
        self.counts = torch.zeros(len(sizes), device=device)
        self.starts = dict(zip((name for name, _ in network.named_parameters()), starts, strict=True))
        self._shapes = {name: parameter.shape for name, parameter in network.named_parameters()}
        self._averages, self._squares = self._views(self.averages), self._views(self.squares)
        for parameter, view in zip(self._parameters, self._views(self.parameters), strict=True):
            view.copy_(parameter.detach())
            parameter.data = view
        self.regather()

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """Return views of a flat tensor by the parameters' names, in the parameters' shapes."""
        return dict(zip(self._shapes, self._views(flat), strict=True))

    def _views(self, flat: Tensor) -> list[Tensor]:
        views = []
        for shape, start in zip(self._shapes.values(), self.starts.values(), strict=True):
            part = flat[start : start + shape.numel()]
            if len(shape) == 4:
                out, before, height, width = shape
                views.append(part.view(out, height, width, before).permute(0, 3, 1, 2))
            else:
                views.append(part.view(shape))
        return views

    @torch.no_grad()
    def regather(self) -> None:
        """Take over what the network and its optimizer were given meanwhile: a checkpoint, or a step of another kind.

        A captured graph remains right, since no flat tensor is replaced. Raises `ValueError` if the parameters have
        not all been updated equally often.
        """
        for i, (parameter, average, square) in enumerate(
            zip(self._parameters, self._averages, self._squares, strict=True)
        ):
            state = self._optimizer.state.get(parameter)
            if not state:
                for tensor in (average, square, self.counts[i]):
                    tensor.zero_()
            elif state["exp_avg"] is not average:
                average.copy_(state["exp_avg"])
                square.copy_(state["exp_avg_sq"])
                self.counts[i].copy_(state["step"])
        if bool((self.counts != self.counts[0]).any()):
            raise ValueError("parameters that were not updated equally often")
        if self.rounded is not None:
            self.rounded.copy_(self.parameters)
        self._optimizer.keep_in(self._averages, self._squares, self.counts)
