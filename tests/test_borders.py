"""What may not know of what: each module imported in a fresh interpreter."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WITH_TORCH = {
    "core.acceleration",
    "core.browsing",
    "core.checkpoints",
    "core.datasets",
    "core.devices",
    "core.distortions",
    "core.drawing",
    "core.evaluation",
    "core.layers",
    "core.macs",
    "core.networks",
    "core.preparation",
    "core.trained",
    "core.training",
    "core.worker",
}


def modules(package: str) -> list[str]:
    paths = sorted((ROOT / package).rglob("*.py"))
    return [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]


def loaded_by(names: list[str]) -> set[str]:
    program = f"import sys, importlib; [importlib.import_module(n) for n in {names!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_core_knows_neither_the_dashboard_nor_its_libraries() -> None:
    loaded = loaded_by(modules("core"))
    assert "torch" in loaded
    assert not loaded & {"textual", "plotext", "typer", "rich"}
    assert not [name for name in loaded if name.split(".")[0] == "tui_app"]


def test_the_dashboard_never_loads_torch() -> None:
    loaded = loaded_by(modules("tui_app"))
    assert "textual" in loaded
    assert not loaded & {"torch", "torchvision", "numpy", "plotext"}


@pytest.mark.parametrize("name", sorted(set(modules("core")) - WITH_TORCH))
def test_what_needs_no_torch_does_not_load_it(name: str) -> None:
    assert "torch" not in loaded_by([name])


def test_one_file_knows_plotext() -> None:
    files = [path for package in ("core", "tui_app") for path in (ROOT / package).rglob("*.py")]
    importing = [path.stem for path in files if re.search(r"^\s*(import|from) plotext", path.read_text(), re.MULTILINE)]
    assert importing == ["chart_canvas"]
