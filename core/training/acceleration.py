"""The same arithmetic in less time: how a training step differs from the exam's, and what each difference gains."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from core.config import RunConfig
from core.machine import cpu_name
from core.messages import Problem
from core.networks.build import is_built_in
from core.training import devices

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
    if not exact and device.type == "cpu" and "AMD" in cpu_name() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):
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


class CapturedStep:
    """A training step as a CUDA graph: the GPU gets its kernels all at once, not one by one from Python.

    The first steps, those on batches of another size, and every step if the GPU cannot capture are run directly.
    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
    """

    _WARM_UP = 3

    def __init__(self, step: Callable[[Tensor], Tensor], batch_size: int, device: torch.device) -> None:
        self._step = step
        self._batch = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self._uncaptured: float = self._WARM_UP
        self._graph: torch.cuda.CUDAGraph | None = None
        # The default stream cannot be captured, and steps on two streams would have to wait for each other.
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        torch.cuda.set_stream(self._stream)

    def __call__(self, batch: Tensor) -> Tensor:
        """Train on a batch and return its loss, on the device; the next call overwrites it."""
        if len(batch) != len(self._batch):
            return self._step(batch)
        if self._graph is None and self._uncaptured == 0:
            self._capture()
        if self._graph is None:
            self._uncaptured -= 1
            return self._step(batch)
        self._batch.copy_(batch)
        self._graph.replay()
        return self._loss

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                self._loss = self._step(self._batch)
        except RuntimeError:
            torch.cuda.synchronize(self._stream.device)
            self._uncaptured = math.inf
        else:
            self._graph = graph


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
            chain = [first]
            while (relu := only_user(chain[-1], nn.ReLU)) and (following := only_user(relu, nn.Linear)):
                chain.append(following)
            joined.update(chain)
            traced.set_submodule(first.target, _Perceptron([modules[node.target] for node in chain]))
            if len(chain) > 1:
                chain[-1].replace_all_uses_with(first)
    traced.graph.eliminate_dead_code()


class _Perceptron(nn.Module):
    """Linear layers with ReLU between them, computed by oneDNN as one node of autograd.

    torch would use MKL, which takes nearly twice as long on AMD, and each node of autograd costs as much as a small
    product. This saves a third of RN_1's step.
    """

    def __init__(self, linears: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(linears)
        self._weights = [linear.weight for linear in linears]
        self._biases = [linear.bias for linear in linears]
        self._has_bf16 = torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def forward(self, inputs: Tensor) -> Tensor:
        dtype = torch.bfloat16 if self._has_bf16 and torch.is_autocast_enabled("cpu") else torch.float32
        outputs: Tensor = _LinearReluChain.apply(inputs, dtype, *self._weights, *self._biases)
        return outputs


class _LinearReluChain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, dtype: torch.dtype, *parameters: Tensor) -> Tensor:
        """Compute the outputs; `parameters` are all weights, then all biases."""
        first, *rest = (tensor.to(dtype) for tensor in (inputs, *parameters))
        weights, biases = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        seen = [first]
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            seen.append(_times_transposed(seen[-1], weight, bias).relu_())
        ctx.save_for_backward(*weights, *seen)
        return _times_transposed(seen[-1], weights[-1], biases[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        number = len(ctx.saved_tensors) // 2
        weights, seen = ctx.saved_tensors[:number], ctx.saved_tensors[number:]
        weight_gradients, bias_gradients = [], []
        for i in reversed(range(number)):
            weight_gradients.append(_times_transposed(gradient.t(), seen[i].t(), None))
            bias_gradients.append(gradient.sum(0))
            if i or ctx.needs_input_grad[0]:
                gradient = _times_transposed(gradient, weights[i].t(), None)
            if i:
                gradient = torch.ops.aten.threshold_backward(gradient, seen[i], 0)
        return gradient if ctx.needs_input_grad[0] else None, None, *weight_gradients[::-1], *bias_gradients[::-1]


def _times_transposed(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(left, right, bias, "none", [], "")
    return product
