"""The step of RN_1 and RN_2 on a GPU in few kernels: forward, backward and Adam without autograd.

Read it as the networks are read: `_LinearLayers` has the linear layers that both end with, `_Convolutions` what comes
before them in RN_2. Every result is written over in the next step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.config import Precision
from core.networks.exam import RN_1, RN_2
from core.training.batches import Batches
from core.training.optimizer import FusedAdam
from core.training.steps.fused.flat import FlatState

_LAYERS: dict[type[nn.Module], tuple[str, ...]] = {RN_1: ("fc1", "fc2", "fc3", "fc4"), RN_2: ("fc1", "fc2")}


class FusedStep:
    """A training step as a function of the batch's indices (int64, at most `size`) that returns its loss.

    The loss is a tensor on the device, and the next step overwrites it. Smaller batches cost no compilation.
    The learning rate is read from the optimizer's tensor. The step can be captured in a CUDA graph; whoever changes the
    state otherwise than by this step calls `refresh` before the next one, which leaves the graph right.
    """

    def __init__(
        self, network: nn.Module, batches: Batches, optimizer: FusedAdam, size: int, precision: Precision
    ) -> None:
        """Prepare it. Raises `ValueError` for what these kernels do not compute, `ImportError` without Triton."""
        from core.training.steps.fused import kernels  # and with them Triton

        self._kernels = kernels
        (group,) = optimizer.param_groups
        unlike = [name for name in ("weight_decay", "amsgrad", "maximize") if group[name]]
        if type(network) not in _LAYERS or unlike or not isinstance(group["lr"], Tensor):
            raise ValueError("only RN_1 and RN_2 as they are, with plain Adam and its learning rate on the device")
        if any(each.dtype is not torch.float32 or not each.requires_grad for each in network.parameters()):
            raise ValueError("only float32 parameters that are all trained")
        self._batches, self._optimizer, self._size, self._lr = batches, optimizer, size, group["lr"]
        self._flat = FlatState(network, optimizer, with_rounded=precision == "bf16")
        device, kind = batches.images.device, torch.bfloat16 if precision == "bf16" else torch.float32
        how = "tf32" if precision == "tf32" else "ieee"
        self._x = torch.empty(size, 784, dtype=kind, device=device)
        self._y = torch.empty(size, dtype=torch.int32, device=device)
        weights = self._flat.named(self._flat.parameters if self._flat.rounded is None else self._flat.rounded)
        self._convolutions = _Convolutions(weights, self._flat, size, how) if type(network) is RN_2 else None
        self._linears = _LinearLayers(
            _LAYERS[type(network)], weights, self._flat, size, how, needs_input_gradient=type(network) is RN_2
        )

    def refresh(self) -> None:
        """Go on from what the network and the optimizer hold now, after a state was loaded into either."""
        (group,) = self._optimizer.param_groups
        if group["lr"] is not self._lr:
            self._lr.fill_(group["lr"])
            group["lr"] = self._lr
        self._flat.regather()

    def __call__(self, batch: Tensor) -> Tensor:
        if len(batch) > self._size:
            raise ValueError(f"a batch of {len(batch)} where {self._size} is the most")
        with torch.cuda.device_of(batch):  # where Triton launches
            return self._step(batch)

    def _step(self, batch: Tensor) -> Tensor:
        batches, flat, kernels, (group,) = self._batches, self._flat, self._kernels, self._optimizer.param_groups
        x, y = self._x[: len(batch)], self._y[: len(batch)]
        kernels.gather_normalise(
            batches.images, batches.labels, batch, x, y, flat.counts, batches.dataset.mean, batches.dataset.std
        )
        seen = x if self._convolutions is None else self._convolutions.forward(x)
        loss = self._linears.forward(seen, y)
        gradient = self._linears.backward(seen)
        slices = None
        if self._convolutions is not None and gradient is not None:
            slices = self._convolutions.backward(gradient, x)
        kernels.adam_flat(
            flat.parameters, flat.gradients, flat.averages, flat.squares, flat.counts, self._lr,
            betas=group["betas"], eps=group["eps"], slices=slices, rounded=flat.rounded,
        )  # fmt: skip
        return loss


class _LinearLayers:
    """Linear layers with ReLU between them, and the loss."""

    def __init__(
        self,
        names: tuple[str, ...],
        weights: dict[str, Tensor],
        flat: FlatState,
        size: int,
        precision: str,
        *,
        needs_input_gradient: bool,
    ) -> None:
        from core.training.steps.fused import kernels

        self._kernels, self._precision = kernels, precision
        gradients = flat.named(flat.gradients)
        self._weights = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
        self._gradients = [(gradients[f"{name}.weight"], gradients[f"{name}.bias"]) for name in names]
        first, device = self._weights[0][0], flat.parameters.device

        def empty(width: int) -> Tensor:
            return torch.empty(size, width, dtype=first.dtype, device=device)

        widths = [len(weight) for weight, _ in self._weights]
        self._outputs = [empty(width) for width in widths[:-1]]
        # The gradients of the layers' outputs, and that of the inputs if something comes before.
        self._slopes = [empty(width) for width in widths]
        self._input_slope = empty(first.shape[1]) if needs_input_gradient else None
        self._parts = torch.empty(self._kernels.SPLITS * size * widths[0], device=device)
        self._loss = torch.zeros((), device=device)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Compute the loss of inputs (B×K) with labels (int32, B), and the gradient of the logits with it."""
        for (weight, bias), output in zip(self._weights[:-1], self._outputs, strict=True):
            out = output[: len(x)]
            self._kernels.linear_relu(x, weight, bias, out, self._parts, self._precision)
            x = out
        self._kernels.classify(x, *self._weights[-1], y, self._slopes[-1][: len(x)], self._loss, self._precision)
        return self._loss

    def backward(self, x: Tensor) -> Tensor | None:
        """Compute all gradients for the inputs (B×K) of `forward`, and return theirs if something comes before."""
        rows = len(x)
        inputs = [x, *(output[:rows] for output in self._outputs)]
        input_slope = None if self._input_slope is None else self._input_slope[:rows]
        into = [input_slope, *(slope[:rows] for slope in self._slopes[:-1])]
        for i in reversed(range(len(inputs))):
            slope, (weight, _) = self._slopes[i][:rows], self._weights[i]
            self._kernels.linear_backward(slope, inputs[i], weight, *self._gradients[i], into[i], self._precision)
        return input_slope


class _Convolutions:
    """RN_2's two convolutions, each with its pool and ReLU."""

    def __init__(self, weights: dict[str, Tensor], flat: FlatState, size: int, precision: str) -> None:
        from core.training.steps.fused import convolutions

        self._kernels = convolutions
        self._weights, self._starts, self._precision = weights, flat.starts, precision
        device, kind = flat.parameters.device, weights["conv1.weight"].dtype

        def empty(*shape: int, dtype: torch.dtype = kind) -> Tensor:
            return torch.empty(size, *shape, dtype=dtype, device=device)

        self._first, self._first_places = empty(14, 14, 32), empty(14, 14, 32, dtype=torch.uint8)
        self._second, self._second_places = empty(3136), empty(3136, dtype=torch.uint8)
        self._first_slope, self._second_slope = torch.empty_like(self._first), empty(14, 14, 64)
        # The convolutions' parameters come first.
        self._slices = torch.empty(self._kernels.SLICES, flat.starts["fc1.weight"], device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Compute what the linear layers get (B×3136) from the images (B×784)."""
        rows = len(x)
        first, second, weights, kernels = self._first[:rows], self._second[:rows], self._weights, self._kernels
        places = self._first_places[:rows]
        kernels.first_forward(x, weights["conv1.weight"], weights["conv1.bias"], first, places)
        places = self._second_places[:rows]
        kernels.second_forward(first, weights["conv2.weight"], weights["conv2.bias"], second, places, self._precision)
        return second

    def backward(self, gradient: Tensor, x: Tensor) -> Tensor:
        """Return the parameters' gradients in parts to be added up, from that of `forward`'s result (B×3136)."""
        rows, kernels, at = len(x), self._kernels, self._starts
        first, first_slope, second_slope = self._first[:rows], self._first_slope[:rows], self._second_slope[:rows]
        kernels.unpool(gradient, self._second_places[:rows], second_slope)
        kernels.second_backward(
            second_slope, first, self._weights["conv2.weight"], self._slices, first_slope,
            at["conv2.weight"], at["conv2.bias"], self._precision,
        )  # fmt: skip
        places = self._first_places[:rows]
        kernels.first_backward(first_slope, places, x, self._slices, at["conv1.weight"], at["conv1.bias"])
        return self._slices
