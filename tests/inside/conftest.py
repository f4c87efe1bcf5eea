"""Fixtures of the tests of *Inside*: real answers, from this process, so that torch is loaded once for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from core.data import datasets
from core.data.datasets import Dataset


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("MNIST_TUI_DATA", str(tmp_path / "data"))


@pytest.fixture(scope="session")
def sample() -> Dataset:
    """Return the data set that comes with the installation."""
    return datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )


@pytest.fixture(scope="session")
def sample_images(sample: Dataset) -> Tensor:
    """Return its test images."""
    return sample.test_images
