"""The exam's training in Lightning: a `LightningModule`; tuned, with tensors in memory and a trainer without extras."""

from __future__ import annotations

import logging
import tempfile
import warnings
from typing import IO, Any

from tests.benchmarks.trainer import Pacer, Spec, exam_data, load


def train(spec: Spec, answers: IO[str]) -> None:
    import lightning
    import torch

    from core.networks.build import built_in_class
    from tests.benchmarks.peer_torch import laid_out, plain_arithmetic

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plain_arithmetic()
    pace = Pacer(answers, lambda: None, torch.cuda.synchronize if spec.on_gpu else lambda: None)

    class Classifier(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = laid_out(built_in_class(spec.model)(), spec)

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            pace()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            images, labels = batch
            return torch.nn.functional.cross_entropy(self.network(images), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=0.001, fused=True if spec.tuned else None)

    with tempfile.TemporaryDirectory() as folder:
        common = {"accelerator": "gpu" if spec.on_gpu else "cpu", "devices": 1, "default_root_dir": folder}
        extras = {"barebones": True} if spec.tuned else {}  # no logger, progress bar, checkpoints or summary
        trainer = lightning.Trainer(max_epochs=1_000_000, **common, **extras)
        trainer.fit(Classifier(), _in_memory(spec) if spec.tuned else _as_the_guide_shows(spec))


def _as_the_guide_shows(spec: Spec) -> Any:
    """Return torchvision's data set in a loader, which transforms image by image."""
    from torch.utils.data import DataLoader

    return DataLoader(exam_data(spec)[0], batch_size=spec.batch_size, shuffle=True)


def _in_memory(spec: Spec) -> Any:
    """Return tensors on the device in a loader that takes a whole batch by one index."""
    from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

    from core.training.batches import normalise

    data = load(spec)
    images = normalise(data.train_images.to(spec.device), data)
    dataset = TensorDataset(images, data.train_labels.to(spec.device))
    batches = BatchSampler(RandomSampler(dataset), spec.batch_size, drop_last=True)
    return DataLoader(dataset, sampler=batches, batch_size=None)
