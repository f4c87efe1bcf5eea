"""Whole fused steps against the plain step: autograd and torch's Adam."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.catalogue import DATA_SETS
from core.networks.exam import RN_1, RN_2
from core.training.batches import Batches
from core.training.optimizer import FusedAdam
from core.training.steps.fused.step import FusedStep
from tests.core.training.interpreted.check_operations import ALLOWED, BF16, FP32, error

NETWORKS: dict[type[nn.Module], int] = {RN_1: 7, RN_2: 3}
"""The networks, and the images of a batch that the interpreter can do in time."""


def _prepared(network_class: type[nn.Module], precision: Any = "fp32") -> tuple[nn.Module, FusedAdam, FusedStep]:
    """Return a network, the same in every call, with its optimizer and its fused step on 20 random images."""
    torch.manual_seed(0)
    network = network_class()
    # With a large epsilon, a gradient of rounding errors alone does not move a parameter by the learning rate.
    optimizer = FusedAdam(network, lr=torch.tensor(0.001), eps=1e-3)
    images = torch.randint(256, (20, 28, 28)) * (torch.rand(20, 28, 28) < 0.3)
    batches = Batches(images.byte(), torch.randint(10, (20,)), DATA_SETS["mnist"])
    return network, optimizer, FusedStep(network, batches, optimizer, NETWORKS[network_class], precision)


def _plain_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, batches: Batches, batch: Tensor, kind: torch.dtype = FP32
) -> Tensor:
    """Take the plain step, by autograd, and return the loss."""
    x, labels = batches.take(batch)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == BF16):
        loss = functional.cross_entropy(network(x), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def _distance(found: nn.Module, wanted: nn.Module) -> float:
    """Return the largest distance of two networks' parameters, relative to the largest value of each."""
    return max(map(error, found.state_dict().values(), wanted.state_dict().values()))


@pytest.mark.parametrize("network_class", NETWORKS)
def test_a_training_is_the_plain_one(network_class: type[nn.Module], coarse: None) -> None:
    """The second batch is smaller than the others, and the third has another learning rate."""
    network, optimizer, step = _prepared(network_class)
    plain = copy.deepcopy(network)
    adam = torch.optim.Adam(plain.parameters(), lr=0.001, eps=1e-3)
    parameters = list(network.parameters())
    full = torch.arange(NETWORKS[network_class])
    for batch, lr in ((full, 0.001), (torch.tensor([19, 4]), 0.001), (full, 0.01)):
        optimizer.param_groups[0]["lr"].fill_(lr)
        adam.param_groups[0]["lr"] = lr
        assert error(step(batch), _plain_step(plain, adam, step._batches, batch)) < 1e-5
    assert _distance(network, plain) < 1e-5
    assert all(a is b for a, b in zip(parameters, network.parameters(), strict=True))


@pytest.mark.parametrize("network_class", NETWORKS)
def test_bfloat16_is_as_near_as_autocast_to_float32(network_class: type[nn.Module], coarse: None) -> None:
    batch = torch.arange(NETWORKS[network_class])
    network, optimizer, step = _prepared(network_class, "bf16")
    moments = []
    for kind in (FP32, BF16):
        plain = copy.deepcopy(network)
        adam = torch.optim.Adam(plain.parameters(), eps=1e-3)
        loss = _plain_step(plain, adam, step._batches, batch, kind)
        moments.append([adam.state[parameter]["exp_avg"] for parameter in plain.parameters()])
    assert error(step(batch), loss) < ALLOWED[BF16]
    found = [optimizer.state[parameter]["exp_avg"] for parameter in network.parameters()]
    for ours, exact, by_autocast in zip(found, *moments, strict=True):
        assert (ours - exact).norm() < 1.2 * (by_autocast - exact).norm() + ALLOWED[BF16] * exact.norm()


@pytest.mark.parametrize("network_class", NETWORKS)
def test_a_state_goes_out_and_comes_back(network_class: type[nn.Module], coarse: None) -> None:
    """Into another step, into this one, and into the plain step, whose moments are then these."""
    batch = torch.arange(NETWORKS[network_class])
    network, optimizer, step = _prepared(network_class, "bf16")
    step(batch)
    states = copy.deepcopy((network.state_dict(), optimizer.state_dict()))
    step(batch)
    after = copy.deepcopy(network.state_dict())

    def load(into: nn.Module, of: FusedAdam) -> None:
        into.load_state_dict(states[0])
        of.load_state_dict(copy.deepcopy(states[1]))

    other, others, other_step = _prepared(network_class, "bf16")
    for each, adam, again in ((network, optimizer, step), (other, others, other_step)):
        load(each, adam)
        again.refresh()
        again(batch)
        assert all(map(torch.equal, each.state_dict().values(), after.values()))
    assert [int(state["step"]) for state in optimizer.state.values()] == [2] * len(optimizer.state)

    plain = network_class()
    adam = FusedAdam(plain, lr=0.001)
    load(plain, adam)
    load(network, optimizer)
    step.refresh()
    for each, of in ((plain, adam), (network, optimizer)):
        of.param_groups[0]["lr"] = 0.001
        _plain_step(each, of, step._batches, batch)
    assert _distance(network, plain) < 1e-6
    assert [int(state["step"]) for state in optimizer.state.values()] == [2] * len(optimizer.state)
    assert step._flat.counts.tolist() == [2] * len(optimizer.state)


def test_a_network_or_an_optimizer_of_another_kind_is_refused() -> None:
    network, _, step = _prepared(RN_1)
    batches = step._batches
    with pytest.raises(ValueError, match="a batch of 8"):
        step(torch.arange(8))
    refused = (
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), {"lr": torch.tensor(0.1)}),
        (network, {"lr": torch.tensor(0.1), "weight_decay": 0.1}),
        (network, {"lr": 0.1}),
        (RN_1().double(), {"lr": torch.tensor(0.1)}),
    )
    for each, options in refused:
        with pytest.raises(ValueError, match="only"):
            FusedStep(each, batches, FusedAdam(each, **options), 7, "fp32")
