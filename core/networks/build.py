"""The one way to build a network, built-in or custom, from its architecture."""

from __future__ import annotations

from importlib import import_module

from torch import nn

from core.catalogue import NETWORKS
from core.config import Architecture
from core.networks.own import OwnNetwork
from core.networks.variant import Variant


def built_in_class(name: str) -> type[nn.Module]:
    """Return the class of a built-in network, given its name in `catalogue.NETWORKS`."""
    module, _, class_name = NETWORKS[name].class_path.partition(":")
    found: type[nn.Module] = getattr(import_module(module), class_name)
    return found


def is_built_in(network: nn.Module) -> bool:
    """Return True for a built-in network or a variant of one, whose forward does the same in every call."""
    return type(network) in (Variant, *map(built_in_class, NETWORKS))


def build_network(architecture: Architecture) -> nn.Module:
    """Build a network on the CPU, in training mode; its parameters are drawn from torch's default generator.

    Raises `Problem` if there is no such network, or if it does not map N×1×28×28 images to N×10 logits.
    """
    model = architecture.model
    if model in NETWORKS:
        network_class = built_in_class(model)
        return Variant(network_class, architecture) if architecture.is_variant else network_class()
    return OwnNetwork.of(architecture).build()
