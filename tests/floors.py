"""The tests with the oldest versions that `pyproject.toml` allows: `python -m tests.floors [PYTEST ARGUMENT ...]`.

These versions are installed in an environment of their own, `.venv-floors`, which is kept: later only the tests run.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".venv-floors"


def oldest_versions() -> list[str]:
    """Return what the program and its tests need, with each lower bound as the exact version: `torch==2.9`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["test"]
    return [requirement.replace(">=", "==") for requirement in requirements]


def main() -> int:
    """Install the oldest versions if they are missing, run the tests, and return their exit code."""
    subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
    constraints = PLACE / "constraints.txt"
    constraints.write_text("\n".join(oldest_versions()) + "\n", encoding="utf-8")
    python = PLACE / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, "-e", f"{ROOT}[test]"], check=True)
    return subprocess.run([python, "-m", "pytest", *(sys.argv[1:] or ["-n", "2"])], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main())
