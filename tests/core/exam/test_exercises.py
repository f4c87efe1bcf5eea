"""Exercises made at random: valid, different, equally long, and the same for ever."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from core.catalogue import SIDE
from core.config import Architecture
from core.exam import examined, exercises
from core.exam.exercises import NUM_ROWS
from core.messages import InvalidSetting
from core.networks.build import build_network
from core.networks.layer_table import LayerTable

FIRST_OF_SEED_3 = """\
import torch.nn as nn


class Exercise01(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, kernel_size=5, padding=2)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(kernel_size=3, stride=3)
        self.conv2 = nn.Conv2d(32, 12, kernel_size=5, padding=1)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(108, 128)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(128, 32, bias=False)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(32, 10)
"""


@pytest.fixture(scope="module")
def tables() -> list[LayerTable]:
    return [examined.exercise_table(each) for each in exercises.exercises(3, 30)]


def test_thirty_tables_that_all_differ(tables: list[LayerTable]) -> None:
    seen = {
        tuple((row.type, str(row.specification), row.output_shape, row.parameters) for row in table.layers)
        for table in tables
    }
    assert len(seen) == 30


def test_sizes_are_valid_and_none_is_degenerate(tables: list[LayerTable]) -> None:
    for table in tables:
        assert len(table.layers) == NUM_ROWS
        assert 2_000 <= table.total <= 2_000_000
        images = [row.output_shape for row in table.layers if row.output_shape and len(row.output_shape) == 3]
        assert all(2 <= side <= SIDE + 4 for shape in images for side in shape[1:])
        assert table.layers[-1].output_shape == (10,)
        assert [row.name for row in table.layers].count("flatten") == 1


def test_every_kind_of_setting_comes_up() -> None:
    text = "".join(each.source for each in exercises.exercises(3, 30))
    wanted = ("MaxPool2d", "AvgPool2d", "Dropout", "BatchNorm2d", "bias=False", "padding=", "stride=2)", "conv3")
    assert [each for each in wanted if each not in text] == []
    assert re.search(r"kernel_size=\(\d, \d\)", text)


def test_a_seed_and_a_number_are_all_that_it_takes() -> None:
    """Whoever handed out exercises of an earlier version can still mark them."""
    assert exercises.exercises(3, 1)[0].source.startswith(FIRST_OF_SEED_3)
    assert exercises.exercises(3, 5) == exercises.exercises(3, 30)[:5]
    assert exercises.exercises(4, 1)[0].source != exercises.exercises(3, 1)[0].source
    for seed in range(40):
        assert len({each.source.partition("__init__")[2] for each in exercises.exercises(seed, 30)}) == 30


def test_the_program_is_a_network_of_one_s_own(tmp_path: Path) -> None:
    exercise = exercises.exercises(7, 2)[1]
    path = tmp_path / f"{exercise.stem}.py"
    path.write_text(exercise.source)
    network = build_network(Architecture(model=f"{path}:Exercise02"))
    assert network(torch.zeros(2, 1, SIDE, SIDE)).shape == (2, 10)
    key = examined.exercise_table(exercise)
    assert sum(row.parameters for row in key.layers) == sum(each.numel() for each in network.parameters()) == key.total
    assert examined.layer_table(f"{path}:Exercise02").layers == key.layers


@pytest.mark.parametrize(("seed", "how_many"), [(3, 0), (3, 201), (-1, 5), (2**32, 5)])
def test_what_is_out_of_bounds(seed: int, how_many: int) -> None:
    with pytest.raises(InvalidSetting):
        exercises.exercises(seed, how_many)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("exercise 3-01", (3, 1)),
        ("## Exercice n° 12–7 (réseau)", (12, 7)),
        ("exercise 3", None),
        ("exercise 3-000", None),
        ("exercise 3-201", None),
        ("exercise 99999999999-1", None),
    ],
)
def test_labels(text: str, found: tuple[int, int] | None) -> None:
    assert exercises.named(text) == found
