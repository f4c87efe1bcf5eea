"""Tests of trained networks on harder images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn

from core.data.conditions import Condition, Robustness, UnderCondition
from core.data.datasets import Dataset
from core.data.distortions import distorted
from core.data.split_and_permute import permuted
from core.messages import N_, Message
from core.runs.directory import Run
from core.training import devices
from core.training.batches import normalise
from core.training.evaluation import BATCH_SIZE, evaluate, evaluation_batch_size
from core.training.load_trained import DatasetCache, load_network

_TESTING = N_("Testing under harder conditions")


def accuracy(
    network: nn.Module,
    dataset: Dataset,
    condition: Condition | None,
    *,
    permute: bool,
    batch_size: int = BATCH_SIZE,
) -> float:
    """Return a trained network's accuracy, from 0 to 1: the mean over the directions of a shift or a turn.

    If `condition` is None, the images are unmodified. `permute` says that the network was trained on reordered pixels.
    """
    device = next(network.parameters()).device
    labels = dataset.test_labels.to(device)

    def share_right(images: Tensor) -> float:
        seen = permuted(images) if permute else images  # after the condition, which applies to the digit as seen
        return evaluate(network, normalise(seen.to(device), dataset), labels, batch_size).correct / len(labels)

    images = [dataset.test_images] if condition is None else distorted(dataset.test_images, condition)
    return fmean(map(share_right, images))


def robustness_of(
    runs: Sequence[Run],
    conditions: Sequence[Condition],
    where: str,
    *,
    notify: Callable[[Message], None],
    progress: Callable[[Message, float], None],
) -> list[Robustness]:
    """Return the accuracies of finished runs on a device, named as in the settings.

    `notify` and `progress` are those of `datasets.load`. Raises `Problem`, before any test if a
    network cannot be loaded.
    """
    device = devices.resolve(where)
    for run in runs:
        load_network(run)
    done, total = 0, len(runs) * (len(conditions) + 1)

    def advance() -> None:
        nonlocal done
        done += 1
        progress(Message(_TESTING), done / total)

    kept = DatasetCache(notify=notify, progress=progress, should_stop=lambda: False)
    try:
        return [robustness(run, conditions, kept, device, advance) for run in runs]
    except RuntimeError as error:
        if problem := devices.out_of_memory(error):
            raise problem from error
        raise


def robustness(
    run: Run,
    conditions: Sequence[Condition],
    datasets: DatasetCache,
    device: torch.device,
    advance: Callable[[], None],
) -> Robustness:
    """Return a run's accuracy on its own test images, unmodified and under each condition, without training.

    `advance` is called after each. Raises `Problem` if the weights are missing or do not fit, or the data cannot be
    loaded.
    """
    network = load_network(run).to(device)
    config = run.config()
    dataset = datasets.of(run)
    tested = []
    for condition in (None, *conditions):
        found = accuracy(network, dataset, condition, permute=config.permute, batch_size=evaluation_batch_size(config))
        tested.append(UnderCondition(condition, found))
        advance()
    return Robustness(
        run=run.id, config=config, dataset=dataset.name, dataset_title=dataset.title, tested=tuple(tested)
    )
