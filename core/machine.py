"""What is known about the machine without loading torch."""

from __future__ import annotations

import os
import platform
from contextlib import suppress

import msgspec


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


def usable_cores() -> int:
    """Return the number of cores that this process may use, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
