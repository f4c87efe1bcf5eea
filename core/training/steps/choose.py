"""The one way to a training step: the plain one, or a faster one that is checked against it."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn, optim

from core.config import RunConfig
from core.messages import N_, Message
from core.networks.build import is_built_in
from core.networks.exam import RN_1, RN_2
from core.training.batches import Batches
from core.training.optimizer import FusedAdam
from core.training.steps.captured import Captured, CudaGraphs, Graphs
from core.training.steps.chain import Chain, ChainStep, has_bf16
from core.training.steps.checked import CheckedStep, State, Step
from core.training.steps.fused.step import FusedStep
from core.training.steps.plain import PlainStep
from core.training.steps.straight import chain_of

_NOTHING_FUSED = N_("fused steps are for NVIDIA GPUs: on {device} this run takes its usual ones")


class Steps:
    """The steps of a training, and what they hold of the device."""

    def __init__(
        self,
        network: nn.Module,
        forward: nn.Module,
        batches: Batches,
        optimizer: optim.Optimizer,
        config: RunConfig,
        device: torch.device,
        *,
        fast: bool = True,
    ) -> None:
        """Choose the step: the plain one unless it may be a `fast` one. `forward` computes what `network` does."""
        self.notices: list[Message] = []
        """What the user should know of the choice; whoever shows them takes them out."""
        self._graphs: Graphs | None = None
        """What records steps on the device."""
        plain = PlainStep(forward, batches, optimizer, config, device)
        self.take: Step = plain
        """Train on the images with these indices and return their loss, on the device; the next call overwrites it."""
        checked = partial(
            CheckedStep,
            state=State(network, optimizer),
            batch_size=config.batch_size,
            num_images=len(batches.labels),
            device=device,
            precision=config.precision,
            tell=self.notices.append,
        )
        if config.exact or not fast:
            return
        if is_built_in(network) or config.fused:
            self._graphs = graphs_on(device)
        if config.fused and self._graphs is None:
            self.notices.append(Message(_NOTHING_FUSED, {"device": str(device)}))
        if self._graphs is not None:
            # A graph keeps a number as it was when it was recorded.
            optimizer.param_groups[0].update(capturable=True, lr=torch.tensor(config.lr, device=device))
            recorded = partial(Captured, graphs=self._graphs, batch_size=config.batch_size, device=device)
            self.take = checked(
                plain,
                partial(recorded, plain),
                watched=None if is_built_in(network) else network,
            )
            if config.fused and type(network) in (RN_1, RN_2) and isinstance(optimizer, FusedAdam):
                # It moves the parameters to another place, before the plain step is recorded.
                make_fused = partial(FusedStep, network, batches, optimizer, config.batch_size, config.precision)
                self.take = checked(self.take, lambda: recorded(make_fused()))
        elif device.type == "cpu" and isinstance(optimizer, FusedAdam):
            chain = Chain.of(chain_of(network) or [])
            if chain is not None and chain.is_all_of(network):
                dtype = torch.bfloat16 if config.precision == "bf16" and has_bf16() else torch.float32
                # Checked against torch's own layers: a quicker forward may be made of this very chain.
                layer_by_layer = PlainStep(network, batches, optimizer, config, device)
                self.take = checked(layer_by_layer, partial(ChainStep, chain, batches, optimizer, dtype))

    def close(self) -> None:
        """Give back what they hold of the device."""
        if self._graphs is not None:
            self._graphs.close()


def graphs_on(device: torch.device) -> Graphs | None:
    """Return what records steps on a device, if there is anything."""
    return CudaGraphs(device) if device.type == "cuda" else None
