"""The conditions of `core.conditions` carried out on images, and trained networks tested under them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.nn import functional

from core import datasets, files, networks
from core.conditions import Condition, Robustness, UnderCondition
from core.config import RunConfig
from core.datasets import Dataset
from core.evaluation import evaluate
from core.preparation import permuted
from core.problems import N_, Message, Problem, reason
from core.runs import Run
from core.training import normalise

NOISE_SEED = 0
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))
_MAX_WEIGHTS = 1 << 30


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


class RobustnessTester:
    """Tests runs under conditions; the data of a run are kept for the next that has the same."""

    def __init__(
        self,
        device: torch.device,
        notify: Callable[[Message], None],
        progress: Callable[[Message, float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """The last three are those of `datasets.load`."""
        self._device = device
        self._notify, self._progress, self._should_stop = notify, progress, should_stop
        self._kept: dict[tuple[str, str], Dataset] = {}

    def test(self, run: Run, conditions: Sequence[Condition], advance: Callable[[], None]) -> Robustness:
        """The run's accuracy on its own test images, as they are and under each condition; no training.

        `advance` is called after each. Raises `Problem`: no weights, weights that do not fit, other data.
        """
        network = load_network(run).to(self._device)
        config = run.config()
        dataset = self._dataset(run, config)
        labels = dataset.test_labels.to(self._device)

        def accuracy(images: Tensor) -> float:
            seen = permuted(images) if config.permute else images  # after the condition, as a digit comes to the eye
            return evaluate(network, normalise(seen.to(self._device), dataset), labels).correct / len(labels)

        tested = [UnderCondition(None, accuracy(dataset.test_images))]
        for condition in conditions:
            advance()
            tested.append(UnderCondition(condition, fmean(map(accuracy, distorted(dataset.test_images, condition)))))
        advance()
        return Robustness(
            run=run.id, config=config, dataset=dataset.name, dataset_title=dataset.title, tested=tuple(tested)
        )

    def _dataset(self, run: Run, config: RunConfig) -> Dataset:
        from core.comparison import Record  # only for what the run said of its data

        record = Record(run)
        record.read()
        name = record.started.dataset if record.started is not None else config.dataset
        key = name, config.data_dir
        if key not in self._kept:
            self._kept[key] = datasets.load(
                name,
                Path(config.data_dir),
                notify=self._notify,
                progress=self._progress,
                should_stop=self._should_stop,
            )
        return self._kept[key]


def load_network(run: Run) -> nn.Module:
    """The network of a run with its trained parameters, on the CPU. Raises `Problem`."""
    import safetensors.torch
    from safetensors import SafetensorError

    config = run.config()
    try:
        weights = safetensors.torch.load(files.read_small(run.path / "weights.safetensors", _MAX_WEIGHTS))
    except FileNotFoundError as error:
        advice = N_("Only a finished run has them.") if run.state() != "done" else ""
        raise Problem("run {run} has no trained weights", advice=advice, run=run.id) from error
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise Problem("the weights of run {run} cannot be read: {reason}", run=run.id, reason=reason(error)) from error
    with torch.random.fork_rng(devices=[]):
        network = networks.build(config.model, config.dropout, config.batch_norm, config.width)
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise Problem(
            "the weights of run {run} do not fit its network {model}", run=run.id, model=config.model
        ) from error
    return network.eval()
