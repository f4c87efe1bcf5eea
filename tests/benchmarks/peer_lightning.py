"""The exam's training as Lightning's guide shows it: a `LightningModule`, and a `DataLoader` over tensors in memory."""

from __future__ import annotations

import logging
import warnings
from typing import IO, Any

from tests.benchmarks.trainer import Pacer, Spec, load


def train(spec: Spec, answers: IO[str]) -> None:
    import lightning
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from core.networks.build import built_in_class
    from core.training.batches import normalise

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    pace = Pacer(answers, lambda: None)
    data = load(spec)
    images = normalise(data.train_images, data)
    loader = DataLoader(TensorDataset(images, data.train_labels), batch_size=spec.batch_size, shuffle=True)

    class Classifier(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.network = built_in_class(spec.model)()

        def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
            pace()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            images, labels = batch
            return torch.nn.functional.cross_entropy(self.network(images), labels)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=0.001)

    trainer = lightning.Trainer(
        max_epochs=1_000_000,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Classifier(), loader)
