"""A chain of fully connected layers, forward and backward, without autograd.

Each node of autograd costs as much as a small product. The arithmetic and the random draws are those of torch's own
layers; the products are computed by the faster of torch's two libraries.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.machine import cpu_name
from core.training.batches import Batches
from core.training.optimizer import FusedAdam

_MANY_MACS = 1 << 22
"""Multiply-accumulates of a product from which on oneDNN is faster than MKL on an AMD processor: twice as fast."""
_MEAN, _IGNORE_NONE = 1, -100  # the reduction, and the label that cross-entropy leaves out, in torch's own code
_aten = torch.ops.aten


class Linear(NamedTuple):
    weight: Tensor
    bias: Tensor

    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        weight, bias = self.weight.to(inputs.dtype), self.bias.to(inputs.dtype)
        return product(inputs, weight, bias), (inputs, weight)

    def backward(self, gradient: Tensor, saved: Any, *, needs_input: bool) -> tuple[Tensor | None, list[Tensor]]:
        inputs, weight = saved
        own = [product(gradient.t(), inputs.t()), gradient.sum(0)]
        return (product(gradient, weight.t()) if needs_input else None), own


class ReLU(NamedTuple):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        outputs = inputs.relu_()  # nothing else needs what came before
        return outputs, outputs

    def backward(self, gradient: Tensor, saved: Any, *, needs_input: bool) -> tuple[Tensor | None, list[Tensor]]:
        return _aten.threshold_backward.default(gradient, saved, 0), []


class BatchNorm(NamedTuple):
    module: nn.BatchNorm1d

    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        norm = self.module
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.add_(1)
        outputs, mean, inverse_deviation = _aten.native_batch_norm.default(
            inputs, norm.weight, norm.bias, norm.running_mean, norm.running_var, True, norm.momentum, norm.eps
        )
        return outputs, (inputs, mean, inverse_deviation)

    def backward(self, gradient: Tensor, saved: Any, *, needs_input: bool) -> tuple[Tensor | None, list[Tensor]]:
        norm, (inputs, *statistics) = self.module, saved
        of_inputs, *own = _aten.native_batch_norm_backward.default(
            gradient, inputs, norm.weight, norm.running_mean, norm.running_var, *statistics, True, norm.eps, [True] * 3
        )
        return of_inputs, own


class Dropout(NamedTuple):
    module: nn.Dropout

    def forward(self, inputs: Tensor) -> tuple[Tensor, Any]:
        kept = 1 - self.module.p
        noise = torch.empty_like(inputs).bernoulli_(kept).div_(kept)
        return inputs * noise, noise

    def backward(self, gradient: Tensor, saved: Any, *, needs_input: bool) -> tuple[Tensor | None, list[Tensor]]:
        return gradient * saved, []


Layer = Linear | ReLU | BatchNorm | Dropout


class Chain:
    """Layers one after another, in training: from N×inputs to N×outputs, over the very parameters of a network."""

    def __init__(self, layers: Sequence[Layer], parameters: Sequence[nn.Parameter]) -> None:
        self._layers = layers
        self.parameters = parameters
        """In the order of the gradients: from the last layer to the first."""

    @classmethod
    def of(cls, modules: Sequence[nn.Module]) -> Chain | None:
        """Return the chain that does the same as these layers; None if they are, or have, something else."""
        layers: list[Layer] = []
        width = None
        for module in modules:
            if type(module) is nn.Flatten and not layers and (module.start_dim, module.end_dim) == (1, -1):
                continue
            if type(module) is nn.Linear and module.bias is not None and width in (None, module.in_features):
                width = module.out_features
                layers.append(Linear(module.weight, module.bias))
            elif type(module) is nn.ReLU and layers:
                layers.append(ReLU())
            elif type(module) is nn.BatchNorm1d and _is_usual(module) and module.num_features == width:
                layers.append(BatchNorm(module))
            elif type(module) is nn.Dropout and layers and 0 <= module.p < 1:
                layers += [Dropout(module)] if module.p else []
            else:
                return None
        parameters = [parameter for module in reversed(modules) for parameter in module.parameters()]
        is_plain = all(map(_is_plain, parameters)) and len(set(parameters)) == len(parameters)
        return cls(layers, parameters) if is_plain and layers and isinstance(layers[0], Linear) else None

    def is_all_of(self, network: nn.Module) -> bool:
        """Tell if the chain trains all of a network, in single precision."""
        is_single = all(parameter.dtype == torch.float32 for parameter in self.parameters)
        return is_single and set(self.parameters) == set(network.parameters())

    def forward(self, inputs: Tensor) -> tuple[Tensor, list[Any]]:
        """Return the outputs, and what `backward` needs."""
        saved = []
        for layer in self._layers:
            inputs, kept = layer.forward(inputs)
            saved.append(kept)
        return inputs, saved

    def backward(self, gradient: Tensor, saved: list[Any], *, needs_input: bool) -> tuple[Tensor | None, list[Tensor]]:
        """Return the gradient of the inputs, if it is needed, and those of the parameters."""
        gradients: list[Tensor] = []
        of_inputs: Tensor | None = gradient
        for number in reversed(range(len(self._layers))):
            assert of_inputs is not None
            needed = needs_input or number > 0
            of_inputs, own = self._layers[number].backward(of_inputs, saved[number], needs_input=needed)
            gradients += own
        return of_inputs, gradients


class ChainStep:
    """A training step of a chain: batch, forward, mean cross-entropy, backward and Adam, on the CPU."""

    def __init__(self, chain: Chain, batches: Batches, optimizer: FusedAdam, dtype: torch.dtype) -> None:
        self._chain = chain
        self._batches = batches
        self._optimizer = optimizer
        self._dtype = dtype
        place = {parameter: place for place, parameter in enumerate(chain.parameters)}
        self._places = [place[parameter] for parameter in optimizer.param_groups[0]["params"]]
        self._one = torch.ones(())

    @torch.no_grad()
    def __call__(self, indices: Tensor) -> Tensor:
        """Train on the images with these indices and return their loss, float32."""
        images, labels = self._batches.take(indices)
        logits, saved = self._chain.forward(images.flatten(1).to(self._dtype))
        log_p = _aten._log_softmax.default(logits.float(), 1, False)
        loss, weight = _aten.nll_loss_forward.default(log_p, labels, None, _MEAN, _IGNORE_NONE)
        gradient = _aten.nll_loss_backward.default(self._one, log_p, labels, None, _MEAN, _IGNORE_NONE, weight)
        gradient = _aten._log_softmax_backward_data.default(gradient, log_p, 1, torch.float32)
        _, gradients = self._chain.backward(gradient.to(self._dtype), saved, needs_input=False)
        self._optimizer.apply([gradients[place].float() for place in self._places])
        return loss  # type: ignore[no-any-return]


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `left` times the transpose of `right`, plus `bias`: M×K and N×K give M×N."""
    if (
        left.numel() * right.shape[0] >= _MANY_MACS
        and left.dtype in (torch.float32, torch.bfloat16)
        and _prefers_onednn()
    ):
        return torch.ops.mkldnn._linear_pointwise.default(left, right, bias, "none", [], "")  # type: ignore[no-any-return]
    return left @ right.t() if bias is None else torch.addmm(bias, left, right.t())


@cache
def _prefers_onednn() -> bool:
    """Tell if oneDNN is faster than MKL here. MKL leaves AMD's widest instructions unused."""
    return "AMD" in cpu_name() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


@cache
def has_bf16() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _is_usual(norm: nn.BatchNorm1d) -> bool:
    """Tell if a batch normalisation has all that it usually has: scale, shift, running statistics and a momentum."""
    return norm.affine and norm.running_mean is not None and norm.momentum is not None


def _is_plain(parameter: nn.Parameter) -> bool:
    """Tell if a parameter is nothing but trained numbers, side by side in memory."""
    hooks = (parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None))
    is_trained = type(parameter) is nn.Parameter and parameter.requires_grad and parameter.is_contiguous()
    return is_trained and not any(hooks)
