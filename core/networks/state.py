"""The state of a network: what a checkpoint and the trained weights keep of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


def network_state(network: nn.Module) -> dict[str, Any]:
    """Return parameters and buffers by name, with the buffers that torch leaves out (`persistent=False`).

    A network may compute with those too: without them, a resumed run would have other losses.
    """
    state: dict[str, Any] = network.state_dict()
    return dict(network.named_buffers()) | state


@torch.no_grad()
def load_network_state(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Put a network into a state in place. States of older versions lack the buffers that torch leaves out.

    Raises `RuntimeError` if it does not fit the network.
    """
    usual = network.state_dict().keys()
    device = next((parameter.device for parameter in network.parameters()), None)
    modules = {path: each for path, each in network.named_modules() if not isinstance(each, torch.jit.ScriptModule)}
    rest = dict(state)
    for name in state:
        path, _, buffer = name.rpartition(".")
        buffers = modules[path]._buffers if path in modules else {}
        known = buffers.get(buffer)
        if known is not None and known.layout is not torch.strided:
            rest[name] = state[name].to_dense().to_sparse(layout=known.layout)
        elif known is not None and known.shape != state[name].shape:
            buffers[buffer] = torch.empty_like(state[name], device=device)  # it was given its size while training
        elif known is not None and 0 in known.stride():
            known = buffers[buffer] = known.contiguous()  # an expanded one cannot be written to
        if name in usual or buffer not in buffers:
            continue
        value = rest.pop(name)
        if known is not None and (known.shape, known.dtype) == (value.shape, value.dtype):
            known.copy_(value)  # other modules may share it
        else:
            buffers[buffer] = value.to(device)
    network.load_state_dict(rest)
