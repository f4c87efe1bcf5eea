"""A state folder for each test, and trained runs for tests that inspect them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.config import RunConfig
from core.runs import directory


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what the program remembers out of the user's own folder."""
    monkeypatch.setenv("MNIST_TUI_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from core.worker.carry_out import carry_out  # here: it loads torch, which the dashboard's tests do without

    folder = tmp_path_factory.mktemp("trained")
    for model in ("RN_1", "RN_2"):
        config = RunConfig(model=model, dataset="sample", epochs=2, threads=1, seed=1)
        carry_out(directory.create(folder, config), lambda _event: None, lambda: False)
    return folder


@pytest.fixture(scope="module")
def finished(_trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two runs, rn1-0001 and rn2-0002, for two epochs on the sample with seed 1; return their folder."""
    return Path(shutil.copytree(_trained, tmp_path_factory.mktemp("runs") / "runs"))
