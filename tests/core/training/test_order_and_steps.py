"""What a training does with its settings: the order of the images, the size and precision of its steps, its guards."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.datasets import Dataset
from core.networks.exam import RN_1
from core.runs.events import Event, Progress
from core.training import acceleration
from core.training.loop import Checkpoint, train
from core.training.steps import chain
from tests.core.training.sample_runs import configuration

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def numbered(sample: Dataset) -> Dataset:
    """Return 300 training images that are black but for their number, in the first two pixels."""
    numbers = torch.arange(300)
    images = torch.zeros(300, 28, 28, dtype=torch.uint8)
    images[:, 0, 0], images[:, 0, 1] = (numbers % 256).byte(), (numbers // 256).byte()
    return replace(sample, train_images=images, train_labels=numbers % 10)


class Witness(nn.Module):
    """A network that remembers which images it was trained on, and in what type its layer computed."""

    def __init__(self, *more: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), *more, nn.Linear(784, 10))
        self.seen: list[int] = []
        self.types: set[torch.dtype] = set()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        if self.training:
            pixels = ((images[:, 0, 0, :2] * 0.3081 + 0.1307) * 255).round().long()
            self.seen += (pixels[:, 0] + 256 * pixels[:, 1]).tolist()
            self.types.add(logits.dtype)
        return logits


def trained(network: nn.Module, dataset: Dataset, **settings: Any) -> tuple[list[Event], list[Checkpoint]]:
    """Train as `configuration` says; return the events, and every checkpoint."""
    saved: list[Checkpoint] = []
    config = configuration(**settings)

    def save(checkpoint: Checkpoint) -> None:
        saved.append(deepcopy(checkpoint))  # its tensors are those that are trained on

    events = list(train(network, dataset, config, CPU, save=save))
    return events, saved


def orders(dataset: Dataset, *more: nn.Module, **settings: Any) -> list[list[int]]:
    """Return the order in which a network saw the images, for each epoch."""
    network = Witness(*more)
    trained(network, dataset, epochs=3, **settings)
    return [network.seen[first : first + 300] for first in (0, 300, 600)]


@pytest.mark.parametrize("exact", [False, True])
def test_each_epoch_has_every_image_once_in_an_order_of_its_own(exact: bool, numbered: Dataset) -> None:
    torch.manual_seed(7)
    epochs = orders(numbered, exact=exact)
    assert all(sorted(order) == list(range(300)) for order in epochs)
    assert all(order != list(range(300)) for order in epochs)
    assert len(set(map(tuple, epochs))) == 3
    for order in epochs:  # a shuffle leaves about one image in its place, and hardly two side by side
        assert sum(place == image for place, image in enumerate(order)) < 10
        assert sum(after - before == 1 for before, after in pairwise(order)) < 10


def test_order_depends_on_the_seed_and_not_on_the_network(numbered: Dataset) -> None:
    first = orders(numbered)
    assert orders(numbered, nn.Linear(784, 784), nn.Dropout(0.5)) == first
    assert orders(numbered, seed=8) != first


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("lr", [0.01, 0.0003])
def test_first_step_is_as_long_as_the_learning_rate(lr: float, exact: bool, sample: Dataset) -> None:
    """Adam's first step moves each parameter by the learning rate, whatever the size of its gradient."""
    few = replace(sample, train_images=sample.train_images[:32], train_labels=sample.train_labels[:32])
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    trained(network, few, epochs=1, lr=lr, exact=exact)
    for parameter, old in zip(network.parameters(), before, strict=True):
        assert float((parameter.detach() - old).abs().max()) == pytest.approx(lr, rel=0.001)


def test_bf16_is_the_type_of_the_layers_and_changes_the_losses(numbered: Dataset) -> None:
    for precision, expected in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        network = Witness()
        trained(network, numbered, epochs=1, precision=precision)
        assert network.types == {expected}


@pytest.mark.skipif(not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this processor has no bf16")
def test_bf16_changes_the_losses_of_a_built_in_network(sample: Dataset) -> None:
    few = replace(sample, train_images=sample.train_images[:64], train_labels=sample.train_labels[:64])
    losses = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(7)
        events, _saved = trained(RN_1(), few, epochs=3, precision=precision)
        losses.append([loss for event in events if isinstance(event, Progress) for loss in event.losses if loss])
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


def test_parameters_that_are_not_finite_are_never_saved(numbered: Dataset) -> None:
    """The loss stays finite: the parameter is one that it does not depend on."""

    class Spoiled(Witness):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(3))

        def forward(self, images: Tensor) -> Tensor:
            if len(self.seen) >= 300:
                self.unused.data[1] = torch.inf
            return super().forward(images)

    for epochs in (1, 2):
        _events, saved = trained(Spoiled(), numbered, epochs=epochs)
        assert {checkpoint["epoch"] for checkpoint in saved} == {1}
        assert all(bool(value.isfinite().all()) for value in saved[-1]["network"].values())


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this torch has no oneDNN")
def test_joined_layers_pass_on_large_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """ReLU has no upper bound: large activations and their gradients are those of the network as it is written."""
    monkeypatch.setattr(chain, "_prefers_onednn", lambda: True)
    torch.manual_seed(1)
    network = RN_1()
    fast = acceleration.fast_equivalent(network, CPU, exact=False)
    images = torch.randn(16, 1, 28, 28) * 300
    gradients = []
    for computed in (network, fast):
        network.zero_grad()
        outputs = computed(images)
        outputs.square().mean().backward()
        gradients.append([outputs.detach(), *(parameter.grad for parameter in network.parameters())])
    assert float(gradients[0][0].abs().max()) > 6
    for plain, joined in zip(*gradients, strict=True):
        assert plain is not None
        assert joined is not None
        torch.testing.assert_close(joined, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))
