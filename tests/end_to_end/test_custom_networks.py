"""Custom networks that print, and whose projects have packages named like ours: in real processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from core.config import Architecture, RunConfig
from core.runs import directory, lease
from core.worker import protocol
from core.worker.launch import launch_standby
from tests.end_to_end.terminal import Place
from tests.json_checks import check_json

pytestmark = pytest.mark.slow

LOUD = """
import atexit, ctypes, os, sys, warnings
import torch
from torch import nn
from core.networks import SIZES

print("import-print")
sys.stdout.write("import-write\\n")
os.write(1, b"import-descriptor\\n")
ctypes.CDLL(None).puts(b"import-c")  # kept in a buffer until the process ends
warnings.warn("import-warning")
atexit.register(print, "exit-print")
with open(os.path.join(os.path.dirname(__file__), "seen"), "a") as seen:
    print(os.getpid(), hasattr(torch, "was_here"), file=seen)
torch.was_here = True


class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(*SIZES)

    def forward(self, x):
        print("forward-print")
        return self.fc(x.flatten(1))
"""
PICKY = """
from torch import nn


class Mute(Exception):
    def __str__(self):
        raise ValueError


class Picky(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))

    def forward(self, x):
        if len(x) > 3:
            raise Mute
        return super().forward(x)
"""
"""A network that fails only on batches as large as those of its table."""
SAID = (
    "import-print",
    "import-write",
    "import-descriptor",
    "import-c",
    "import-warning",
    "exit-print",
    "forward-print",
)


@pytest.fixture
def loud(place: Place) -> str:
    """Write a network that prints, in a project with a `core` of its own; return the value of `--model`."""
    (place.folder / "core").mkdir()
    (place.folder / "core" / "__init__.py").touch()
    (place.folder / "core" / "networks.py").write_text("SIZES = 784, 10\n")
    (place.folder / "loud.py").write_text(LOUD)
    return f"{place.folder / 'loud.py'}:Loud"


def test_stdout_is_for_the_results_alone(place: Place, loud: str) -> None:
    """Started in the project, with `PYTHONPATH=.`: the command finds its own `core`, and the network finds its."""
    ended = subprocess.run(
        [sys.executable, "-m", "tui_app", "layers", "loud.py:Loud", "--json"],
        env=place.environment(PYTHONPATH="."),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=place.folder,
    )
    assert ended.returncode == 0, ended.stderr
    assert check_json(ended.stdout, "layers")["layers"][0]["parameters"] == 7850
    assert [said for said in SAID if said not in ended.stderr] == []


def test_prints_for_every_batch_spam_nobody(place: Place, loud: str) -> None:
    """While it trains they go to the run's log, which is said once; under harder conditions they go nowhere."""
    trained = place.train("--epochs", "1", "--batch-size", "500", "--json", model=loud)
    assert trained.wait() == 0
    assert trained.out == place.run().events_path.read_text("utf-8")
    assert trained.err.count(str(place.run().log_path)) == 1
    assert place.run().log_path.read_text("utf-8").count("forward-print") > 8
    tested = place.fork("conditions", place.run().id, "--shift", "1", "--json")
    assert tested.wait() == 0
    assert check_json(tested.out, "conditions")[0]["run"] == place.run().id
    assert "import-print" in trained.err
    assert trained.err.count("forward-print") <= 7  # those of its checks beforehand
    assert "print" not in tested.err


def test_a_run_gets_a_fresh_process_under_the_same_pid(
    place: Place, loud: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its code did while it was described is no part of it; and the project's `core` is not taken for ours."""
    monkeypatch.setenv("PYTHONPATH", str(place.folder))
    config = RunConfig(model=loud, dataset="sample", epochs=1, batch_size=500, threads=1, seed=1)
    with tempfile.TemporaryFile() as errors:
        worker = launch_standby(errors)
    assert worker.stdin is not None
    assert worker.stdout is not None
    (place.folder / "picky.py").write_text(PICKY)
    for model in (f"{place.folder / 'picky.py'}:Picky", loud):
        worker.stdin.write(protocol.encode(protocol.Describe(Architecture(model=model))) + b"\n")
        worker.stdin.flush()
    answers = [protocol.decode_answer.decode(worker.stdout.readline()) for _ in range(3)]
    assert [type(answer) for answer in answers] == [protocol.Ready, protocol.Refused, protocol.Described]
    run = directory.create(place.runs_dir, config)
    worker.stdin.write(protocol.encode(protocol.Train(str(run.path))) + b"\n")
    worker.stdin.close()
    assert worker.wait(120) == 0
    assert worker.stdout.read() == b""
    worker.stdout.close()
    assert run.state() == "done"
    trainer = lease.read(run.path)
    assert trainer is not None
    assert trainer.pid == worker.pid
    described, first_trained, *_again = (Path(loud).parent / "seen").read_text().splitlines()
    assert described == first_trained == f"{worker.pid} False"
    assert [said for said in SAID if said not in run.log_path.read_text("utf-8")] == []
