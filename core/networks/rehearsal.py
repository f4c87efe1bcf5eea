"""A trial of a network that leaves no trace in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy

import torch
from torch import nn


@contextmanager
def rehearsal(network: nn.Module) -> Iterator[nn.Module]:
    """A stand-in for `network`, in eval mode: what is run on it changes neither `network` nor the generator's state."""
    with torch.random.fork_rng(devices=[]):
        try:
            stand_in = deepcopy(network).cpu()
        except Exception:  # such as a tensor computed from parameters and kept, which torch cannot copy
            stand_in = network
        with _restored(network) if stand_in is network else nullcontext():
            stand_in.eval()
            yield stand_in


@contextmanager
def _restored(network: nn.Module) -> Iterator[None]:
    """Gives `network` its modes and its buffers (the running statistics) back."""
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
