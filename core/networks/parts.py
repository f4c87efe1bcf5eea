"""The parts of a network that a reader sees: its layers, and the containers that hold them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

# Torch's own modules that hold layers, where its other modules are layers.
_CONTAINERS = (
    *(nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict, nn.AdaptiveLogSoftmaxWithLoss),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
    *(nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
)


def part_paths(network: nn.Module) -> dict[nn.Module, str]:
    """Map every layer and container to the first of its attribute paths; what a layer only uses inside is left out."""
    paths: dict[nn.Module, str] = {}

    def visit(module: nn.Module, path: str) -> None:
        if module in paths:
            return
        paths[module] = path
        for name, child in _carried(module):
            visit(child, f"{path}.{name}" if path else name)

    visit(network, "")
    return paths


def is_layer(module: nn.Module) -> bool:
    """Return True if a reader sees a layer: a module that carries none, or a subclass of one of torch's own layers."""
    if isinstance(module, _CONTAINERS):
        return False
    torch_class = next(parent for parent in type(module).__mro__ if parent.__module__.startswith("torch.nn.modules."))
    return torch_class is not nn.Module or not _carried(module)


def _carried(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the modules in a module that a reader sees, by name; what computes its parameters is a part of it."""
    if isinstance(module, torch.jit.ScriptModule):  # its modules are compiled with it, and no longer called
        return []
    inside = {"parametrizations"} if is_parametrized(module) else set()
    if isinstance(module, nn.MultiheadAttention):
        inside.add("out_proj")
    return [(name, child) for name, child in module.named_children() if name not in inside]


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a module without those of the modules that it carries."""
    carried = {parameter for _name, child in _carried(module) for parameter in child.parameters()}
    return {name: parameter for name, parameter in module.named_parameters() if parameter not in carried}
