"""What a plain loop trains, the default path trains: custom networks with parameters and layers of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn, optim

from core.config import RunConfig
from core.runs import directory
from core.runs.directory import FollowedRun
from core.training.optimizer import FusedAdam, make_optimizer
from core.worker.carry_out import carry_out

HEAD = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
"""
NETWORKS = {
    "view after a convolution": """
        self.conv, self.fc = nn.Conv2d(1, 4, 5, stride=2), nn.Linear(4 * 12 * 12, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x)).view(len(x), -1))
""",
    "three dimensions": """
        self.conv, self.fc = nn.Conv3d(1, 4, (1, 5, 5), stride=(1, 2, 2)), nn.Linear(4 * 12 * 12, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.conv(x.unsqueeze(2))).flatten(1))
""",
    "every second column": """
        self.weight = nn.Parameter((torch.randn(784, 20) / 28)[:, ::2])

    def forward(self, x):
        return x.flatten(1) @ self.weight
""",
    "transposed": """
        self.weight = nn.Parameter((torch.randn(10, 784) / 28).t())

    def forward(self, x):
        return x.flatten(1) @ self.weight
""",
    "complex": """
        self.weight = nn.Parameter(torch.randn(784, 10, dtype=torch.cfloat) / 28)

    def forward(self, x):
        return (x.flatten(1).to(torch.cfloat) @ self.weight).abs()
""",
    "frozen and never used": """
        self.frozen, self.unused, self.fc = nn.Linear(784, 64), nn.Linear(3, 3), nn.Linear(64, 10)
        self.frozen.requires_grad_(False)

    def forward(self, x):
        return self.fc(torch.relu(self.frozen(x.flatten(1))))
""",
    "tied": """
        self.first, self.second = nn.Linear(784, 32), nn.Linear(32, 784, bias=False)
        self.second.weight = nn.Parameter(self.first.weight.t())
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(torch.relu(self.second(torch.relu(self.first(x.flatten(1))))))
""",
}


def trained(folder: Path, source: str, **settings: object) -> FollowedRun:
    folder.mkdir()
    path = folder / "net.py"
    path.write_text(HEAD + source)
    config = RunConfig(model=f"{path}:Net", dataset="sample", epochs=1, threads=1, seed=1, **settings)  # type: ignore[arg-type]
    followed = FollowedRun(directory.create(folder, config))
    carry_out(followed.run, lambda _event: None, lambda: False)
    followed.read()
    return followed


@pytest.mark.parametrize("name", NETWORKS)
def test_it_learns_as_well_as_by_the_exam_s_arithmetic(name: str, tmp_path: Path) -> None:
    ours, exact = (trained(tmp_path / str(e), NETWORKS[name], exact=e).record.evaluated for e in (False, True))
    assert ours is not None
    assert exact is not None
    assert ours.accuracy > exact.accuracy - 0.03
    assert exact.accuracy > 0.25  # it has learned something


def test_a_parameter_that_plain_adam_refuses_is_refused_in_torch_s_words(tmp_path: Path) -> None:
    source = """
        self.fc, self.shift = nn.Linear(784, 10), nn.Parameter(torch.zeros(1).expand(10))

    def forward(self, x):
        return self.fc(x.flatten(1)) + self.shift
"""
    ended = trained(tmp_path / "run", source).record.ended
    assert ended is not None
    assert ended.status == "failed"
    assert "single memory location" in str(ended.message)


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
