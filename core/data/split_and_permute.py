"""Options for the data beyond the exam: images held out for validation, and reordered pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from core.catalogue import DATA_SETS, NUM_CLASSES, SIDE
from core.config import RunConfig
from core.data.datasets import SAMPLE_TRAIN_PER_CLASS, Dataset

VALIDATION_SHARE = 10
"""Number of training images for each one held out."""
_NUM_PIXELS = SIDE**2
_PERMUTATION_SEED = 784
_VALIDATION_STREAM = 0x76616C  # without it, the split would reuse the draw that orders the first epoch


def prepared(dataset: Dataset, config: RunConfig) -> Dataset:
    """Return `dataset` as a run of `config` trains and tests on it."""
    if config.permute:
        dataset = replace(
            dataset, train_images=permuted(dataset.train_images), test_images=permuted(dataset.test_images)
        )
    return _held_out(dataset, config.seed) if config.validate else dataset


def expected_train_size(config: RunConfig) -> int:
    """Return how many images a run will train on, before they are loaded; for `auto`, if MNIST can be had."""
    files = DATA_SETS["mnist" if config.dataset == "auto" else config.dataset].files
    size = files[0].shape[0] if files else NUM_CLASSES * SAMPLE_TRAIN_PER_CLASS
    return size - size // VALIDATION_SHARE if config.validate else size


def pixel_permutation() -> Tensor:
    """Return where each of the 784 pixels is taken from: the same for all runs, so that they can be compared."""
    return torch.randperm(_NUM_PIXELS, generator=torch.Generator().manual_seed(_PERMUTATION_SEED))


def permuted(images: Tensor) -> Tensor:
    """Return N×28×28 images with their pixels reordered."""
    return images.flatten(1)[:, pixel_permutation()].reshape(images.shape)


def _held_out(dataset: Dataset, seed: int) -> Dataset:
    """Hold out part of the training images for validation, chosen by the seed alone; the others keep their order."""
    size = len(dataset.train_labels)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed ^ _VALIDATION_STREAM))
    num_validation = size // VALIDATION_SHARE
    held, kept = order[:num_validation].sort().values, order[num_validation:].sort().values
    return replace(
        dataset,
        train_images=dataset.train_images[kept],
        train_labels=dataset.train_labels[kept],
        validation_images=dataset.train_images[held],
        validation_labels=dataset.train_labels[held],
    )
