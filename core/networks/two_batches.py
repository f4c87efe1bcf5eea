"""A network tried on two sizes of batch, which tells what there is for each image from what there is once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from core.catalogue import IMAGE_SHAPE
from core.networks.rehearsal import rehearsal

SMALL = 4
LARGE = 2 * SMALL  # what doubles belongs to the images; powers of two suit networks that divide a batch


@contextmanager
def on_two_batches(network: nn.Module) -> Iterator[tuple[nn.Module, torch.Tensor, torch.Tensor]]:
    """Yield a stand-in for `network`, in eval mode and without gradients, and two batches of blank images for it.

    The batches have SMALL and LARGE images. Neither the network nor the generator's state changes. Attention is carried
    out module by module, not fused.
    """
    fused_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with rehearsal(network) as stand_in, torch.no_grad():
            device = next((parameter.device for parameter in stand_in.parameters()), None)
            small, large = (torch.zeros(size, *IMAGE_SHAPE, device=device) for size in (SMALL, LARGE))
            yield stand_in, small, large
    finally:
        torch.backends.mha.set_fastpath_enabled(fused_attention)
