"""What a plain loop trains, the default path trains, to the same losses: networks in forty public idioms."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch
from torch import nn

from core.data.datasets import Dataset
from core.networks.build import build_network
from core.randomness import seed_all
from core.runs.events import Progress
from core.training import loop
from tests.built import built
from tests.core.training import idioms
from tests.core.training.sample_runs import configuration

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = [
    name
    for name, value in vars(idioms).items()
    if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == idioms.__name__
]
NUM_IMAGES = 300  # ten batches, the last of them smaller


def plain_losses(network: nn.Module, data: Dataset, seed: int) -> list[float]:
    """Train as a textbook does, on the same images in the same order."""
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001)
    images = ((data.train_images.float() / 255 - data.mean) / data.std).unsqueeze(1)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    losses = []
    for batch in order.split(32):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images[batch]), data.train_labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_there_are_forty() -> None:
    assert len(NAMES) >= 40


@pytest.mark.parametrize("name", NAMES)
def test_it_has_the_losses_of_a_plain_loop(name: str, sample: Dataset) -> None:
    data = replace(sample, train_images=sample.train_images[:NUM_IMAGES], train_labels=sample.train_labels[:NUM_IMAGES])
    config = configuration(model=f"{idioms.__file__}:{name}", epochs=1, batch_size=32)
    seed_all(config.seed)
    network = build_network(config.architecture)
    losses: list[float | None] = []
    for event in loop.train(network, data, config, torch.device("cpu"), save=lambda _checkpoint: None):
        losses += event.losses if isinstance(event, Progress) else ()
    seed_all(config.seed)
    assert losses == pytest.approx(plain_losses(built(config.model), data, config.seed), rel=2e-3)
