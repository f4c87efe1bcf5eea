"""The conditions of `core.conditions` carried out on images, and trained networks tested under them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.conditions import Condition, Robustness, UnderCondition
from core.datasets import Dataset
from core.evaluation import evaluate
from core.preparation import permuted
from core.runs import Run
from core.trained import Datasets, load_network
from core.training import normalise

NOISE_SEED = 0
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def distorted(images: Tensor, condition: Condition) -> Iterator[Tensor]:
    """The images under a condition, once for each direction or sense that it has. All uint8, N×28×28.

    What enters from beyond the edge is black; noise is the same at every call.
    """
    match condition.kind:
        case "shift":
            for right, down in _DIRECTIONS:
                yield shifted(images, right * int(condition.strength), down * int(condition.strength))
        case "turn":
            for sense in (1, -1):
                yield turned(images, sense * condition.strength)
        case "noise":
            yield noisy(images, condition.strength)


def shifted(images: Tensor, right: int, down: int) -> Tensor:
    """Every pixel moved by whole pixels; uint8, N×28×28."""
    height, width = images.shape[-2:]
    # Negative padding crops what is moved out.
    moved = functional.pad(images, (right, -right, down, -down))
    return moved[..., :height, :width]


def turned(images: Tensor, degrees: float) -> Tensor:
    """Every image turned about its centre, counterclockwise, with bilinear interpolation; uint8, N×28×28."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # From where in the image each pixel is taken; y points down.
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]])
    grid = functional.affine_grid(turn.unsqueeze(0), [1, 1, *images.shape[-2:]], align_corners=False)
    # The images as channels of one: the grid is then computed, and looked up, once.
    pixels = functional.grid_sample(images.unsqueeze(0).float(), grid, padding_mode="zeros", align_corners=False)
    return pixels[0].round_().to(torch.uint8)


def noisy(images: Tensor, deviation: float) -> Tensor:
    """Normal noise added, cut to black and white, from a fixed seed; `deviation` of white 1; uint8, N×28×28."""
    generator = torch.Generator().manual_seed(NOISE_SEED)
    noise = torch.randn(images.shape, generator=generator)
    return noise.mul_(255 * deviation).add_(images).round_().clamp_(0, 255).to(torch.uint8)


def accuracy(network: nn.Module, dataset: Dataset, condition: Condition | None, *, permute: bool) -> float:
    """Of a trained network, 0 to 1: the mean over the condition's directions or senses; None: the images as they are.

    `permute`: whether it knows the pixels in another order.
    """
    device = next(network.parameters()).device
    labels = dataset.test_labels.to(device)

    def share_right(images: Tensor) -> float:
        seen = permuted(images) if permute else images  # after the condition, as a digit comes to the eye
        return evaluate(network, normalise(seen.to(device), dataset), labels).correct / len(labels)

    images = [dataset.test_images] if condition is None else distorted(dataset.test_images, condition)
    return fmean(map(share_right, images))


def robustness(
    run: Run,
    conditions: Sequence[Condition],
    datasets: Datasets,
    device: torch.device,
    advance: Callable[[], None],
) -> Robustness:
    """The run's accuracy on its own test images, as they are and under each condition; no training.

    `advance` is called after each. Raises `Problem`: no weights, weights that do not fit, other data.
    """
    network = load_network(run).to(device)
    config = run.config()
    dataset = datasets.of(run)
    tested = []
    for condition in (None, *conditions):
        tested.append(UnderCondition(condition, accuracy(network, dataset, condition, permute=config.permute)))
        advance()
    return Robustness(
        run=run.id, config=config, dataset=dataset.name, dataset_title=dataset.title, tested=tuple(tested)
    )
