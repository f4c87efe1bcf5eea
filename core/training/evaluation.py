"""The evaluation of a network on labelled images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from core.config import RunConfig

BATCH_SIZE = 1000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation on N images.

    `labels` and `predicted` are int64, N; `probability` is float32, N, that of the predicted class; `loss` is the mean
    cross-entropy.
    """

    labels: torch.Tensor
    predicted: torch.Tensor
    probability: torch.Tensor
    loss: float

    def __repr__(self) -> str:
        return f"<{self.accuracy:.2%}, {self.correct:,} of {len(self.labels):,} right, loss {self.loss:.4f}>"

    @property
    def accuracy(self) -> float:
        """Fraction of the images that are right, from 0 to 1."""
        return self.correct / len(self.labels)

    @property
    def correct(self) -> int:
        return int((self.predicted == self.labels).sum())

    @property
    def is_guessing(self) -> bool:
        """True if the network is no better than one that always gives the commonest class, luck (p > 0.01) included."""
        total = len(self.labels)
        commonest = int(torch.bincount(self.labels).max())
        return self.correct <= commonest + 2.326 * math.sqrt(commonest * (1 - commonest / total))

    def confusion(self, num_classes: int) -> tuple[tuple[int, ...], ...]:
        """Return the numbers of images, as `[label][predicted]`."""
        pairs = self.labels * num_classes + self.predicted
        counts = torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
        return tuple(tuple(row) for row in counts.tolist())


def evaluation_batch_size(config: RunConfig) -> int:
    """Return the size of the batches that a run is tested in: a custom network may not take larger ones than it had."""
    return BATCH_SIZE if config.architecture.is_built_in else min(BATCH_SIZE, config.batch_size)


def evaluate(
    network: nn.Module, images: torch.Tensor, labels: torch.Tensor, batch_size: int = BATCH_SIZE
) -> Evaluation:
    """Evaluate a network in batches, and leave it in eval mode.

    `images` are float, N×1×28×28, and `labels` int64, N; both on the network's device.
    """
    network.eval()
    predicted, probability, losses = [], [], []
    with torch.no_grad():
        for batch, expected in zip(torch.split(images, batch_size), torch.split(labels, batch_size), strict=True):
            logits = network(batch).float()
            answers = logits.argmax(1)  # of the logits, as the exam's program: a softmax makes infinite ones NaN
            predicted.append(answers)
            probability.append(logits.softmax(1).gather(1, answers[:, None])[:, 0])
            losses.append(nn.functional.cross_entropy(logits, expected, reduction="sum"))
    loss = torch.stack(losses).sum() / len(labels)
    return Evaluation(labels.cpu(), torch.cat(predicted).cpu(), torch.cat(probability).cpu(), loss.item())
