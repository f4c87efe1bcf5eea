"""Fixtures of the dashboard's tests. They load no torch: what they need of it is recorded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui_app import recorded
from tui_app import i18n


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-snapshots", action="store_true", help="write the snapshots of the screens anew")


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Allow no animations, no data but the sample, and no personal preference for a screen without colours."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("MNIST_TUI_DATA", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def _no_torch() -> Iterator[None]:
    was_loaded = "torch" in sys.modules  # loaded by tests of another folder
    yield
    assert was_loaded or "torch" not in sys.modules


@pytest.fixture(params=[pytest.param("en", marks=pytest.mark.alike), "fr"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    i18n.use(request.param)
    yield request.param
    i18n.use("en")


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """Return a folder with two finished runs, rn1-0001 and rn2-0002: two epochs on the sample, seed 1."""
    return recorded.copy_runs(tmp_path / "runs")
