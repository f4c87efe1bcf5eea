"""`mnist-tui exam` with networks that load torch: exercises and a teacher's own, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.json_checks import check_json

ROOT = Path(__file__).parents[2]
_SEVERAL = """
import json, sys
from tui_app import cli, terminal
for command in json.loads(sys.argv[1]):
    assert cli.run([*command, "--lang", "en"]) == 0
    print(end="\\f", file=terminal.output())
"""


def process(*commands: tuple[object, ...]) -> list[str]:
    """Run commands one after the other in one process, which loads torch once, and return what each printed."""
    typed = json.dumps([[*map(str, command)] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", _SEVERAL, typed], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\f")[:-1]


@pytest.mark.slow
def test_exercises_and_their_keys(tmp_path: Path) -> None:
    made, without = tmp_path / "made", tmp_path / "without"
    keys = [made / f"exercise-{number:02}-key.md" for number in (1, 2, 3)]
    *_nothing, layers, marks = process(
        ("exam", "--make", 3, "--seed", 3, "--output", made),
        ("exam", "--make", 1, "--seed", 3, "--no-key", "--output", without),
        ("layers", f"{made}/exercise-02.py:Exercise02", "--json"),
        ("exam", "--mark", *keys, "--seed", 3, "--json"),
    )
    assert {path.name for path in made.iterdir()} == {
        f"exercise-{number:02}{ending}" for number in (1, 2, 3) for ending in (".py", ".md", "-key.md")
    }
    key = keys[1].read_text(encoding="utf-8").splitlines()
    for layer in json.loads(layers)["layers"]:
        row = next(line for line in key if f"| {layer['name']} |" in line)
        assert row.endswith(f"= {layer['parameters']:,} |" if layer["parameters"] else "| 0 |")
    copies = check_json(marks, "exam")["copies"]
    assert [(copy["file"], copy["points"] == copy["out_of"]) for copy in copies] == [(path.name, True) for path in keys]
    assert {path.name for path in without.iterdir()} == {"exercise-01.md", "exercise-01.py"}
    assert "32×28×28" in keys[0].read_text(encoding="utf-8")
    assert "32×28×28" not in "".join(path.read_text(encoding="utf-8") for path in without.iterdir())


@pytest.mark.slow
def test_networks_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.flat = nn.Flatten()\n        self.out = nn.Linear(784, 10)\n\n"
        "    def forward(self, x):\n        print('noise')\n        return self.out(self.flat(x))\n"
    )
    model = ("--model", f"{tmp_path}/net.py:Net")
    filled = "## net.py:Net\n\n| out | linear | 784→10 | 10 | 784×10 + 10 = 7850 |\n"
    (tmp_path / "copy.md").write_text(filled, encoding="utf-8")
    _nothing, marks = process(
        ("exam", "--new", tmp_path / "sheet.md", *model), ("exam", "--mark", tmp_path / "copy.md", *model, "--json")
    )
    text = (tmp_path / "sheet.md").read_text(encoding="utf-8")
    assert [
        each for each in ("## net.py:Net\n", "self.out = nn.Linear(784, 10)", "| out |  |") if each not in text
    ] == []
    (copy,) = check_json(marks, "exam")["copies"]
    (network,) = copy["networks"]
    assert (network["network"], network["points"]) == ("net.py:Net", 4)
