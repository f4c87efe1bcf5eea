"""The state of a network: what a checkpoint and the trained weights keep of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def network_state(network: nn.Module) -> dict[str, Any]:
    """Return parameters and buffers by name, with the buffers that torch leaves out (`persistent=False`).

    A network may compute with those too: without them, a resumed run would have other losses.
    """
    state: dict[str, Any] = network.state_dict()
    return dict(network.named_buffers()) | state


def load_network_state(network: nn.Module, state: Mapping[str, Any]) -> None:
    """Put a network into a state in place. States of older versions lack the buffers that torch leaves out.

    Raises `RuntimeError` if it does not fit the network.
    """
    usual = network.state_dict().keys()
    device = next((parameter.device for parameter in network.parameters()), None)
    rest = dict(state)
    for name in state.keys() - usual:
        path, _, buffer = name.rpartition(".")
        owner = dict(network.named_modules()).get(path)
        if owner is not None and buffer in owner._buffers:
            value = rest.pop(name)
            owner._buffers[buffer] = value.to(device) if device is not None else value
    network.load_state_dict(rest)
