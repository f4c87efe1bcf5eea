"""A training step as torch's own guides write it: forward, loss, backward through autograd, optimizer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn, optim

from core.config import RunConfig
from core.training.batches import Batches


class PlainStep:
    """The step that every network can take, and that the faster ones are checked against."""

    def __init__(
        self, forward: nn.Module, batches: Batches, optimizer: optim.Optimizer, config: RunConfig, device: torch.device
    ) -> None:
        self._forward = forward
        self._batches = batches
        self._optimizer = optimizer
        self._criterion = nn.CrossEntropyLoss()
        self._autocast = autocast(config, device)

    def __call__(self, indices: Tensor) -> Tensor:
        """Train on the images with these indices; return the batch's loss, left on the device."""
        images, labels = self._batches.take(indices)
        self._optimizer.zero_grad()
        with self._autocast:
            loss: Tensor = self._criterion(self._forward(images), labels)
        loss.backward()
        self._optimizer.step()
        return loss.detach()


def autocast(config: RunConfig, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which products are in the precision that the settings ask for."""
    if config.precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
