"""What there is to see of the program's variables, and of what a statement did to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.exam.steps import BatchSeen, GradientSeen, LossSeen, NamedValue, StepSeen
from core.networks.shapes import place_at

MOST_IMAGES = 8
"""Images of a batch that are shown."""
_MOST_VALUES = 10


def named(name: str, value: Any) -> NamedValue:
    """Describe a variable."""
    kind = type(value).__name__
    match value:
        case Tensor():
            shape, dtype = tuple(value.shape), str(value.dtype).removeprefix("torch.")
            return NamedValue(name, kind, shape, dtype, str(value.device), values=_first_values(value))
        case bool() | int() | float():
            return NamedValue(name, kind, values=(float(value),))
        case torch.device():
            return NamedValue(name, kind, text=str(value))
        case nn.Module():
            parameters = list(value.parameters())
            device = str(parameters[0].device) if parameters else ""
            return NamedValue(name, kind, device=device, size=sum(each.numel() for each in parameters) or None)
    return NamedValue(name, kind, size=len(value) if hasattr(value, "__len__") else None)


def _first_values(tensor: Tensor) -> tuple[float, ...]:
    """Return a number, the first values of a vector, or the outputs for the first image; of an image, nothing."""
    if tensor.ndim > 2:
        return ()
    row = tensor[0] if tensor.ndim == 2 else tensor.reshape(-1)
    return tuple(row.detach()[:_MOST_VALUES].tolist())


class BatchReader:
    """Finds the images of a batch again in the file, and their pixels as they were before the normalisation."""

    def __init__(self) -> None:
        self._sums: dict[int, Tensor] = {}
        """Sums of the pixels of each image, by the identity of the data set."""

    def read(self, images: Tensor, labels: Tensor, dataset: Any) -> BatchSeen:
        """Describe a batch of a torchvision data set."""
        mean, std = _normalisation(dataset)
        first = (images[:MOST_IMAGES].detach().cpu() * std + mean).mul(255).round().clamp(0, 255).to(torch.uint8)
        pixels = first.reshape(len(first), -1)
        return BatchSeen(
            pixels=tuple(each.numpy().tobytes() for each in pixels),
            labels=tuple(labels[:MOST_IMAGES].tolist()),
            places=tuple(self._place(each, dataset) for each in pixels),
            file_labels=tuple(dataset.targets[:MOST_IMAGES].tolist()),
            low=images.min().item(),
            high=images.max().item(),
            mean=images.mean().item(),
            std=images.std().item(),
        )

    def _place(self, pixels: Tensor, dataset: Any) -> int:
        if id(dataset) not in self._sums:
            self._sums = {id(dataset): dataset.data.flatten(1).sum(1)}
        for place in (self._sums[id(dataset)] == pixels.sum()).nonzero().flatten().tolist():
            if torch.equal(dataset.data[place].flatten(), pixels):
                return int(place)
        return -1


def _normalisation(dataset: Any) -> tuple[float, float]:
    """Return the mean and the standard deviation that the program's transform takes."""
    last = dataset.transform.transforms[-1]
    return last.mean[0], last.std[0]


def loss_seen(outputs: Tensor, labels: Tensor, loss: Tensor) -> LossSeen:
    """Describe the loss of a batch, N×10 logits, and that of its first image."""
    logits, label = outputs[0].detach().double().cpu(), int(labels[0])
    log_p = torch.log_softmax(logits, 0)
    return LossSeen(
        label=label,
        logits=tuple(logits.tolist()),
        probabilities=tuple(log_p.exp().tolist()),
        first=-log_p[label].item(),
        mean=loss.item(),
        size=len(labels),
    )


def gradient_norm(model: nn.Module) -> float | None:
    """Return the norm of all gradients together; None where there is none."""
    norms = [each.grad.norm().item() for each in model.parameters() if each.grad is not None]
    return math.hypot(*norms) if norms else None


def gradient_seen(model: nn.Module, before: float | None) -> GradientSeen:
    """Describe the gradients; `before` is their norm before the statement."""
    parts = [(name, each.grad.norm().item()) for name, each in model.named_parameters() if each.grad is not None]
    return GradientSeen(gradient_norm(model), before, tuple(parts))


class BeforeStep(NamedTuple):
    """The parameters before a step of the optimizer."""

    values: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> BeforeStep:
        return cls({name: each.detach().clone() for name, each in model.named_parameters()})

    def seen(self, model: nn.Module, optimizer: Any) -> StepSeen | None:
        """Describe what a step of Adam has changed; None if nothing has a gradient."""
        now = {name: each for name, each in model.named_parameters() if each.grad is not None}
        if not now:
            return None
        changes = {name: (each.detach() - self.values[name]) for name, each in now.items()}
        name, place = _largest({name: each.grad for name, each in now.items()})
        state, group = optimizer.state[now[name]], optimizer.param_groups[0]
        number, (beta_1, beta_2) = int(state["step"]), group["betas"]
        m, v = (state[key].flatten()[place].item() for key in ("exp_avg", "exp_avg_sq"))
        gradient: Any = now[name].grad
        return StepSeen(
            norm=math.hypot(*(each.norm().item() for each in changes.values())),
            largest=max(each.abs().max().item() for each in changes.values()),
            size=sum(each.numel() for each in changes.values()),
            weight=f"{name}[{', '.join(map(str, place_at(place, now[name].shape)))}]",
            before=self.values[name].flatten()[place].item(),
            after=now[name].detach().flatten()[place].item(),
            gradient=gradient.flatten()[place].item(),
            m=m,
            v=v,
            m_hat=m / (1 - beta_1**number),
            v_hat=v / (1 - beta_2**number),
            number=number,
            lr=group["lr"],
        )


def _largest(gradients: Mapping[str, Any]) -> tuple[str, int]:
    """Return the parameter, and the place in it, with the largest gradient."""
    name = max(gradients, key=lambda each: gradients[each].abs().max().item())
    return name, int(gradients[name].abs().argmax())
