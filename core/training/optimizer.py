"""The optimizer of a training: the exam's Adam, digit for digit or in less time."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn, optim

from core.config import RunConfig


def make_optimizer(network: nn.Module, config: RunConfig) -> optim.Optimizer:
    """Make the optimizer that the settings ask for, over the network's parameters."""
    options: dict[str, Any] = {"lr": config.lr}
    if config.exact:
        return Adam(network.parameters(), foreach=True, **options)  # the exam's digits, in less time
    if all(map(_is_one_block, network.parameters())):
        return FusedAdam(network, **options)
    return Adam(network.parameters(), **options)


def _is_one_block(parameter: Tensor) -> bool:
    """Tell whether a parameter's numbers lie side by side in memory: the fused kernel takes that for granted.

    It updates every second column of a wider matrix in the wrong places, and corrupts the heap of an expanded one.
    """
    if parameter.layout is not torch.strided or not parameter.is_floating_point():
        return False
    return parameter.is_contiguous() or (
        parameter.dim() == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    )


def set_lr(optimizer: optim.Optimizer, lr: float) -> None:
    """Set the learning rate from the next step on."""
    (group,) = optimizer.param_groups
    if isinstance(group["lr"], Tensor):  # where the step is captured: a number would stay what it was then
        group["lr"].fill_(lr)
    else:
        group["lr"] = lr


class Adam(optim.Adam):
    """`optim.Adam` without the decorators that load torch's compiler: two seconds at the start of every training."""

    add_param_group = inspect.unwrap(optim.Adam.add_param_group)
    state_dict = inspect.unwrap(optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(optim.Adam.load_state_dict)
    zero_grad = inspect.unwrap(optim.Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(optim.Adam.step))


def fused_adam(
    group: dict[str, Any],
    parameters: list[Tensor],
    gradients: list[Tensor],
    averages: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
) -> None:
    """Take a step of Adam with one kernel, by the settings of a group; `steps` count this step already.

    The kernel pairs numbers by their place in memory.
    """
    beta1, beta2 = group["betas"]
    rest = {"beta1": beta1, "beta2": beta2, **{name: group[name] for name in ("lr", "eps", "weight_decay")}}
    torch._fused_adam_(parameters, gradients, averages, squares, [], steps, amsgrad=False, maximize=False, **rest)


class FusedAdam(Adam):
    """`optim.Adam` with one kernel for all parameters.

    It gathers its lists once instead of at every step, and counts the steps of all parameters at once. This saves 8 %
    of RN_1's step.
    """

    def __init__(self, network: nn.Module, **options: Any) -> None:
        super().__init__(network.parameters(), fused=True, **options)
        self._gathered: tuple[list[Tensor], ...] = ()

    def zero_grad(self, set_to_none: bool = True) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for parameter, state in self.state.items():
            # A state keeps the memory order of the device it comes from, and the kernel pairs numbers by their place.
            for name in state.keys() & {"exp_avg", "exp_avg_sq"}:  # none for a parameter that is not used
                state[name] = torch.empty_like(parameter).copy_(state[name])
        self._gathered = ()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        parameters = group["params"]
        gradients = [parameter.grad for parameter in parameters]
        if self._gathered and not any(gradient is None for gradient in gradients):
            self.apply(gradients)
            return
        super().step()
        self._gather([self.state.get(parameter, {}) for parameter in parameters])

    @torch.no_grad()
    def apply(self, gradients: list[Tensor]) -> None:
        """Take a step with these gradients, one for each parameter, in their order."""
        (group,) = self.param_groups
        parameters = group["params"]
        if not self._gathered:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            self.step()
            self.zero_grad()
            return
        self._counts.add_(1)
        fused_adam(group, parameters, gradients, *self._gathered)

    def keep_in(self, averages: list[Tensor], squares: list[Tensor], counts: Tensor) -> None:
        """Keep each parameter's moments in these tensors from now on, and its count of steps in one of `counts`."""
        steps = list(counts)
        for parameter, *values in zip(self.param_groups[0]["params"], averages, squares, steps, strict=True):
            self.state[parameter] = dict(zip(("exp_avg", "exp_avg_sq", "step"), values, strict=True))
        self._counts = counts
        self._gathered = averages, squares, steps

    def _gather(self, states: list[dict[str, Tensor]]) -> None:
        """Gather the lists, unless a parameter has had no gradient yet or the types differ."""
        if all(states) and len({state["exp_avg"].dtype for state in states}) == 1:
            self._counts = torch.stack([state["step"] for state in states])
            for state, count in zip(states, self._counts, strict=True):
                state["step"] = count
            self._gathered = tuple([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
