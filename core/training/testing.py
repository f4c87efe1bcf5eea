"""The last stage of a run: its network evaluated on the test images."""

from __future__ import annotations

import torch
from torch import nn

from core.config import RunConfig
from core.data.datasets import Dataset
from core.runs.events import Evaluated, finite
from core.training import acceleration
from core.training.batches import normalise
from core.training.evaluation import Evaluation, evaluate, evaluation_batch_size


def evaluate_test_images(network: nn.Module, dataset: Dataset, config: RunConfig, device: torch.device) -> Evaluation:
    """Evaluate a run's network on the test images of `dataset`, as the run sees them."""
    images = normalise(dataset.test_images.to(device), dataset)
    equivalent = acceleration.fast_equivalent(network, device, exact=config.exact)
    return evaluate(equivalent, images, dataset.test_labels.to(device), evaluation_batch_size(config))


def evaluated(evaluation: Evaluation, num_classes: int) -> Evaluated:
    """Return an evaluation as an event."""
    return Evaluated(
        correct=evaluation.correct,
        total=len(evaluation.labels),
        accuracy=evaluation.accuracy,
        test_loss=finite(evaluation.loss),
        confusion=evaluation.confusion(num_classes),
    )
