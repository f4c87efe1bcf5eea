"""The training images on a device, and the batches that are taken from them."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from core.catalogue import DataSource
from core.data.datasets import Dataset


def normalise(images: torch.Tensor, dataset: Dataset | DataSource) -> torch.Tensor:
    """Normalise uint8 images, N×28×28, as the exam's transform does: float32, N×1×28×28, on the same device."""
    pixels = images.to(torch.float32).div_(255)
    return pixels.sub_(dataset.mean).div_(dataset.std).unsqueeze_(1)


@dataclass(frozen=True, eq=False)
class Batches:
    """Training images and labels on a device: as bytes, each batch being normalised when it is taken."""

    images: torch.Tensor
    """uint8, N×28×28."""
    labels: torch.Tensor
    """int64, N."""
    dataset: Dataset | DataSource

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device) -> Batches:
        return cls(dataset.train_images.to(device), dataset.train_labels.to(device), dataset)

    def take(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the images with these indices, normalised, N×1×28×28, and their labels, int64, N."""
        images = normalise(self.images.index_select(0, indices), self.dataset)
        return images, self.labels.index_select(0, indices)
