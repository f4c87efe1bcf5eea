"""The order of an epoch's images, and the number of its batches."""

from __future__ import annotations

import math

import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.sampler import BatchSampler, RandomSampler

from core.config import RunConfig
from core.data.datasets import Dataset


def num_steps(dataset: Dataset, config: RunConfig) -> int:
    """Return the number of batches per epoch, including a smaller last one."""
    return math.ceil(len(dataset.train_labels) / config.batch_size)


def draw_order(size: int, generator: torch.Generator, *, exact: bool) -> torch.Tensor:
    """Draw the order of an epoch's images: int64, `size`; with `exact`, by the same draws as the exam's loader."""
    if not exact:
        return torch.randperm(size, generator=generator)
    indices = TensorDataset(torch.arange(size))
    whole = BatchSampler(RandomSampler(indices), size, drop_last=False)
    order: torch.Tensor = next(iter(DataLoader(indices, sampler=whole, batch_size=None)))[0]
    return order
