"""Slots reached through a shared folder, as Slurm's jobs are; what Slurm itself does is tested with a real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

from core.comparing import clusters, slurm_cluster, stored
from core.comparing.engine import Slot
from core.comparing.slurm_engine import SlurmCluster, SlurmWorker
from core.comparing.stored import StoredComparison
from core.messages import InvalidSetting, Problem
from core.runs import directory, lease
from core.worker import launch, slurm_slot
from core.worker.asking import GivenUp
from tests.core.comparing.finished_runs import SETTINGS, config_of
from tests.end_to_end.terminal import wait_until

PLAN = stored.make_plan(("RN_1", "RN_2"), 1, SETTINGS, cluster="slurm", slurm={"workers": "2"})


@pytest.fixture
def comparison(tmp_path: Path) -> StoredComparison:
    return stored.store(tmp_path, PLAN)


@pytest.fixture
def cluster(comparison: StoredComparison, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """Return a cluster that looks at its folder whenever it is asked."""
    monkeypatch.setattr("core.comparing.slurm_engine._LOOK_S", 0.0)
    return SlurmCluster(comparison, PLAN)


@pytest.fixture
def start(comparison: StoredComparison) -> Iterator[Callable[[int], subprocess.Popen[bytes]]]:
    """Return a function that starts a job, as Slurm would, without Slurm."""
    started: list[subprocess.Popen[bytes]] = []

    def start(number: int) -> subprocess.Popen[bytes]:
        code = launch.code("core.worker.slurm_slot", f"serve({str(comparison.path)!r})")
        started.append(subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "SLURM_JOB_ID": str(number)}))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def _has_done(worker: SlurmWorker) -> bool:
    return not worker.is_busy


def test_arrays_on_disk_that_are_none_reach_no_command(
    comparison: StoredComparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slots = comparison.path / slurm_slot.SLOTS
    slots.mkdir(exist_ok=True)
    (slots / "arrays.json").write_text('["--user=root", "17", "../*"]')
    for name in ("scancel", "squeue"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    SlurmCluster(comparison, comparison.plan()).close()
    assert (tmp_path / "asked").read_text() == "--state=PENDING 17\n"


def test_what_a_node_was_given_to_look_for_the_folder_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "srun").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "scancel").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    for name in ("sbatch", "srun", "scancel"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_cluster, "_ANSWER_S", 3.0)
    assert slurm_cluster.check({}, "auto", tmp_path / "runs") is False
    assert re.fullmatch(r"--name=seen-\w+\n", (tmp_path / "asked").read_text())
    (tmp_path / "asked").unlink()
    with pytest.raises(GivenUp):
        slurm_cluster.check({}, "auto", tmp_path / "runs", lambda: any((tmp_path / "runs").glob(".seen-*")))
    assert (tmp_path / "asked").exists()
    assert not list((tmp_path / "runs").iterdir())


@pytest.mark.slow
def test_a_slot_trains_what_it_is_handed_and_ends_when_nothing_waits(
    tmp_path: Path,
    cluster: SlurmCluster,
    start: Callable[[int], subprocess.Popen[bytes]],
) -> None:
    process = start(1)
    (slot,) = wait_until(lambda: cluster.slots, "a slot")
    for seed in (0, 1):
        run = directory.create(tmp_path, config_of("RN_1", seed, epochs=1, dataset="sample", threads=1))
        worker = cluster.start([run], slot)
        assert worker is not None
        assert cluster.start([run], slot) is None
        (handed,) = filter(None, [cluster.trains(run)])
        assert (handed.slot, handed.runs) == (slot, 1)
        wait_until(partial(_has_done, worker), "the end of the run")
        assert (run.state(), worker.is_lost, cluster.trains(run)) == ("done", False, None)
    cluster.want(0)
    assert not cluster.slots
    assert process.wait(60) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kills", [True, False])
def test_a_slot_that_ends_leaves_its_run_to_another(
    kills: bool, tmp_path: Path, cluster: SlurmCluster, start: Callable[[int], subprocess.Popen[bytes]]
) -> None:
    process = start(2)
    (slot,) = wait_until(lambda: cluster.slots, "a slot")
    run = directory.create(tmp_path, config_of("RN_2", 0, epochs=500, dataset="sample", threads=1))
    worker = cluster.start([run], slot)
    assert worker is not None
    wait_until(lambda: run.summary().epoch > 1, "its second epoch")
    assert worker.is_busy
    process.kill() if kills else process.terminate()
    process.wait(60)
    wait_until(lambda: not worker.is_busy, "the end of the slot")
    assert worker.is_lost
    if kills:
        run.request_stop()
    wait_until(lambda: run.state() == "stopped", "the run's end")
    assert run.has_checkpoint()


def test_what_is_no_slot_is_none(comparison: StoredComparison, cluster: SlurmCluster, tmp_path: Path) -> None:
    slots = comparison.path / slurm_slot.SLOTS
    for name in ("jobs", "..x", "1_2_3-0", "7-0"):
        (slots / name).mkdir()
    (slots / "8-0").symlink_to(tmp_path)
    (slots / "9-0").write_bytes(b"")
    assert cluster.slots == []
    with lease.hold(slots / "7-0") as held:
        assert cluster.slots == [Slot("cpu", held.lease.host)]
        for content in (b"", b"[" * 100_000, b"{}", b"[1]"):
            (slots / "7-0" / slurm_slot.JOB).write_bytes(content)
            assert slurm_slot.read_job(slots / "7-0") == []


def test_a_node_with_other_versions_is_refused(comparison: StoredComparison, cluster: SlurmCluster) -> None:
    folder = comparison.path / slurm_slot.SLOTS / "7-0"
    folder.mkdir()
    with lease.hold(folder) as held:
        versions = {**held.lease.provenance.versions, "torch": "1.0"}
        origin = msgspec.structs.replace(held.lease.provenance, versions=versions)
        other = msgspec.structs.replace(held.lease, provenance=origin)
        (folder / "attempt-0001.json").write_bytes(msgspec.json.encode(other))
        with pytest.raises(Problem, match=r"torch 1\.0"):
            str(cluster.slots)


@pytest.mark.parametrize(
    ("options", "device", "said"),
    [
        ({"workers": "0"}, "auto", "workers"),
        ({"workers": "²"}, "auto", "workers"),
        ({"output": "x"}, "auto", "output"),
        ({}, "cuda", "no GPU"),
        ({"gres": "gpu:1"}, "cuda:3", "cuda:3"),
        ({}, "mps", "mps"),
        ({"partition": "nogpu"}, "cuda", "no GPU"),
        ({"gpus": "0"}, "cuda", "no GPU"),
        ({"arra": "0-3"}, "auto", "arra"),
        ({"ntasks_per_node": "2"}, "auto", "ntasks_per_node"),
    ],
)
def test_what_no_job_could_do_is_refused(
    options: dict[str, str], device: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(InvalidSetting, match="number of workers" if said == "workers" else said) as caught:
        clusters.check("slurm", options, device, tmp_path / "runs")
    assert said in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_where_there_is_no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match="no Slurm here"):
        slurm_cluster.check({}, "auto", tmp_path)


def test_where_its_controller_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sbatch").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(slurm_cluster, "_ANSWER_S", 0.2)
    with pytest.raises(Problem, match="does not answer"):
        slurm_cluster.check({}, "auto", tmp_path)
