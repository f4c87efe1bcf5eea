"""Parameters and checkpoints that the fused Adam must not take for what they are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from core.config import RunConfig
from core.training.optimizer import FusedAdam, make_optimizer
from tests.core.training.own_files import model_in
from tests.core.training.sample_runs import carried_out


def test_a_parameter_that_plain_adam_refuses_is_refused_in_torch_s_words(tmp_path: Path) -> None:
    body = """
        self.fc, self.shift = nn.Linear(784, 10), nn.Parameter(torch.zeros(1).expand(10))

    def forward(self, x):
        return self.fc(x.flatten(1)) + self.shift
"""
    summary = carried_out(tmp_path, model=model_in(tmp_path, body)).summary()
    assert summary.state == "failed"
    assert "single memory location" in str(summary.message)


LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("before", LAYOUTS)
@pytest.mark.parametrize("after", LAYOUTS)
def test_moments_come_from_any_memory_order(before: torch.memory_format, after: torch.memory_format) -> None:
    """A checkpoint of a GPU goes on as on that GPU, for all that the CPU orders filters otherwise."""
    torch.manual_seed(0)
    images, labels = torch.randn(8, 3, 8, 8), torch.randint(4, (8,))

    def network() -> nn.Module:
        torch.manual_seed(1)
        return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Flatten(), nn.Linear(180, 4))

    def steps(each: nn.Module, optimizer: optim.Optimizer, number: int) -> list[float]:
        losses = []
        for _step in range(number):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(each(images), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    reference = network()
    expected = steps(reference, optim.Adam(reference.parameters(), lr=0.01), 8)
    config = RunConfig(lr=0.01)
    first = network().to(memory_format=before)
    optimizer = make_optimizer(first, config)
    assert isinstance(optimizer, FusedAdam)
    found = steps(first, optimizer, 4)
    second = network().to(memory_format=after)
    second.load_state_dict(first.state_dict())
    resumed = make_optimizer(second, config)
    resumed.load_state_dict(optimizer.state_dict())
    assert found + steps(second, resumed, 4) == pytest.approx(expected, rel=1e-4)
