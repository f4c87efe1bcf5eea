"""A Slurm cluster, asked through its commands: whether it would take jobs, and the jobs themselves, by submitit."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.comparing.commands import answer, never
from core.comparing.parts import check_number
from core.messages import N_, InvalidSetting, Problem, reason, writing

WARNING_S = 60
"""Seconds before a job's end at which Slurm says so."""
_ANSWER_S = 10.0
_WORKERS = "workers"
"""The only option that is this program's own."""
_RESERVED = (
    "array",
    "chdir",
    "error",
    "export",
    "job_name",
    "nodes",
    "ntasks",
    "open_mode",
    "output",
    "signal",
    "wrap",
)
_DEFAULT_WORKERS = 16
_MOST_WORKERS = 1000
_DEFAULT_MINUTES = 60
_REFUSED = N_("Slurm does not take these jobs: {reason}")


def check(options: Mapping[str, str], device: str, runs_dir: Path, should_stop: Callable[[], bool] = never) -> bool:
    """Tell if the jobs get a GPU; nothing is started, but one short command if there is a node free for it.

    `options` are what each job asks for, as in `Plan`. Raises `Problem`, and `GivenUp` once it `should_stop`.
    """
    number_of_workers(options)
    for name in filter(_is_reserved, options):
        raise InvalidSetting("slurm", "--slurm cannot set {name}, which is this program's", name=name)
    if shutil.which("sbatch") is None:
        text = N_("there is no Slurm here: sbatch was not found")
        raise Problem(text, advice=N_("Type this where you would type sbatch, or leave out --on."))
    _import_submitit()
    has_gpu = any(_asks_for_gpu(name, value) for name, value in options.items())
    if device.startswith("cuda") and not has_gpu:
        raise InvalidSetting("slurm", "the jobs ask for no GPU: give, for example, --slurm gres=gpu:1")
    if "%" in str(runs_dir):
        raise Problem(N_("Slurm takes no folder with a percent sign in its name: {path}"), path=str(runs_dir))
    flags = _flags(options)
    _ask(["sbatch", "--test-only", *flags, "--wrap=true"], should_stop)
    _check_folder(runs_dir, flags, should_stop)
    return has_gpu


def number_of_workers(options: Mapping[str, str]) -> int:
    """Return the largest number of jobs at once. Raises `InvalidSetting`."""
    message = N_("the number of workers must be a whole number from {low} to {high}, not {value}")
    return check_number("slurm", options.get(_WORKERS, str(_DEFAULT_WORKERS)), _MOST_WORKERS, message)


def submit(folder: Path, code: str, jobs: int, options: Mapping[str, str], cpus: int) -> str:
    """Submit an array of jobs that each execute the Python `code` and keep their logs in `folder`; return its id.

    A job of it can be warned a minute before its end by SIGUSR1, and requeued. Raises `Problem`.
    """
    submitit = _import_submitit()
    own_name = f"mnist-tui-{secrets.token_hex(4)}"
    known = submitit.SlurmExecutor._valid_parameters() - {"time"}
    asked: dict[str, Any] = {"time": _DEFAULT_MINUTES, "cpus_per_task": cpus, "job_name": own_name}
    others: dict[str, Any] = {"requeue": True, "wckey": ""}
    for name, value in options.items():
        if name != _WORKERS:
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
        with suppress(OSError, subprocess.SubprocessError):  # it may have been too late
            answer(["scancel", f"--name={own_name}"], _ANSWER_S)
        raise Problem(_REFUSED, reason=reason(error)) from error


def queued(arrays: Sequence[str]) -> tuple[int, str]:
    """Return how many jobs of arrays run or wait, and why one of them waits, in Slurm's word; empty if none does.

    Raises `OSError` or `SubprocessError` if Slurm does not say.
    """
    asked = answer(["squeue", "--noheader", "--array", f"--jobs={','.join(arrays)}", "--format=%T %r"], _ANSWER_S)
    if asked.returncode != 0 and "Invalid job id" not in asked.stderr:
        raise subprocess.SubprocessError(asked.stderr.strip())
    states = [line.split(maxsplit=1) for line in asked.stdout.splitlines() if line.strip()]
    living = [state for state in states if state[0] != "COMPLETED"]  # one that is completing may go back into the queue
    return len(living), next((state[1].strip() for state in living if state[0] == "PENDING" and len(state) > 1), "")


def cancel_waiting(arrays: Sequence[str]) -> None:
    """Take the jobs of arrays that have not begun out of the queue."""
    with suppress(OSError, subprocess.SubprocessError):  # they find nothing to do, and end
        answer(["scancel", "--state=PENDING", *arrays], _ANSWER_S)


def _is_reserved(name: str) -> bool:
    """Tell if an option is this program's, also abbreviated, as sbatch takes it."""
    return name.startswith("ntasks") or any(each.startswith(name) for each in _RESERVED)


def _asks_for_gpu(name: str, value: str) -> bool:
    if name.startswith("gpus"):
        return value != "0"
    return (name == "gres" or name.startswith("tres_per")) and "gpu" in value and not value.endswith(":0")


def _import_submitit() -> Any:
    os.environ.setdefault("SUBMITIT_PREEMPT_SIGNAL", "USR1")  # read once, when it is imported
    try:
        import submitit
    except ImportError as error:
        text = N_("submitit is not installed, which hands jobs to Slurm")
        raise Problem(text, advice=N_("Install it: pip install 'mnist-tui[slurm]'.")) from error
    return submitit


def _flags(options: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name != _WORKERS]


def _ask(command: list[str], should_stop: Callable[[], bool]) -> None:
    try:
        asked = answer(command, _ANSWER_S, should_stop)
    except subprocess.TimeoutExpired as error:
        text = N_("Slurm does not answer within {seconds} s")
        raise Problem(text, advice=N_("Is its controller up? `scontrol ping` tells."), seconds=_ANSWER_S) from error
    except OSError as error:
        raise Problem(_REFUSED, reason=reason(error)) from error
    if asked.returncode != 0:
        lines = [line.strip() for line in asked.stderr.splitlines() if line.strip() and not line.startswith("Try ")]
        raise Problem(_REFUSED, reason=lines[-1].rpartition("error: ")[2] if lines else str(asked.returncode))


def _check_folder(runs_dir: Path, flags: list[str], should_stop: Callable[[], bool]) -> None:
    """Make sure that a node sees the folder of runs, if one is free to be asked. Raises `Problem`."""
    name = f"seen-{secrets.token_hex(8)}"
    probe = runs_dir / f".{name}"
    with writing(runs_dir):
        runs_dir.mkdir(parents=True, exist_ok=True)
        probe.touch()
    try:
        command = ["srun", "--immediate=5", "--quiet", "--ntasks=1", *flags, f"--job-name={name}"]
        looked = answer([*command, "ls", "--", str(probe)], _ANSWER_S, should_stop)
    except BaseException as error:
        with suppress(OSError, subprocess.SubprocessError):  # it may have got a node, which it would keep
            answer(["scancel", f"--name={name}"], _ANSWER_S)
        if not isinstance(error, OSError | subprocess.SubprocessError):
            raise
        return  # no node is free: the first job tells
    finally:
        probe.unlink(missing_ok=True)
    if looked.returncode != 0 and "ls:" in looked.stderr:
        text = N_("the nodes of the cluster do not see {path}")
        raise Problem(text, advice=N_("Choose a folder that all of them share with --runs-dir."), path=str(runs_dir))
