"""A trained network's answers to single images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from core.catalogue import DATA_SETS
from core.data.split_and_permute import permuted
from core.messages import N_, Problem
from core.runs.directory import Run
from core.training.batches import normalise
from core.training.evaluation import evaluation_batch_size
from core.training.load_trained import load_network


class Recogniser:
    """A run's trained network, which is given images as it was in its training."""

    def __init__(self, run: Run) -> None:
        """Load the network; a custom one's file is executed. Raises `Problem`."""
        started = run.first_start()
        if started is None:
            raise Problem("run {run} has not started", run=run.id)
        if started.dataset not in DATA_SETS:
            text = N_("unknown data set {value}: choose one of {choices}")
            raise Problem(text, value=started.dataset, choices=", ".join(DATA_SETS))
        self.data = DATA_SETS[started.dataset]
        self.config = run.config()
        self.network = load_network(run)

    @torch.no_grad()
    def __call__(self, image: NDArray[np.uint8]) -> tuple[float, ...]:
        """Return the probabilities of the classes for an image in MNIST's form, 28×28."""
        images = torch.from_numpy(image)[None]
        # Some custom networks take no batch of one, or none but those that they were trained in.
        images = images.repeat(1 if self.config.architecture.is_built_in else evaluation_batch_size(self.config), 1, 1)
        logits = self.network(normalise(permuted(images) if self.config.permute else images, self.data))
        return tuple(logits[0].float().softmax(0).tolist())
