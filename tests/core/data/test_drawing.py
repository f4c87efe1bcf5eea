"""Drawings converted to MNIST's form."""

from __future__ import annotations

import numpy as np
import pytest

from core.data.drawing import mnist_form


def test_a_small_drawing_in_a_corner_is_scaled_and_centred() -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[2:12, 3:8] = 255
    image = mnist_form(drawing)
    rows, columns = image.nonzero()
    assert (int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1) == (20, 10)
    weight = image / image.sum()
    assert float((weight.sum(1) * np.arange(28)).sum()) == pytest.approx(13.5, abs=0.6)
    assert float((weight.sum(0) * np.arange(28)).sum()) == pytest.approx(13.5, abs=0.6)


def test_what_is_in_form_already_stays_nearly_as_it_is() -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[4:24, 13:15] = 200
    assert np.array_equal(mnist_form(drawing), drawing)


@pytest.mark.parametrize("ink", [(0, 0), (27, 27), (0, 27)])
def test_a_dot_anywhere_has_a_form(ink: tuple[int, int]) -> None:
    drawing = np.zeros((28, 28), np.uint8)
    drawing[ink] = 255
    assert mnist_form(drawing).shape == (28, 28)
