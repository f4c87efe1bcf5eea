"""The folder of a process that outlives its terminal: its log, and requests to stop."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from core import files
from core.messages import writing
from core.runs import control, lease


class JobFolder:
    """The folder of a run, or of a comparison; its files may be missing, damaged or hostile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @property
    def attempt(self) -> int:
        """Number of the newest attempt, 0 if there is none."""
        newest = lease.read(self.path)
        return newest.attempt if newest is not None else 0

    @property
    def is_at_work(self) -> bool:
        """True if a process of it is known to live."""
        newest = lease.read(self.path)
        return newest is not None and lease.sign(self.path, newest).vitality == "alive"

    @property
    def log_path(self) -> Path:
        return self.path / "log.txt"

    def log_tail(self, lines: int = 20) -> list[str]:
        """Return the last lines of the process's log; none if it cannot be read."""
        try:
            with files.open_regular(self.log_path) as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - (1 << 16)))
                return file.read(1 << 16).decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return []

    def append_to_log(self) -> TextIO:
        """Open the process's log for appending. Raises `OSError`."""
        descriptor = files.open_to_append(self.log_path)
        return open(descriptor, "a", encoding="utf-8", errors="replace")  # noqa: PTH123 - a descriptor has no path

    @property
    def is_deleted(self) -> bool:
        """True if the folder is known not to be there any more."""
        try:
            self.path.lstat()
        except FileNotFoundError:
            return True
        except OSError:  # a file system of the network may not answer for a while
            pass
        return False

    @property
    def is_own(self) -> bool:
        """True if the folder belongs to the user of this process."""
        try:
            return self.path.lstat().st_uid == os.geteuid()
        except OSError:
            return False

    def request_stop(self) -> None:
        """Ask the process to stop. Raises `Problem`."""
        with writing(self.path):
            os.close(files.open_to_append(self.path / "stop"))

    def stop_requested(self) -> bool:
        return os.path.lexists(self.path / "stop")

    def withdraw_requests(self) -> None:
        """Remove all requests, so that a process that is started next does not act on them."""
        with suppress(OSError):
            (self.path / "stop").unlink()
        control.withdraw(self.path)
