"""Multiply–accumulates: the arithmetic that a network needs per image, whatever the machine."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from core.catalogue import IMAGE_SHAPE
from core.networks.rehearsal import rehearsal

_BATCH_SIZE = 2  # with one image, matrix products become matrix–vector products, which are not counted


def macs_per_image(network: nn.Module) -> int | None:
    """Return the multiply–accumulates per image of the forward pass, or None if the network cannot be traced.

    They are those of matrix products and convolutions, the padding's zeros included, as is usual. Neither the network
    nor the generator's state changes.
    """
    with rehearsal(network) as stand_in, torch.no_grad(), _nothing_fused():
        device = next((parameter.device for parameter in stand_in.parameters()), None)
        images = torch.zeros(_BATCH_SIZE, *IMAGE_SHAPE, device=device)
        try:
            with FlopCounterMode(display=False) as counter:
                stand_in(images)
        except Exception:  # a custom network may do things that torch cannot trace
            return None
    return int(counter.get_total_flops()) // (2 * _BATCH_SIZE)


@contextmanager
def _nothing_fused() -> Iterator[None]:
    """Turn off fused kernels, which would hide the products in whole recurrent layers and attention blocks."""
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
