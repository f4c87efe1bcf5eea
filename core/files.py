"""Defensive reading and atomic replacement of the files in a run directory."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises `OSError`.

    Links, pipes and devices are refused: they could lead anywhere or block forever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path


def read_small(path: Path, limit: int = 1 << 16) -> bytes:
    """Return the whole content of a file that should be small. Raises `OSError`, also if it exceeds `limit` bytes."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"{path} is larger than {limit} bytes")
    return content


def sweep(folder: Path) -> None:
    """Remove half-written files left by a killed `replace`. Only for the one process that writes in `folder`."""
    for leftover in folder.glob(".*.*"):
        if leftover.suffix[1:].isdigit():
            with suppress(OSError):
                leftover.unlink()


def disk_is_full(folder: Path) -> bool:
    """Return True if there is hardly room for another event on the disk; False if that cannot be determined."""
    try:
        return shutil.disk_usage(folder).free < 1 << 16
    except OSError:
        return False


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Rewrite a file atomically: a reader finds either the old one or the new one, complete, at any moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o644), "wb") as file:  # noqa: PTH123 - a descriptor has no path
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
