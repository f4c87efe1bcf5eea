"""Files of a run directory, read with distrust and replaced atomically."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read, but no link, pipe or device: one could lead anywhere or block for ever. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path


def read_small(path: Path, limit: int = 1 << 16) -> bytes:
    """The whole of a file that ought to be small. Raises `OSError`."""
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"{path} is larger than {limit} bytes")
    return content


def sweep(folder: Path) -> None:
    """Remove what `replace` left half written when it was killed. Only for the one process that writes there."""
    for leftover in folder.glob(".*.*"):
        if leftover.suffix[1:].isdigit():
            with suppress(OSError):
                leftover.unlink()


def disk_is_full(folder: Path) -> bool:
    """Whether there is hardly room for another event; False where nobody can tell."""
    try:
        return shutil.disk_usage(folder).free < 1 << 16
    except OSError:
        return False


def replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file anew so that whoever reads it, at any moment, finds the old one or the new one, whole."""
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
