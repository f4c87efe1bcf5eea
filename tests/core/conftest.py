"""What tests of the training share: the sample, and one thread, so that the same seed gives the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.data.datasets import Dataset


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """Return the data of 5,000 images that come with the installation."""
    from core.data import datasets

    return datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Give torch one thread, and afterwards those that it had."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
