"""Fixtures for tests of the training: the sample, and a single thread so that a seed always gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.data.datasets import Dataset


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """Return the data set of 5,000 images that comes with the installation."""
    from core.data import datasets

    return datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Limit torch to one thread, and restore the number afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
