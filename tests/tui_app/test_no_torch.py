"""The dashboard and its tests do not load torch, which takes seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_no_module_of_this_folder_loads_torch() -> None:
    """A fixture checks that no test loads it either while it runs."""
    folder = Path(__file__).parent
    names = sorted({path.stem for path in folder.glob("*.py")} - {"record"})
    modules = [f"tests.tui_app.{name}" for name in names]
    program = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]; print('torch' in sys.modules)"
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=folder.parent.parent
    )
    assert ended.stdout.strip() == "False"
