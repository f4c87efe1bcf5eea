"""Defensive reading, and durable atomic writing, of the files in a run directory."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_HALF_WRITTEN = re.compile(r"\..+\.[0-9a-f]{16}")


# Everything that is written in a run directory passes through these three, so that a test can make each call fail.


def write_some(descriptor: int, content: bytes | memoryview) -> int:
    """Write as much of `content` as the system takes at once; return how many bytes. Raises `OSError`."""
    return os.write(descriptor, content)


def sync(descriptor: int) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Raises `OSError`."""
    os.fsync(descriptor)


def rename(old: Path, new: Path) -> None:
    """Give a file another name, in the place of any file that had it. Raises `OSError`."""
    old.rename(new)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises `OSError`.

    Links, pipes and devices are refused: they could lead anywhere or block forever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return open(descriptor, "rb")  # noqa: PTH123 - a descriptor has no path


def open_to_append(path: Path) -> int:
    """Open a regular file, which is made if it is not there, for reading and appending.

    Return its descriptor. Raises `OSError`, also if it is a link, a pipe or a device.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return descriptor


def append(path: Path, content: bytes) -> None:
    """Append to a regular file, which is made if it is not there. Raises `OSError`."""
    descriptor = open_to_append(path)
    try:
        write_all(descriptor, content)
    finally:
        os.close(descriptor)


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
        if _HALF_WRITTEN.fullmatch(leftover.name):
            with suppress(OSError):
                leftover.unlink()


def disk_is_full(folder: Path) -> bool:
    """Return True if there is hardly room for another event on the disk; False if that cannot be determined."""
    try:
        return shutil.disk_usage(folder).free < 1 << 16
    except OSError:
        return False


def lock(descriptor: int) -> bool:
    """Lock a file for as long as this process, or a child that got the descriptor, has it open; False if that fails."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_locked(descriptor: int) -> bool:
    """Tell if a file is locked through another descriptor. Raises `OSError` where locks do not work."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def is_locked_file(path: Path) -> bool:
    """Tell if there is a file here that is known to be locked."""
    try:
        with open_regular(path) as file:
            return is_locked(file.fileno())
    except OSError:
        return False


def age_s(folder: Path, stamp: float) -> float | None:
    """Return how long ago a time stamp of a file in a folder was given, by the clock that gave it; None if unknown.

    Files are stamped by the file system, which may be on another host: its time is that of a file just written there.
    """
    probe = temporary_name(folder / "now")
    try:
        descriptor = create(probe)
    except OSError:
        return None
    try:
        return os.fstat(descriptor).st_mtime - stamp
    finally:
        os.close(descriptor)
        with suppress(OSError):
            probe.unlink()


def version(path: Path) -> object:
    """Return what changes when a file is written or replaced; None if it cannot be looked at."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def identity(folder: Path) -> tuple[int, int]:
    """Return what tells a folder from another in its place. Raises `OSError`."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def replace(path: Path, content: bytes | memoryview, *, durable: bool = True) -> None:
    """Rewrite a file atomically. Raises `OSError`.

    A reader finds either the old file or the new one, complete, at any moment; if it is `durable`, after a power cut
    too, which takes a wait for the disk.
    """
    temporary = temporary_name(path)
    try:
        descriptor = create(temporary)
        try:
            write_all(descriptor, content)
            if durable:
                sync(descriptor)
        finally:
            os.close(descriptor)
        rename(temporary, path)
        if durable:
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def temporary_name(path: Path) -> Path:
    """Return an unused name beside `path`, for a file that is not whole yet; another host may have the same pids."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def create(path: Path) -> int:
    """Create a file that does not exist, with the mode that the umask leaves. Return its descriptor."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write all of `content`. Raises `OSError`, also if the system takes none of it."""
    rest = memoryview(content)
    while rest:
        written = write_some(descriptor, rest)
        if written == 0:
            raise OSError("nothing was written")
        rest = rest[written:]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; some file systems have no way to, and then they need none."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)
