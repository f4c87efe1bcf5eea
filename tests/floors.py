"""The tests with the oldest versions that `pyproject.toml` allows: `python -m tests.floors [ARGUMENT OF PYTEST ...]`.

They are installed in an environment of their own, `.venv-floors`, which is kept: the second time only the tests run.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".venv-floors"


def floors(requirements: Sequence[str]) -> list[str]:
    """Return requirements with each lower bound as the only version: `torch>=2.9` becomes `torch==2.9`."""
    return [requirement.replace(">=", "==") for requirement in requirements]


def main() -> int:
    """Install the oldest versions where they are not yet, and return the exit code of the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = floors(project["dependencies"] + project["optional-dependencies"]["test"])
    subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
    constraints = PLACE / "constraints.txt"
    constraints.write_text("\n".join(oldest) + "\n", encoding="utf-8")
    python = PLACE / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, "-e", f"{ROOT}[test]"], check=True)
    return subprocess.run([python, "-m", "pytest", *(sys.argv[1:] or ["-n", "2"])], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
