"""The facts that decide whether this machine can train, as `mnist-tui doctor` shows them. Loads torch when asked."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from core import files, machine
from core.catalogue import DATA_SETS
from core.data import raw_files
from core.machine import DeviceInfo
from core.messages import Message, Problem, reason

PACKAGES = ("mnist-tui", "torch", "torchvision", "textual", "plotext", "numpy")

DataState = Literal["whole", "incomplete", "damaged", "absent"]
Locks = Literal["work", "ignored", "refused", "untried"]
"""`ignored`: a second lock is granted beside the first; `refused`: no lock is granted; `untried`: no file to lock."""


class Cores(msgspec.Struct, frozen=True):
    """The cores of the machine, and those that this process may use."""

    machine: int
    affinity: int
    quota: float | None
    """CPU time that the control groups allow, in cores; None if there is no limit."""
    usable: int


class Devices(msgspec.Struct, frozen=True):
    """The devices that can train, best first, and those that cannot."""

    available: list[DeviceInfo] = []
    lost: list[str] = []
    """GPUs that do not answer."""
    unusable_driver: bool = False
    """True if there is an NVIDIA driver, but torch finds no GPU."""
    fault: str | None = None
    """Reason why torch cannot be loaded."""


class DataSet(msgspec.Struct, frozen=True):
    """A data set in the data folder; `fault` says what is wrong with a damaged one."""

    name: str
    state: DataState
    fault: Message | None = None
    advice: Message | None = None


class Folder(msgspec.Struct, frozen=True):
    """A folder, or the nearest one above it if it does not exist yet. `free` is in bytes."""

    path: str
    exists: bool
    fault: str | None
    """Reason why nothing can be written there."""
    free: int | None
    file_system: str
    locks: Locks


def versions() -> dict[str, str | None]:
    """Return the version of Python and of each package; None for one that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    return found | {name: version(name) for name in PACKAGES}


def version(package: str = "mnist-tui") -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def cores() -> Cores:
    return Cores(os.cpu_count() or 1, machine.cores_by_affinity(), machine.cpu_quota(), machine.usable_cores())


def devices() -> Devices:
    """Load torch, and ask it and the driver for the devices."""
    try:
        import torch

        from core.training import devices
    except (ImportError, OSError) as error:
        return Devices(fault=reason(error))
    found = devices.available()
    has_driver = torch.version.cuda is not None and Path("/dev/nvidiactl").exists()
    return Devices(found, devices.lost_gpus(), has_driver and not torch.cuda.is_available())


def data_sets(data_dir: Path) -> list[DataSet]:
    """Look for every data set and read what there is of it, with the check that a run makes."""
    return [_data_set(name, data_dir) for name, entry in DATA_SETS.items() if entry.files]


def _data_set(name: str, data_dir: Path) -> DataSet:
    entry = DATA_SETS[name]
    try:
        found = raw_files.read(entry, data_dir)
    except Problem as problem:
        return DataSet(name, "damaged", problem.message, problem.advice)
    if not found.missing:
        return DataSet(name, "whole")
    return DataSet(name, "incomplete" if found.values else "absent")


def folder(path: Path) -> Folder:
    """Try what a run needs of its folder, or of the nearest one above: a file, and a lock. Nothing is left behind."""
    ways = (path, *path.parents)
    place = next(filter(_is_folder, ways), Path("/"))
    fault: str | None = None
    locks: Locks = "untried"
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor.") as file:
            file.write(b"x" * 4096)
            file.flush()
            locks = _try_locks(file.name)
        if any(each.exists() for each in ways[: ways.index(place)]):
            fault = os.strerror(errno.ENOTDIR)
        elif files.disk_is_full(place):
            fault = os.strerror(errno.ENOSPC)
    except OSError as error:
        fault = reason(error)
    try:
        free = shutil.disk_usage(place).free
    except OSError:
        free = None
    return Folder(str(path), place == path, fault, free, _file_system(place), locks)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _try_locks(path: str) -> Locks:
    """Lock a file through two descriptors: the second one must be told that the first has it. Raises `OSError`."""
    with open(path, "rb") as first, open(path, "rb") as second:  # noqa: PTH123 - a name, as `tempfile` gives it
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "refused"
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return "work"
        return "ignored"


def _file_system(folder: Path) -> str:
    import psutil

    real = folder.resolve()
    mounts = [mount for mount in psutil.disk_partitions(all=True) if real.is_relative_to(mount.mountpoint)]
    return max(mounts, key=lambda mount: len(mount.mountpoint)).fstype if mounts else ""
