"""Comparisons on a real Ray cluster, whose nodes are processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from core import paths
from core.runs import lease
from tests.end_to_end.compared import command, comparison, log, training, without_times
from tests.end_to_end.terminal import Place, wait_until

pytest.importorskip("ray")
pytestmark = pytest.mark.slow
_MEMORY = 100 << 20
OTHERS = """
import ray, time
ray.init("auto", logging_level="ERROR")
actors = [ray.remote(num_cpus=1)(object).remote() for _ in range(2)]
ray.get([actor.__ray_ready__.remote() for actor in actors])
print("here", flush=True)
time.sleep(600)
"""


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder for temporary files of a cluster's nodes; its path is short, as sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="n", dir="/tmp", ignore_cleanup_errors=True) as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture
def cluster(nodes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a cluster of two nodes, each with one core."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PAUSE", "0.05")  # in the nodes' environment: a custom network there takes its time
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": _MEMORY})
    made.add_node(num_cpus=1, object_store_memory=_MEMORY)
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    made.shutdown()


def _left() -> list[psutil.Process]:
    """Return the workers of outposts."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found += [process] if paths.SENT in process.environ() else []
    return found


def test_a_comparison_is_the_same_whatever_it_loses(place: Place, cluster: Any, nodes: Path, tmp_path: Path) -> None:
    """A node is lost, then the process that carries it out is killed: the table is the same."""
    environment = {"RAY_ADDRESS": cluster.address}
    asked_for = command(place, "--on", "ray", "--json")
    asked = place.start(*asked_for, **environment)
    wait_until(lambda: len(training(place)) == 2, lambda: f"two runs: {asked.err}{log(place)}")
    assert {entry["host"] for entry in place.listed().values()} == {socket.gethostname()}
    runs = training(place)
    cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)
    wait_until(lambda: max(run.attempt for run in runs) == 2, lambda: f"the run going on: {asked.err}{log(place)}")
    stored = comparison(place)
    wait_until(lambda: len(stored.standing().slots) == 1, lambda: stored.standing().slots)
    holder = lease.read(stored.path)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    assert asked.wait() == 1
    wait_until(lambda: not _left(), "the end of what it left on the nodes")
    assert "crashed" in {run.state() for run in runs}
    cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
    again = place.start(*asked_for, **environment)
    assert again.wait() == 0, again.err + log(place)
    assert not _left()
    wait_until(lambda: not list(nodes.glob("mnist-tui-*")), "the end of the outposts' folders")

    local = place.command(*command(place, "--json", "--runs-dir", str(tmp_path / "local")))
    assert local.code == 0, local.err
    assert without_times(json.loads(again.out)) == without_times(json.loads(local.out))


def test_a_comparison_waits_for_room_is_stopped_and_leaves_nothing(place: Place, cluster: Any) -> None:
    environment = {"RAY_ADDRESS": cluster.address}
    with subprocess.Popen([sys.executable, "-c", OTHERS], stdout=subprocess.PIPE) as others:
        try:
            (place.folder / "core").mkdir()  # not ours, and in the folder where the command is typed
            (place.folder / "core" / "__init__.py").touch()
            assert others.stdout is not None
            assert others.stdout.readline() == b"here\n"
            asked = place.start(*command(place, "--on", "ray"), **environment)
            busy = "the Ray cluster is busy: waiting for room"
            wait_until(lambda: busy in asked.err, lambda: f"{asked.err}{log(place)}")
            assert not list(place.runs_dir.glob("rn1-*"))
        finally:
            others.kill()
    (run, *_others) = wait_until(lambda: training(place), lambda: f"a run: {asked.err}{log(place)}")
    asked.signal(signal.SIGINT)
    assert asked.wait() == 130, asked.err + log(place)
    assert run.state() == "stopped"
    assert run.has_checkpoint()
    assert not run.stop_requested()
    wait_until(lambda: not _left(), "the end of what it left on the nodes")
    refused = place.command(*command(place, "--on", "ray", "--device", "cuda"), RAY_ADDRESS=cluster.address)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "mnist-tui: the Ray cluster has no GPU. Leave out --device, or give --device cpu.\n"


@pytest.mark.parametrize(
    ("cluster_named", "said"),
    [
        ("ray", "there is no Ray cluster on this machine"),
        ("ray://127.0.0.1:1", "no Ray cluster answers at ray://127.0.0.1:1: "),
    ],
)
def test_what_does_not_answer_is_told_before_anything_is_started(cluster_named: str, said: str, place: Place) -> None:
    refused = place.command(*command(place, "--on", cluster_named), RAY_ADDRESS="127.0.0.1:1")
    assert refused.code == 1
    assert said in refused.err
    assert len(refused.err.splitlines()) <= 2
    assert not list(place.runs_dir.glob("*-*"))
