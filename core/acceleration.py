"""The same arithmetic in less time: what a training step does differently from the exam's, and what each part buys."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor, fx, nn, optim
from torch.nn import functional

from core.machine import cpu_name
from core.networks import NETWORKS, Variant

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Let the process keep what it frees. For the whole process: call it before the first tensors are made.

    glibc gives every large block back to the system, and each step of the training then faults its pages in anew:
    without, `--exact` takes 1.5 times as long.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # not glibc
    mallopt(_MMAP_THRESHOLD, 64 << 20)  # a whole data set does go back; a step's blocks are far smaller
    mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)


def load_what_training_needs() -> None:
    """Load the libraries that the first run would otherwise wait seconds for: it is done once."""
    import torchvision  # noqa: F401

    optimizer = optim.Adam([nn.Parameter(torch.zeros(1))])  # loads torch's compiler, whatever it is asked for
    optimizer.zero_grad()


def fast_equivalent(network: nn.Module, device: torch.device, *, exact: bool) -> nn.Module:
    """A network over the very same parameters that computes the same function in less time.

    Only of the exam's networks and their variants: following the forward of one's own (with `torch.fx`) would fix what
    it decides anew at each call. With `exact`, what it computes is the same to the last digit, gradients included.
    """
    if type(network) not in (*NETWORKS.values(), Variant):
        return network
    traced = fx.symbolic_trace(network)
    _pool_before_relu(traced)
    if not exact and device.type == "cpu" and "AMD" in cpu_name() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        for name, module in list(traced.named_modules()):
            if type(module) is nn.Linear:
                traced.set_submodule(name, _OneDnnLinear(module))
    traced.recompile()
    return traced


def _pool_before_relu(traced: fx.GraphModule) -> None:
    """The greatest of four values is the same before and after ReLU; found first, it leaves a quarter of the values.

    A third of RN_2's step.
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


class _OneDnnLinear(nn.Module):
    """`nn.Linear` by oneDNN: torch asks MKL, which on AMD takes nearly twice as long. A quarter of RN_1's step."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, inputs: Tensor) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            return functional.linear(inputs, self.weight, self.bias)
        outputs: Tensor = _OneDnnProduct.apply(inputs, self.weight, self.bias)
        return outputs


class _OneDnnProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return _times_transposed(inputs, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        (gradient,) = gradients
        inputs, weight = ctx.saved_tensors
        of_inputs = _times_transposed(gradient, weight.t(), None) if ctx.needs_input_grad[0] else None
        return of_inputs, _times_transposed(gradient.t(), inputs.t(), None), gradient.sum(0)


def _times_transposed(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product
