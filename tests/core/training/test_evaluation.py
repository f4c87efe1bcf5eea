"""Evaluation: in eval mode, and every image counted once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training import evaluation
from core.training.evaluation import evaluate


def test_evaluation_is_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 20), nn.BatchNorm1d(20), nn.Dropout(0.5), nn.Linear(20, 10))
    images, labels = torch.randn(60, 1, 28, 28), torch.arange(60) % 10
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        expected = network.eval()(images).softmax(1).max(1)
    found = evaluate(network.train(), images, labels)
    assert torch.equal(found.predicted, expected.indices)
    assert torch.equal(found.probability, expected.values)
    assert not any(module.training for module in network.modules())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("size", [1, 1000, 1050, 2999])
def test_loss_is_the_mean_over_images_whatever_the_batches(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last, smaller batch is the one with the high losses."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    images, labels = torch.randn(size, 1, 28, 28), torch.randint(10, (size,))
    images[1000:] *= 20
    with torch.no_grad():
        expected = nn.functional.cross_entropy(network(images), labels).item()
    found = evaluate(network, images, labels)
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert found.correct == int((found.predicted == labels).sum())
    assert len(found.predicted) == size
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 700)
    assert evaluate(network, images, labels).loss == pytest.approx(expected, rel=1e-5)
