"""Where a comparison is carried out: the clusters there are, each in modules that are loaded only for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.comparing.commands import never
from core.comparing.engine import SLURM, Engine, ThisMachine
from core.messages import InvalidSetting

if TYPE_CHECKING:
    from core.comparing.stored import Plan, StoredComparison


def check(
    cluster: str, slurm: Mapping[str, str], device: str, runs_dir: Path, should_stop: Callable[[], bool] = never
) -> str:
    """Return the device that runs get on a cluster, before anything is started there.

    `cluster` and `slurm` are as in `Plan`, and `device` is what the user asked for: `auto` is a GPU where the cluster
    has one. Raises `Problem` if the cluster is not there, or cannot train as asked, and `GivenUp` once it
    `should_stop`.
    """
    if device not in ("auto", "cpu", "cuda", "cuda:0"):
        raise InvalidSetting("device", "on a cluster the device is cpu or cuda, not {device}", device=device)
    if cluster == SLURM:
        from core.comparing import slurm_cluster

        has_gpus = slurm_cluster.check(slurm, device, runs_dir, should_stop)
    else:
        from core.comparing import ray_cluster

        has_gpus = ray_cluster.check(cluster, device, should_stop)
    return "cuda:0" if has_gpus and device != "cpu" else "cpu"


def engine_of(stored: StoredComparison, plan: Plan) -> Engine:
    """Return where a plan is to be carried out. Raises `Problem`, before anything is started, if it cannot be."""
    if not plan.cluster:
        return ThisMachine(plan.slots)
    if plan.cluster == SLURM:
        from core.comparing.slurm_engine import SlurmCluster

        return SlurmCluster(stored, plan)
    from core.comparing.ray_engine import RayCluster

    return RayCluster(stored, plan)
