"""Drawings converted to MNIST's form."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.datasets import Dataset
from core.data.drawing import mnist_form


def test_a_small_drawing_in_a_corner_is_scaled_and_centred() -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[2:12, 3:8] = 255
    image = mnist_form(drawing)
    rows, columns = image.nonzero()
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (20, 10)
    weight = image / image.sum()
    assert float((weight.sum(1) * np.arange(28)).sum()) == pytest.approx(14, abs=0.51)
    assert float((weight.sum(0) * np.arange(28)).sum()) == pytest.approx(14, abs=0.51)


def test_what_is_in_form_already_stays_nearly_as_it_is() -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[4:24, 13:15] = 200
    assert np.array_equal(mnist_form(drawing), drawing)


@pytest.mark.parametrize("ink", [(0, 0), (27, 27), (0, 27)])
def test_a_dot_anywhere_has_a_form(ink: tuple[int, int]) -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[ink] = 255
    assert mnist_form(drawing).shape == (28, 28)


def test_mnist_s_own_digits_stay_where_they_are(sample: Dataset) -> None:
    """The centre is MNIST's own: pixel 14, not the frame's middle at 13.5."""
    kept = 0
    for image in sample.test_images[:200].numpy():
        moved = mnist_form(image)
        kept += int((moved.astype(int) * image).sum() > 0.98 * float((image.astype(int) ** 2).sum()))
    assert kept > 190
