"""A Slurm cluster, asked through its commands: whether it would take jobs, and the jobs themselves, by submitit."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.messages import N_, InvalidSetting, Problem, reason, writing

WARNING_S = 60
"""Seconds before a job's end at which Slurm says so."""
_ANSWER_S = 10.0
_WORKERS = "workers"
_OURS = frozenset({_WORKERS})
_RESERVED = frozenset({"array", "chdir", "error", "export", "nodes", "ntasks", "open_mode", "output", "signal", "wrap"})
_DEFAULT_WORKERS = 16
_MOST_WORKERS = 1000
_DEFAULT_MINUTES = 60


def check(options: Mapping[str, str], device: str, runs_dir: Path) -> str:
    """Return the device that runs get; nothing is started, but one short command if there is a node free for it.

    `options` are what each job asks for, as in `Plan`. Raises `Problem`.
    """
    number_of_workers(options)
    for name in _RESERVED & options.keys():
        raise InvalidSetting("slurm", "--slurm cannot set {name}, which is this program's", name=name)
    if shutil.which("sbatch") is None:
        text = N_("there is no Slurm here: sbatch was not found")
        raise Problem(text, advice=N_("Type this where you would type sbatch, or leave out --on."))
    _import_submitit()
    has_gpu = any("gpu" in name or "gpu" in value for name, value in options.items())
    if device.startswith("cuda") and not has_gpu:
        raise InvalidSetting("slurm", "the jobs ask for no GPU: give, for example, --slurm gres=gpu:1")
    if device.startswith("mps") or (device.startswith("cuda") and device not in ("cuda", "cuda:0")):
        raise InvalidSetting("device", "under Slurm the device is cpu or cuda, not {device}", device=device)
    flags = _flags(options)
    _ask(["sbatch", "--test-only", *flags, "--wrap=true"])
    _check_folder(runs_dir, flags)
    return "cuda:0" if has_gpu and device != "cpu" else "cpu"


def number_of_workers(options: Mapping[str, str]) -> int:
    """Return the largest number of jobs at once. Raises `InvalidSetting`."""
    text = options.get(_WORKERS, str(_DEFAULT_WORKERS))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not 1 <= number <= _MOST_WORKERS:
        message = N_("the number of workers must be a whole number from 1 to {high}, not {value}")
        raise InvalidSetting("slurm", message, high=_MOST_WORKERS, value=text)
    return number


def submit(folder: Path, code: str, jobs: int, options: Mapping[str, str], cpus: int) -> str:
    """Submit an array of jobs that each execute the Python `code` and keep their logs in `folder`; return its id.

    A job of it can be warned a minute before its end by SIGUSR1, and requeued. Raises `Problem`.
    """
    submitit = _import_submitit()
    known = submitit.SlurmExecutor._valid_parameters() - {"time"}
    asked: dict[str, Any] = {"time": _DEFAULT_MINUTES, "cpus_per_task": cpus, "job_name": "mnist-tui"}
    others: dict[str, Any] = {"requeue": True, "wckey": ""}
    for name, value in options.items():
        if name not in _OURS:
            (asked if name in known else others)[name] = value
    if "time" in others:
        asked.pop("time")
    try:
        executor = submitit.SlurmExecutor(folder, python=f"{shlex.quote(sys.executable)} -P")
        executor.update_parameters(**asked, signal_delay_s=WARNING_S, additional_parameters=others)
        with executor.batch():
            submitted = [executor.submit(exec, code, {}) for _ in range(jobs)]
        return str(submitted[0].job_id).partition("_")[0]
    except Exception as error:
        raise Problem(_REFUSED, reason=reason(error)) from error


_REFUSED = N_("Slurm does not take these jobs: {reason}")


def why_waiting(array: str) -> str | None:
    """Return why jobs of an array wait, in Slurm's word; empty if unknown; None if there are no such jobs any more."""
    try:
        asked = _run(["squeue", "--noheader", "--jobs", array, "--format=%T %r"])
    except (OSError, subprocess.SubprocessError):
        return ""
    if asked.returncode != 0:
        return None if "Invalid job id" in asked.stderr else ""
    lines = [line for line in asked.stdout.splitlines() if line.split()[:1] not in (["COMPLETING"], ["COMPLETED"])]
    return lines[0].partition(" ")[2].strip() if lines else None


def cancel_waiting(array: str) -> None:
    """Take the jobs of an array that have not begun out of the queue."""
    try:
        _run(["scancel", "--state=PENDING", array])
    except (OSError, subprocess.SubprocessError):
        return  # they find nothing to do, and end


def _import_submitit() -> Any:
    os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")  # read once, when it is imported
    try:
        import submitit
    except ImportError as error:
        text = N_("submitit is not installed, which hands jobs to Slurm")
        raise Problem(text, advice=N_("Install it: pip install 'mnist-tui[slurm]'.")) from error
    return submitit


def _flags(options: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name not in _OURS]


def _ask(command: list[str]) -> None:
    try:
        asked = _run(command)
    except subprocess.TimeoutExpired as error:
        text = N_("Slurm does not answer within {seconds} s")
        raise Problem(text, advice=N_("Is its controller up? `scontrol ping` tells."), seconds=_ANSWER_S) from error
    except OSError as error:
        raise Problem(_REFUSED, reason=reason(error)) from error
    if asked.returncode != 0:
        lines = [line.strip() for line in asked.stderr.splitlines() if line.strip()]
        raise Problem(_REFUSED, reason=lines[-1].rpartition("error: ")[2] if lines else str(asked.returncode))


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=_ANSWER_S
    )


def _check_folder(runs_dir: Path, flags: list[str]) -> None:
    """Make sure that a node sees the folder of runs, if one is free to be asked. Raises `Problem`."""
    probe = runs_dir / f".seen-{secrets.token_hex(8)}"
    with writing(runs_dir):
        runs_dir.mkdir(parents=True, exist_ok=True)
        probe.touch()
    try:
        looked = _run(["srun", "--immediate=5", "--quiet", "--ntasks=1", *flags, "ls", "--", str(probe)])
    except (OSError, subprocess.SubprocessError):
        return  # no node is free: the first job tells
    finally:
        probe.unlink(missing_ok=True)
    if looked.returncode != 0 and "ls:" in looked.stderr:
        text = N_("the nodes of the cluster do not see {path}")
        raise Problem(text, advice=N_("Choose a folder that all of them share with --runs-dir."), path=str(runs_dir))
