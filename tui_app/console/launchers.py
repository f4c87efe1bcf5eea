"""Programs that start several processes of one command: a run stays in one."""

from __future__ import annotations

import os

from core.messages import N_, InvalidSetting

_LAUNCHERS = {
    "WORLD_SIZE": "torchrun",
    "SLURM_STEP_NUM_TASKS": "srun",  # a batch script alone has none, however many tasks its job has
    "OMPI_COMM_WORLD_SIZE": "mpirun",
    "PMI_SIZE": "mpiexec",
}
_SEVERAL = N_(
    "{launcher} has started {number} processes, and each would train the same run, which stays on one device: start"
    " one, and for several devices or machines `mnist-tui compare` with `--devices all` or `--on slurm`"
)


def refuse_several_processes() -> None:
    """Raise `InvalidSetting` in one of several processes: each would do what only one is to do."""
    for name, launcher in _LAUNCHERS.items():
        count = os.environ.get(name, "")
        if count.isdecimal() and len(count) < 10 and int(count) > 1:
            raise InvalidSetting("devices", _SEVERAL, launcher=launcher, number=int(count))
