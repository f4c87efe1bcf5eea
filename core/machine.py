"""What is known about the machine without loading torch."""

from __future__ import annotations

import os
import platform
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath

import msgspec

_NVIDIA_DEVICES = ("/dev/nvidiactl", "/dev/dxg")  # the latter in Windows' Linux


class DeviceInfo(msgspec.Struct, frozen=True):
    """A device that can train. Memory is in bytes and use from 0 to 1; None if the device does not report them."""

    id: str
    name: str
    free_memory: int | None = None
    total_memory: int | None = None
    use: float | None = None


def cpu_name() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()


def has_nvidia_driver() -> bool:
    """Tell if there is a driver for NVIDIA GPUs, without waking it: with one, torch and its libraries load for long."""
    return any(Path(device).exists() for device in _NVIDIA_DEVICES)


def boot_id() -> str:
    """Return what identifies this boot of the operating system; containers on one kernel share it."""
    return _text(Path("/proc/sys/kernel/random/boot_id")).strip() or socket.gethostname()  # the latter if not Linux


def usable_cores() -> int:
    """Return the number of cores that this process can keep busy: those of its affinity, or of its quota if fewer.

    A quota is rounded down: with 1.5 cores two threads would stand still for a quarter of the time, each waiting for
    the other, and with half a core there is still one.
    """
    quota = cpu_quota()
    cores = cores_by_affinity()
    return cores if quota is None else max(1, min(cores, int(quota)))


def cores_by_affinity() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(process: Path = Path("/proc/self")) -> float | None:
    """Return the CPU time that the control groups of a process allow it, in cores; None if there is no limit.

    A limit of a group applies to all groups in it, so the least one from the process's group upwards counts.
    """
    limits = [limit for folder in _cpu_groups(process) if (limit := _limit(folder)) is not None]
    return min(limits, default=None)


@cache  # there can be thousands of mounts, and the dashboard asks again and again
def _cpu_groups(process: Path) -> tuple[Path, ...]:
    """Return the folder of each control group, of version 1 or 2, that can limit the CPU time of a process."""
    return tuple(_walk_cpu_groups(process))


def _walk_cpu_groups(process: Path) -> Iterator[Path]:
    lines = _text(process / "cgroup").splitlines()
    # A line is `number:controllers:path`; version 2 has the number 0 and names no controllers.
    of_process = {controllers: path for _number, controllers, path in (line.split(":", 2) for line in lines)}
    paths = {
        "cgroup2": of_process.get(""),
        "cgroup": next((path for names, path in of_process.items() if "cpu" in names.split(",")), None),
    }
    for line in _text(process / "mountinfo").splitlines():
        mount, _dash, file_system = line.partition(" - ")
        kind, _source, options = file_system.split(" ", 2)
        path = paths.get(kind)
        if path is None or (kind == "cgroup" and "cpu" not in options.split(",")):
            continue
        root, mount_point = (_unescaped(field) for field in mount.split(" ")[3:5])
        # A container sees its own group mounted as the root, and may be told a path from outside of it.
        is_below = PurePosixPath(path).is_relative_to(root) and ".." not in path
        inside = PurePosixPath(path).relative_to(root) if is_below else PurePosixPath()
        yield from (Path(mount_point) / folder for folder in (inside, *inside.parents))


def _limit(group: Path) -> float | None:
    """Return the CPU time that a control group itself allows, in cores; None if it sets no limit."""
    with suppress(ValueError, ZeroDivisionError):
        quota, period = (_text(group / "cpu.max") or "max 1").split()
        if quota != "max":
            return int(quota) / int(period)
        quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if int(quota) > 0:
            return int(quota) / int(period)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _unescaped(field: str) -> str:
    """Return a field of `mountinfo`, in which a space is written `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), field)
