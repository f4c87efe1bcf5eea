"""A trial run of a network that leaves no trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy

import torch
from torch import nn

from core.randomness import random_state_kept

_CPU = torch.device("cpu")


@contextmanager
def rehearsal(network: nn.Module, device: torch.device = _CPU) -> Iterator[nn.Module]:
    """Yield a stand-in for `network`, in eval mode: running it changes neither `network` nor a random generator."""
    with random_state_kept(device):
        try:
            stand_in = deepcopy(network).to(device)
        except Exception:  # for example, torch cannot copy a stored tensor that was computed from parameters
            stand_in = network
        with _restored(network) if stand_in is network else nullcontext():
            stand_in.eval()
            yield stand_in


@contextmanager
def _restored(network: nn.Module) -> Iterator[None]:
    """Restore the modes and the buffers (running statistics) of `network` afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    buffers = [
        (module._buffers, name, buffer, buffer.clone())
        for module in network.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for owner, name, buffer, value in buffers:
            with torch.no_grad():
                buffer.copy_(value)
            owner[name] = buffer
