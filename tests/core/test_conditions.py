"""Test images under harder conditions, and runs tested on them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.config import RunConfig
from core.data import conditions
from core.data.conditions import Condition
from core.data.distortions import distorted, noisy, shifted, turned
from core.messages import InvalidSetting, Problem
from core.runs import directory
from core.training.load_trained import Datasets, load_network
from core.training.robustness import robustness
from core.worker.carry_out import carry_out

IMAGES = torch.randint(0, 256, (20, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_no_strength_changes_nothing() -> None:
    assert torch.equal(shifted(IMAGES, 0, 0), IMAGES)
    assert torch.equal(turned(IMAGES, 0), IMAGES)
    assert torch.equal(noisy(IMAGES, 0), IMAGES)


def test_a_shift_moves_every_pixel_by_whole_pixels() -> None:
    right = shifted(IMAGES, 1, 0)
    assert torch.equal(right[:, :, 1:], IMAGES[:, :, :-1])
    assert not right[:, :, 0].any()
    up = shifted(IMAGES, 0, -3)
    assert torch.equal(up[:, :-3], IMAGES[:, 3:])
    assert not up[:, -3:].any()


@pytest.mark.parametrize("quarters", [1, 2, -1])
def test_a_quarter_turn_is_exact(quarters: int) -> None:
    assert torch.equal(turned(IMAGES, 90 * quarters), torch.rot90(IMAGES, quarters, (1, 2)))


def test_a_turn_there_and_back_is_nearly_the_image() -> None:
    smooth = torch.zeros(1, 28, 28, dtype=torch.uint8)
    smooth[:, 8:20, 8:20] = 200
    back = turned(turned(smooth, 15), -15)
    assert (back.float() - smooth.float()).abs().mean() < 8


def test_noise_is_as_strong_as_said_and_always_the_same() -> None:
    grey = torch.full((200, 28, 28), 128, dtype=torch.uint8)
    found = noisy(grey, 0.1)
    assert found.float().std().item() / 255 == pytest.approx(0.1, rel=0.02)
    assert torch.equal(found, noisy(grey, 0.1))


def test_each_condition_has_its_directions() -> None:
    numbers = [len(list(distorted(IMAGES, Condition(kind, 2)))) for kind in ("shift", "turn", "noise")]  # type: ignore[arg-type]
    assert numbers == [4, 2, 1]
    before = IMAGES.clone()
    assert all(image.dtype == torch.uint8 for image in distorted(IMAGES, Condition("noise", 0.5)))
    assert torch.equal(IMAGES, before)


@pytest.mark.parametrize(
    ("kind", "text", "strengths"),
    [("shift", "1,2,4", [1, 2, 4]), ("turn", " 5, 22.5 ", [5, 22.5]), ("noise", "0.1,1,0.1", [0.1, 1])],
)
def test_strengths_that_can_be_typed(kind: conditions.Kind, text: str, strengths: list[float]) -> None:
    assert conditions.from_text(kind, text) == [Condition(kind, strength) for strength in strengths]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("shift", text) for text in ("", "0", "5", "-1", "1.5", "1,,2", "left", "nan")),
        *(("turn", text) for text in ("", "4.9", "46", "-15", "5;15", "inf")),
        *(("noise", text) for text in ("", "0", "1.1", "-0.1", "loud", "1e999")),
    ],
)
def test_strengths_that_cannot_are_refused(kind: conditions.Kind, text: str) -> None:
    with pytest.raises(InvalidSetting):
        conditions.from_text(kind, text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> directory.Run:
    config = RunConfig(dataset="sample", epochs=1, seed=1, threads=1, device="cpu", permute=True, width=0.25)
    made = directory.create(tmp_path_factory.mktemp("runs"), config)
    carry_out(made, lambda _event: None, lambda: False)
    return made


def test_a_run_is_tested_on_its_own_images_as_it_saw_them(run: directory.Run) -> None:
    kept = Datasets(lambda _m: None, lambda _m, _f: None, lambda: False)
    steps: list[None] = []
    asked = [Condition("shift", 4), Condition("noise", 0.5)]
    found = robustness(run, asked, kept, torch.device("cpu"), lambda: steps.append(None))
    plain, *others = found.tested
    assert (plain.condition, plain.accuracy) == (None, run.summary().accuracy)
    assert [tested.condition for tested in others] == asked
    assert all(tested.accuracy < plain.accuracy for tested in others)
    assert len(steps) == 3
    assert robustness(run, asked, kept, torch.device("cpu"), lambda: None) == found


def test_weights_that_are_missing_or_damaged_are_named(run: directory.Run, tmp_path: Path) -> None:
    bare = directory.create(tmp_path, run.config())
    with pytest.raises(Problem, match="no trained weights"):
        load_network(bare)
    (bare.path / "weights.safetensors").write_bytes(b"\x00" * 64)
    with pytest.raises(Problem, match="cannot be read"):
        load_network(bare)
    other = directory.create(tmp_path, RunConfig(model="RN_2"))
    (other.path / "weights.safetensors").write_bytes((run.path / "weights.safetensors").read_bytes())
    with pytest.raises(Problem, match="do not fit"):
        load_network(other)
