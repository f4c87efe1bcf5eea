"""The job script of the documentation, and comparisons, under a real Slurm, a cluster of this one machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.runs import lease
from core.runs.directory import Run
from core.runs.events import Progress, RunStarted
from tests.end_to_end.compared import command, comparison, without_times
from tests.end_to_end.terminal import COMMAND, Place, all_events, batch_losses, wait_for_event, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        shutil.which("slurmctld") is None or shutil.which("slurmd") is None or os.geteuid() != 0,
        reason="needs Slurm, and to be root",
    ),
]

PAGE = Path(__file__).parents[2] / "docs" / "SERVERS.md"
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
ReturnToService=2
SchedulerParameters=sched_interval=1,batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=host, folder=folder, ports=[_free_port(), _free_port()]))
    monkeypatch.setenv("SLURM_CONF", str(configuration))
    daemons = []
    try:
        for daemon in ("slurmctld", "slurmd"):
            with (folder / f"{daemon}.log").open("wb") as log:
                daemons.append(subprocess.Popen([daemon, "-D"], stdout=log, stderr=log))
        wait_until(lambda: "idle" in _said("sinfo", "--noheader", "--format=%T"), "the cluster")
        yield
    finally:
        for process in reversed(daemons):
            process.terminate()
            process.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def _job(job: str) -> str:
    return _said("scontrol", "show", "job", job)


@pytest.mark.usefixtures("cluster")
def test_a_job_whose_time_is_up_is_requeued_and_goes_on(place: Place) -> None:
    """The warning comes by hand, to the job's steps alone, as Slurm sends it before the end of the time."""
    (script,) = re.findall(r"```sh\n(#!/bin/bash\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    options = f"--dataset sample --threads 1 --lang en --model {place.slow} --epochs 2 --seed 1"
    assert "--model RN_2 --epochs 50 --seed 1" in script
    script = script.replace("--model RN_2 --epochs 50 --seed 1", options)
    job_file = place.folder / "job.sh"
    job_file.write_text(script.replace("srun mnist-tui", "srun " + " ".join(COMMAND)))
    output = place.folder / "job.out"
    submitted = subprocess.run(
        ["sbatch", "--parsable", f"--output={output}", "--cpus-per-task=1", str(job_file)],
        env={**os.environ, **place.environment(PAUSE="0.05")},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    job = submitted.stdout.strip()
    run = Run(place.runs_dir / "slow-0001")
    wait_for_event(run, Progress, lambda event: event.step > 5)
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_until(lambda: "JobState=PENDING" in _job(job), lambda: f"the requeue: {_job(job)}{output.read_text()}")
    assert run.state() == "stopped"
    wait_until(lambda: run.state() == "done", lambda: f"the end: {output.read_text()}")
    wait_until(lambda: "JobState=COMPLETED" in _job(job), lambda: _job(job))
    starts = [(event.epoch, event.step) for event in all_events(run) if isinstance(event, RunStarted)]
    assert starts[0] == (1, 0)
    assert starts[1] > (1, 5)
    assert len(batch_losses(run)) == 2 * 63
    assert output.read_text().count("Result: ") == 1
    assert [entry["name"] for entry in json.loads(place.command("runs", "--json").out)] == ["rn2"]


def _running_slots(place: Place) -> dict[str, list[str]]:
    """Return the runs in each slot in which a custom network trains its first epoch, by its job."""
    found = {}
    for job in place.runs_dir.glob(".comparisons/*/slots/*/job.json"):
        runs = [Run(place.runs_dir / run) for run in json.loads(job.read_text())]
        if all(run.id.startswith("slow") and run.summary().epoch == 1 for run in runs):
            found[job.parent.name.partition("-")[0]] = [run.id for run in runs]
    return found


@pytest.mark.usefixtures("cluster")
def test_a_comparison_is_the_same_whatever_it_loses(place: Place, tmp_path: Path) -> None:
    """A job is warned and requeued, one is killed, the process that carries it out is killed: the table is the same."""
    environment = {"SLURM_CONF": os.environ["SLURM_CONF"], "PAUSE": "0.05"}
    asked_for = command(place, "--on", "slurm", "--slurm", "time=10,workers=2", "--json")
    asked = place.start(*asked_for, **environment)
    first = wait_until(lambda: _running_slots(place), lambda: f"a run: {asked.err}")
    job, runs = next(iter(first.items()))
    assert {entry["host"] for entry in place.listed().values()} == {socket.gethostname()}
    subprocess.run(["scancel", "--signal=USR1", job], check=True)
    wait_until(lambda: Run(place.runs_dir / runs[0]).attempt == 2, lambda: f"the run going on: {asked.err}")
    stored = comparison(place)
    holder = lease.read(stored.path)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    assert asked.wait() == 1
    assert "was killed" in asked.err
    again = place.start(*asked_for, **environment)
    wait_until(lambda: stored.attempt == 2, lambda: f"the second process: {again.err}")
    job, runs = next(iter(wait_until(lambda: _running_slots(place), lambda: f"a run: {again.err}").items()))
    before = Run(place.runs_dir / runs[0]).attempt
    subprocess.run(["scancel", "--signal=KILL", job], check=True)
    wait_until(lambda: Run(place.runs_dir / runs[0]).attempt > before, lambda: f"the run going on: {again.err}")
    assert again.wait() == 0, again.err
    leases = [lease.read(path) for path in place.runs_dir.glob("*-*")]
    assert {each.comparison for each in leases if each is not None} == {stored.id}
    wait_until(lambda: not _said("squeue", "--noheader").strip(), lambda: _said("squeue"))

    local = place.command(*command(place, "--json", "--runs-dir", str(tmp_path / "local")))
    assert local.code == 0, local.err
    assert without_times(json.loads(again.out)) == without_times(json.loads(local.out))


@pytest.mark.usefixtures("cluster")
def test_a_comparison_is_stopped_and_leaves_no_job(place: Place) -> None:
    environment = {"SLURM_CONF": os.environ["SLURM_CONF"], "PAUSE": "0.05"}
    asked = place.start(*command(place, "--on", "slurm", "--slurm", "workers=2"), **environment)
    (runs,) = wait_until(lambda: _running_slots(place), lambda: f"a run: {asked.err}").values()
    asked.signal(signal.SIGINT)
    assert asked.wait() == 130, asked.err
    assert "Run the same command again" in asked.err
    assert Run(place.runs_dir / runs[0]).state() == "stopped"
    assert Run(place.runs_dir / runs[0]).has_checkpoint()
    wait_until(lambda: not _said("squeue", "--noheader").strip(), lambda: _said("squeue"))
    for options, said in (
        ("partition=none", "Invalid partition"),
        ("gres=gpu:1", "Invalid generic resource"),
        ("cpus-per-task=99", "not available"),
        ("workers=0", "number of workers"),
        ("output=x", "cannot set output"),
        ("time=1,time=2", "names time twice"),
    ):
        refused = place.command(
            *command(place, "--on", "slurm", "--slurm", options), SLURM_CONF=environment["SLURM_CONF"]
        )
        assert refused.code in (1, 2)
        assert said in refused.err
        assert len(refused.err.splitlines()) == 1
    assert len(list(place.runs_dir.glob("*-*"))) < 6
