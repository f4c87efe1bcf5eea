"""The health of layers: what is measured, that the training does not notice it, and what may go wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.data.datasets import Dataset
from core.networks.build import build_network
from core.runs.directory import FollowedRun, Run
from core.runs.events import LayersMeasured, Notice
from core.runs.layer_health import LayerHealth
from core.training import health
from core.training.health import HealthMeter, measure_layers
from core.worker.carry_out import carry_out
from tests.core.training.own_files import model_in
from tests.core.training.sample_runs import (
    after_batches,
    batch_losses,
    carried_out,
    configuration,
    events_of,
    predictions_of,
)

pytestmark = pytest.mark.usefixtures("one_thread")

NOTICING = """
        self.fc1, self.norm, self.fc2 = nn.Linear(784, 20), nn.BatchNorm1d(20), nn.Linear(20, 10)
        self.calls = 0
        self.register_buffer("mean", torch.zeros(784))

    def forward(self, x):
        self.calls += 1
        x = x.flatten(1)
        self.mean.lerp_(x.mean(0), 0.1)
        x = x - self.mean + random.uniform(0, 0.1) + float(numpy.random.normal(0, 0.1)) + 0.1 * torch.rand_like(x)
        return self.fc2(torch.relu(self.norm(self.fc1(x)))) * (1 + 0.001 * self.calls)
"""
"""A network that would train to something else if another pass went through it."""
FAILING = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        if torch.is_grad_enabled() and not self.training:
            raise ValueError("no gradient here")
        return self.fc(x.flatten(1))
"""


@pytest.fixture
def any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "MAX_SHARE", 1.0)


def measured(run: Run) -> list[LayersMeasured]:
    return [event for event in events_of(run) if isinstance(event, LayersMeasured)]


def by_name(layers: tuple[LayerHealth, ...]) -> dict[str, LayerHealth]:
    return {layer.name: layer for layer in layers}


@pytest.mark.usefixtures("any_time")
@pytest.mark.parametrize("settings", [{"model": "RN_2", "dropout": 0.2, "batch_norm": True, "validate": True}, {}])
def test_a_run_that_is_measured_has_the_same_numbers(settings: dict[str, Any], tmp_path: Path) -> None:
    settings = {"width": 0.1, **settings} if settings else {"model": model_in(tmp_path / "own", NOTICING)}
    plain, run = (carried_out(tmp_path, **settings, health=on) for on in (False, True))
    assert batch_losses(run) == batch_losses(plain)
    assert predictions_of(run) == predictions_of(plain)
    assert measured(plain) == []
    assert [event.epoch for event in measured(run)] == [1, 2]
    for event in measured(run):
        assert any(layer.gradient_norm for layer in event.layers)


def test_the_gradient_is_that_of_the_loss_and_the_names_are_those_of_the_table(sample: Dataset) -> None:
    torch.manual_seed(3)
    network = build_network(configuration(model="RN_2", width=0.2).architecture)
    images, labels = torch.rand(32, 1, 28, 28), torch.arange(32) % 10
    layers = by_name(measure_layers(network, images, labels))
    assert all(parameter.grad is None for parameter in network.parameters())
    network.eval()
    nn.functional.cross_entropy(network(images), labels).backward()
    for name in ("conv1", "conv2", "fc1", "fc2"):
        layer = network.get_submodule(name)
        both = torch.cat([parameter.grad.flatten() for parameter in layer.parameters() if parameter.grad is not None])
        assert layers[name].gradient_norm == pytest.approx(both.norm().item(), rel=1e-4)
        assert layers[name].dead is None
    assert layers["pool1"].gradient_norm is None
    assert layers["pool1"].weights is None
    assert list(layers) == [name for name, _module in network.named_children()]


class _Known(nn.Module):
    """A network of which it is known which units are dead, and how its values are spread."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4 * 26 * 26, 10, bias=False)
        self.last = nn.ReLU()
        self.scale = nn.Parameter(torch.ones(()))
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[3, 0, 1, 1] = 1  # off at most places of any image, and yet not dead
            self.conv.bias.copy_(torch.tensor([-1.0, 1.0, -1.0, -0.9]))  # type: ignore[union-attr]
            self.fc.weight.copy_(torch.linspace(-1, 1, 10)[:, None].expand(10, 4 * 26 * 26))

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(x)).flatten(1)
        x = self.last(self.fc(x)) * self.scale
        assert x.shape[1] == 10
        return x


def test_dead_units_and_histograms_are_counted() -> None:
    torch.manual_seed(3)
    layers = by_name(measure_layers(_Known(), torch.rand(8, 1, 28, 28), torch.zeros(8, dtype=torch.int64)))
    assert layers["relu"].dead == 0.5
    assert layers["last"].dead == 0.5
    before, after = layers["conv"].activations, layers["relu"].activations
    assert before is not None
    assert after is not None
    assert (before.low, before.high, after.low) == (-1, 1, 0)  # although the ReLU has overwritten it
    assert before.counts[0] == pytest.approx(2048 + 1024 * 0.1, abs=40)
    assert sum(before.counts) == 4096
    of_filters = layers["conv"].weights
    assert of_filters is not None
    assert (of_filters.low, of_filters.high, of_filters.counts[-1]) == (0, 1, 1)
    weights = layers["fc"].weights
    assert weights is not None
    assert (weights.low, weights.high) == (-1, 1)
    assert weights.counts == pytest.approx([410] * 10, abs=10)
    assert layers["scale"].gradient_norm is not None


def test_a_layer_that_overwrites_another_one_does_not_change_what_was_seen_of_it() -> None:
    network, image = _Known().double(), torch.rand(1, 1, 28, 28, dtype=torch.float64)  # all of its values are counted
    before = by_name(measure_layers(network, image, torch.zeros(1, dtype=torch.int64)))["conv"].activations
    assert before is not None
    assert before.low == -1


def test_what_is_not_finite_is_left_out() -> None:
    network = _Known()
    with torch.no_grad():
        network.conv.bias.fill_(torch.nan)  # type: ignore[union-attr]
    layers = by_name(measure_layers(network, torch.rand(8, 1, 28, 28), torch.zeros(8, dtype=torch.int64)))
    assert layers["relu"].dead is None
    assert layers["relu"].activations is None
    assert layers["fc"].gradient_norm is None
    assert layers["fc"].weights is not None


def test_a_network_that_cannot_be_measured_is_said_once_and_trains(tmp_path: Path) -> None:
    run = carried_out(tmp_path, model=model_in(tmp_path / "own", FAILING), health=True)
    assert run.state() == "done"
    said = [str(event.message) for event in events_of(run) if isinstance(event, Notice)]
    assert said == ["the layers cannot be measured (no gradient here): training continues without it"]
    assert measured(run) == []


def test_measurements_take_at_most_a_hundredth_of_the_time(sample: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configuration(width=0.1)
    clock = [0.0]

    def measure(*_arguments: Any) -> tuple[LayerHealth, ...]:
        clock[0] += 0.15
        return ()

    monkeypatch.setattr(health, "measure_layers", measure)
    network = build_network(config.architecture)
    meter = HealthMeter(network, sample, config, torch.device("cpu"), clock=lambda: clock[0])
    done = []
    for epoch in range(1, 101):
        clock[0] += 1.0
        if meter.measure(epoch) is not None:
            done.append(epoch)
    assert done[:2] == [1, 10]
    assert len(done) * 0.15 <= 0.2 + 0.01 * clock[0]
    assert len(done) >= 7


@pytest.mark.usefixtures("any_time")
def test_a_resumed_run_measures_its_epochs_once(tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(80), width=0.1, epochs=3, health=True)
    carry_out(run, lambda _event: None, lambda: False)
    followed = FollowedRun(run)
    followed.read()
    assert [event.epoch for event in followed.record.measured] == [1, 2, 3]
