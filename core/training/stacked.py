"""Built-in networks of one architecture as one: every parameter of all of them in one tensor, and one step for all.

The parameters, buffers and averages of the single networks become views of the stacked ones, so that each network can
be tested, saved and looked into at any time as if it were alone. A step does not mix them: what is not finite in one
network never reaches another.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.nn import functional

from core.training.optimizer import fused_adam

_AVERAGES = ("exp_avg", "exp_avg_sq")


class Stack:
    """N networks with their optimizers, which have all made as many steps."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        optimizers: Sequence[optim.Optimizer],
        generators: Sequence[torch.Generator] | None = None,
    ) -> None:
        """Stack networks that lie on one device, and what Adam keeps of each parameter.

        Each network's dropout draws from its own generator, as it would alone; without `generators`, all draw at once
        from the device's generator.
        """
        self._networks = networks
        self._groups = [optimizer.param_groups[0] for optimizer in optimizers]
        self._states = [_states_of_adam(optimizer) for optimizer in optimizers]
        self._generators = generators
        parameters = [dict(network.named_parameters()) for network in networks]
        buffers = [dict(network.named_buffers()) for network in networks]
        self._parameters = {name: _stack([each[name] for each in parameters]) for name in parameters[0]}
        self._buffers = {name: _stack([each[name] for each in buffers]) for name in buffers[0]}
        self._averages = [
            [_stack([states[index][average] for states in self._states]) for index in range(len(self._parameters))]
            for average in _AVERAGES
        ]
        self._count = self._states[0][0]["step"].clone()
        for states in self._states:
            for state in states:
                assert state["step"] == self._count, "the networks have not made as many steps"
                state["step"] = self._count
        for parameter in self._parameters.values():
            parameter.requires_grad_()
        self._layers = _in_order(networks[0])

    def release(self) -> None:
        """Give every network its own parameters, buffers and averages back, as they are now."""
        for network, states in zip(self._networks, self._states, strict=True):
            for tensor in (*network.parameters(), *network.buffers()):
                tensor.data = tensor.data.clone()
            for state in states:
                state.update({name: value.clone() for name, value in state.items()})

    def step(self, images: Tensor, labels: Tensor, autocast: AbstractContextManager[object]) -> Tensor:
        """Take one step of Adam with each network on its own batch; return the losses, N.

        `images` are float, N×B×28×28, and `labels` int64, N×B; the losses are computed inside `autocast`.
        """
        parameters = list(self._parameters.values())
        with autocast:
            losses = self.losses(images, labels)
        # The gradient of a network's loss is that of the sum: no other term depends on its parameters.
        gradients = torch.autograd.grad(losses.sum(), parameters)
        self._take_adams_step(parameters, gradients)
        return losses.detach()

    def losses(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return each network's mean loss on its batch, N; it updates running statistics, as in training."""
        logits = self._logits(images.unsqueeze(1))
        return functional.cross_entropy(logits, labels, reduction="none").mean(1)

    def are_finite(self) -> list[bool]:
        """Tell for each network if all its parameters and buffers are finite."""
        everything = (*self._parameters.values(), *self._buffers.values())
        finite = torch.stack([each.detach().reshape(len(each), -1).isfinite().all(1) for each in everything])
        found: list[bool] = finite.all(0).tolist()
        return found

    # Adam

    @torch.no_grad()
    def _take_adams_step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Take the step with torch's own kernel: once for all networks, or for those with one learning rate."""
        self._count.add_(1)
        lists = [parameters, gradients, *self._averages]
        by_lr: dict[float, list[int]] = {}
        for index, group in enumerate(self._groups):
            by_lr.setdefault(float(group["lr"]), []).append(index)
        for indices in by_lr.values():
            some = lists if len(by_lr) == 1 else [[tensor[i] for tensor in each for i in indices] for each in lists]
            of_parameters, of_gradients, averages, squares = map(list, some)
            steps = [self._count] * len(of_parameters)
            contiguous = [gradient.contiguous() for gradient in of_gradients]
            fused_adam(self._groups[indices[0]], of_parameters, contiguous, averages, squares, steps)

    # The layers, each on N×units×B or N×channels×B×height×width: so the filters' gradients lie as the filters do

    def _logits(self, values: Tensor) -> Tensor:
        for name, layer in self._layers:
            values = self._apply(name, layer, values)
        return values

    def _apply(self, name: str, layer: nn.Module, values: Tensor) -> Tensor:
        match layer:
            case nn.Conv2d():
                return self._convolve(name, layer, values)
            case nn.Linear():
                return self._multiply(name, values)
            case nn.MaxPool2d():
                pooled: Tensor = functional.max_pool2d(
                    values.flatten(0, 1), layer.kernel_size, layer.stride, layer.padding
                )
                return pooled.view(*values.shape[:3], *pooled.shape[2:])
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                return self._normalise(name, layer, values)
            case nn.Dropout():
                return values * self._noise(layer.p, values)
            case nn.ReLU():
                return functional.relu(values)
            case nn.Flatten():
                return values.permute(0, 1, 3, 4, 2).flatten(1, 3)
        raise AssertionError(f"a built-in network has a layer of a new kind, {type(layer).__name__}")

    def _multiply(self, name: str, columns: Tensor) -> Tensor:
        """Multiply columns, N×inputs×M, by a layer's weights; return N×outputs×M."""
        weights, biases = self._parameters[f"{name}.weight"], self._parameters[f"{name}.bias"]
        return torch.baddbmm(biases.unsqueeze(2), weights.flatten(2), columns)

    def _convolve(self, name: str, layer: nn.Conv2d, values: Tensor) -> Tensor:
        """Convolve by a product with every patch: convolutions in N groups have slow kernels, above all backwards."""
        (height, width), (down, right) = layer.kernel_size, layer.stride
        top, left = map(int, layer.padding)
        padded = functional.pad(values, (left, left, top, top))
        patches = padded.unfold(3, height, down).unfold(4, width, right).permute(0, 1, 5, 6, 2, 3, 4)
        columns = patches.reshape(len(patches), patches.shape[1:4].numel(), -1)
        return self._multiply(name, columns).view(len(patches), -1, *patches.shape[4:])

    def _normalise(self, name: str, layer: nn.BatchNorm1d | nn.BatchNorm2d, values: Tensor) -> Tensor:
        """Normalise the channels of all networks as those of one."""
        self._buffers[f"{name}.num_batches_tracked"].add_(1)
        normalised: Tensor = functional.batch_norm(
            values.reshape(1, values.shape[:2].numel(), -1),
            self._buffers[f"{name}.running_mean"].view(-1),
            self._buffers[f"{name}.running_var"].view(-1),
            self._parameters[f"{name}.weight"].view(-1),
            self._parameters[f"{name}.bias"].view(-1),
            training=True,
            momentum=layer.momentum or 0.0,
            eps=layer.eps,
        )
        return normalised.view_as(values)

    def _noise(self, dropped: float, values: Tensor) -> Tensor:
        """Return by what dropout multiplies values, N×units×B: 0, or what makes up for that."""
        noise = torch.empty_like(values.transpose(1, 2), memory_format=torch.contiguous_format)
        if self._generators is None:
            noise.bernoulli_(1 - dropped)
        else:
            for own, generator in zip(noise, self._generators, strict=True):
                own.bernoulli_(1 - dropped, generator=generator)
        return noise.div_(1 - dropped).transpose(1, 2)


def _in_order(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the layers in the order of the forward pass, but max pooling before ReLU: the same from fewer values."""
    layers = list(network.named_children())
    for i in range(1, len(layers)):
        if isinstance(layers[i][1], nn.MaxPool2d) and isinstance(layers[i - 1][1], nn.ReLU):
            layers[i - 1], layers[i] = layers[i], layers[i - 1]
    return layers


def _states_of_adam(optimizer: optim.Optimizer) -> list[dict[str, Any]]:
    """Return what Adam keeps of each parameter; what it would start with if it has made no step."""
    states = []
    for parameter in optimizer.param_groups[0]["params"]:
        state = optimizer.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state.update({name: torch.zeros_like(parameter) for name in _AVERAGES})
        states.append(state)
    return states


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Return tensors of one shape as one, and make each of them a view of it."""
    stacked = torch.stack([tensor.detach().contiguous() for tensor in tensors])
    for tensor, view in zip(tensors, stacked, strict=True):
        tensor.data = view
    return stacked
