"""The clusters that a comparison can be carried out on, asked before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from core.comparing.engine import SLURM


def check(cluster: str, slurm: Mapping[str, str], device: str, runs_dir: Path) -> str:
    """Return the device that runs get on a cluster; `device` itself if none is meant, but this machine.

    `cluster` and `slurm` are as in `Plan`, and `device` is what the user asked for: `auto` is a GPU where the cluster
    has one. Raises `Problem` if the cluster is not there, or cannot train as asked.
    """
    if not cluster:
        return device
    if cluster == SLURM:
        from core.comparing import slurm_cluster

        return slurm_cluster.check(slurm, device, runs_dir)
    from core.comparing import ray_cluster

    return ray_cluster.check(cluster, device)
