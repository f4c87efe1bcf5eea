"""Other hosts and containers, made of namespaces on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cache

from core.runs import lease
from core.runs.directory import Run
from tests.end_to_end.terminal import Place

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc")
"""Start of a command that runs with process ids of its own."""


@cache
def has_namespaces() -> bool:
    """Tell if this process may make namespaces."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run([*CONTAINER, "true"], check=False, capture_output=True).returncode == 0


def another_host(place: Place, number: int = 1) -> Sequence[str]:
    """Return the start of a command that runs as on another host: with a boot id and a name of that host's number."""
    boot = place.folder / f"boot_id-{number}"
    boot.write_text(f"another-boot-{number}\n")
    script = f'mount --bind {boot} /proc/sys/kernel/random/boot_id && hostname elsewhere-{number} && exec "$@"'
    return ("unshare", "--mount", "--uts", "sh", "-c", script, "sh")


def age(run: Run, seconds: float = 1000) -> None:
    """Make the run's lease so many seconds old."""
    os.utime(lease.path(run.path), (time.time() - seconds,) * 2)
