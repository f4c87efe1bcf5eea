"""Test images shifted, rotated and with noise."""

from __future__ import annotations

import pytest
import torch

from core.data.conditions import Condition
from core.data.distortions import distorted, noisy, shifted, turned

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


@pytest.mark.parametrize(("shade", "edge"), [(255, 255), (0, 0)])
def test_noise_ends_at_black_and_white(shade: int, edge: int) -> None:
    """Half of the noise points beyond the edge and stays there; none of it comes out at the other end."""
    found = noisy(torch.full((50, 28, 28), shade, dtype=torch.uint8), 0.1).float()
    assert float((found == edge).float().mean()) == pytest.approx(0.5, abs=0.02)
    assert float((found - edge).abs().max()) < 255 * 0.1 * 6


def test_each_condition_has_its_directions() -> None:
    before = IMAGES.clone()
    shifts, turns, noise = (list(distorted(IMAGES, Condition(kind, 2))) for kind in ("shift", "turn", "noise"))
    directions = [(0, 2), (0, -2), (2, 0), (-2, 0)]
    assert {found.numpy().tobytes() for found in shifts} == {shifted(IMAGES, *d).numpy().tobytes() for d in directions}
    assert [found.equal(turned(IMAGES, degrees)) for found, degrees in zip(turns, (2, -2), strict=True)] == [True, True]
    assert [found.equal(noisy(IMAGES, 2)) for found in noise] == [True]
    assert all(found.dtype == torch.uint8 for found in (*shifts, *turns, *noise))
    assert torch.equal(IMAGES, before)
