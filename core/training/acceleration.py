"""The same forward pass in less time, and the settings of the whole process that a training needs."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from core.config import RunConfig
from core.messages import Problem
from core.networks.build import is_built_in
from core.training import devices
from core.training.steps.chain import Chain, has_bf16

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let the whole process keep the memory that it frees; call this before the first tensors are made.

    Otherwise glibc gives every large block back to the system, and each training step faults its pages in anew:
    `--exact` then takes 1.5 times as long.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    mallopt(_MMAP_THRESHOLD, 1 << 30)  # larger than the blocks of a batch of thousands
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def fast_equivalent(network: nn.Module, device: torch.device, *, exact: bool) -> nn.Module:
    """Return a network over the very same parameters that computes the same function in less time.

    A custom network is returned as it is: tracing its forward (with `torch.fx`) would freeze what it decides anew in
    each call. With `exact`, the results are the same to the last digit, gradients included.
    """
    if not is_built_in(network):
        return network
    traced = fx.symbolic_trace(network)
    _pool_before_relu(traced)
    if not exact and device.type == "cpu":
        _join_linears(traced)
    traced.recompile()
    return traced


def lay_out(network: nn.Module, device: torch.device, *, exact: bool) -> None:
    """Store a built-in network's filters in the order in which the CPU's convolutions read them.

    It spares them copies: RN_2 answers in a third of the time. Only where it is known to be right: in a custom network,
    a view after a convolution would fail, and a convolution in three dimensions has no such order.
    """
    if not exact and device.type == "cpu" and is_built_in(network):
        network.to(memory_format=torch.channels_last)


def prepare(device: torch.device, config: RunConfig) -> None:
    """Set the precision that `config` asks for, with reproducible arithmetic. Raises `Problem` if there is no TF32.

    torch applies these settings to the whole process. `--exact` keeps those that the exam's program would have.
    """
    on_gpu = device.type == "cuda"
    if config.precision == "tf32" and not (on_gpu and torch.cuda.get_device_capability(device) >= (8, 0)):
        raise Problem("{device} has no TF32: choose fp32 or bf16", device=devices.device_name(device))
    if on_gpu and not config.exact:
        precision = "tf32" if config.precision == "tf32" else "ieee"
        torch.backends.cuda.matmul.fp32_precision = precision
        torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic = True


def _pool_before_relu(traced: fx.GraphModule) -> None:
    """Move max pooling before ReLU: the maximum of four values is the same, and ReLU gets a quarter of the values.

    This saves a third of RN_2's step.
    """
    modules = dict(traced.named_modules())
    for pool in list(traced.graph.nodes):
        if pool.op != "call_module" or type(modules[pool.target]) is not nn.MaxPool2d:
            continue
        (relu,) = pool.all_input_nodes
        if relu.op == "call_module" and type(modules[relu.target]) is nn.ReLU and len(relu.users) == 1:
            (before,) = relu.all_input_nodes
            pool.replace_input_with(relu, before)
            pool.replace_all_uses_with(relu)
            relu.replace_input_with(before, pool)
            pool.append(relu)


def _join_linears(traced: fx.GraphModule) -> None:
    modules = dict(traced.named_modules())

    def only_user(node: fx.Node, kind: type[nn.Module]) -> fx.Node | None:
        users = [user for user in node.users if user.op == "call_module" and type(modules[user.target]) is kind]
        return users[0] if len(users) == len(node.users) == 1 else None

    joined: set[fx.Node] = set()
    for first in list(traced.graph.nodes):
        if first.op == "call_module" and type(modules[first.target]) is nn.Linear and first not in joined:
            nodes = [first]
            while (relu := only_user(nodes[-1], nn.ReLU)) and (following := only_user(relu, nn.Linear)):
                nodes += [relu, following]
            joined.update(nodes)
            layers = [modules[node.target] for node in nodes]
            chain = Chain.of(layers)
            if chain is None:  # such as one with frozen parameters
                continue
            traced.set_submodule(first.target, _Joined(layers, chain))
            if len(nodes) > 1:
                nodes[-1].replace_all_uses_with(first)
    traced.graph.eliminate_dead_code()


class _Joined(nn.Module):
    """Linear layers with ReLU between them, computed as one node of autograd."""

    def __init__(self, layers: Sequence[nn.Module], chain: Chain) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self._chain = chain

    def forward(self, inputs: Tensor) -> Tensor:
        in_bf16 = torch.is_autocast_enabled("cpu") and has_bf16()
        given = inputs.to(torch.bfloat16 if in_bf16 else torch.float32)
        outputs: Tensor = _ThroughChain.apply(given, self._chain, *self._chain.parameters)
        return outputs


class _ThroughChain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, chain: Chain, *_parameters: Tensor) -> Tensor:
        """Compute the outputs; autograd has to know the parameters."""
        ctx.chain = chain
        outputs, ctx.saved = chain.forward(inputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_inputs, of_parameters = ctx.chain.backward(*gradients, ctx.saved, needs_input=ctx.needs_input_grad[0])
        return of_inputs, None, *of_parameters
