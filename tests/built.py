"""Networks built by name, for tests that need no run around them."""

from __future__ import annotations

from typing import Any

from torch import nn

from core.config import Architecture
from core.networks.build import build_network


def built(model: str, **options: Any) -> nn.Module:
    """Build a network; `options` are other fields of `Architecture`."""
    return build_network(Architecture(model=model, **options))
