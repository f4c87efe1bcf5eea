"""Who trains a run, and whether that process lives.

Each start of a run is an attempt, with a number that only one process can have. Its lease is `attempt-0002.json`, which
its process creates, locks, and marks as alive every few seconds by its time stamp; `lease.json` is a second name of the
newest. On the boot of the operating system that the lease names, the lock says whether the process lives. Elsewhere,
and where locks do not work, the age of the time stamp does, by the file system's own clock. A process that halts for
long may be superseded: it looks for a newer attempt before it writes anything.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from core import files, machine
from core.messages import N_, Problem, writing
from core.runs.provenance import Provenance, provenance

COMPARISON_VARIABLE = "MNIST_TUI_COMPARISON"
"""Environment variable by which a process learns for which comparison it trains."""
LEASE_S = 20.0
"""Seconds without a renewal after which a process that cannot be asked is no longer waited for."""
RENEWAL_S = 4.0
_WATCH_S = 1.5 * RENEWAL_S
"""Seconds for which an old lease is watched before it is taken over: a clock that was set may make it look old."""
_WRITING_S = 1.0
"""Seconds for which a start waits for a lease that is being written."""
_ALREADY = N_("run {run} is already being trained")
_ATTEMPT = re.compile(r"attempt-(\d{4,12})\.json")

Vitality = Literal["alive", "silent", "gone"]


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a run, and the process that makes it."""

    attempt: int
    token: str
    host: str
    """Machine of the process that holds it."""
    boot_id: str
    """Identity of the boot of the operating system that the process runs on."""
    pid: int
    started: float
    """Start in seconds since the Unix epoch by the host's clock: to be shown, never compared."""
    locked: bool
    """True if the process holds a lock on the file that other processes of the same boot can see."""
    provenance: Provenance = Provenance()
    node: str = ""
    """Machine that trains, if it is another: the process then writes down what that sends."""
    comparison: str = ""
    """Comparison that has the run trained, by the name of its folder; empty if none has."""

    @property
    def is_of_this_boot(self) -> bool:
        return self.boot_id == machine.boot_id()

    @property
    def lock_tells(self) -> bool:
        """True if the lock says for certain whether the process lives."""
        return self.locked and self.is_of_this_boot


class Sign(msgspec.Struct, frozen=True):
    """Knowledge about the life of an attempt's process."""

    vitality: Vitality
    """`silent` if there is neither a sign of life nor a proof of death."""
    age_s: float | None = None
    """Seconds since the last renewal; None if unknown, or if the lock tells."""


class Lost(Problem):
    """The loss of a lease: another process took the run over, or its folder was deleted. Nothing may be written."""


def path(run_dir: Path) -> Path:
    """Return the path of the newest attempt's lease."""
    return run_dir / "lease.json"


def read(run_dir: Path) -> Lease | None:
    """Return the newest attempt's lease; None if there is none, or what is there is none.

    One that cannot be read proves no death: it is returned as an unknown process's, of which only its age tells. One
    that is damaged is returned while it is locked.
    """
    try:
        attempt = _newest(run_dir)
        own = _attempt_path(run_dir, attempt)
        status = own.lstat()
    except OSError:
        return None
    if status.st_size == 0 or not stat.S_ISREG(status.st_mode):
        return None
    unknown = Lease(attempt=attempt, token="", host="?", boot_id="", pid=0, started=0.0, locked=False)
    try:
        lease = msgspec.json.decode(files.read_small(own), type=Lease)
        if lease.attempt == attempt:
            return lease
    except OSError as error:
        return unknown if error.errno is not None else None  # else it is too large for a lease
    except (ValueError, RecursionError):
        pass
    damaged = msgspec.structs.replace(unknown, boot_id=machine.boot_id(), locked=True)
    return damaged if sign(run_dir, damaged).vitality == "alive" else None


def sign(run_dir: Path, lease: Lease) -> Sign:
    """Look for a sign of life of the process that a lease names."""
    try:
        with files.open_regular(_attempt_path(run_dir, lease.attempt)) as file:
            if lease.lock_tells:
                return Sign("alive" if files.is_locked(file.fileno()) else "gone")
            renewed = os.fstat(file.fileno()).st_mtime
    except OSError:
        return Sign("silent")
    age = files.age_s(run_dir, renewed)
    # A stamp in the future is of before the clock was set back: it says nothing until the next renewal.
    is_alive = age is not None and -RENEWAL_S < age < LEASE_S
    return Sign("alive" if is_alive else "silent", age)


def is_certain(run_dir: Path) -> bool:
    """Tell if the lock says whether a run's newest process lives; else a start waits for its lease to run out."""
    lease = read(run_dir)
    return lease is None or lease.lock_tells


def newest_attempt(run_dir: Path) -> int:
    """Return the number of the newest attempt, 0 if there is none that is known."""
    try:
        return _newest(run_dir)
    except OSError:
        return 0


def is_held_by_older_version(run_dir: Path) -> bool:
    """Tell if a process of a version that kept no lease trains the run: it holds the lock of a file of its own."""
    return files.is_locked_file(run_dir / "lock")


class Held:
    """A lease held by this process, and renewed in the background until it is released."""

    def __init__(self, run_dir: Path, lease: Lease, descriptor: int) -> None:
        self.attempt = lease.attempt
        self.lease = lease
        self._run_dir = run_dir
        self._identity = files.identity(run_dir)
        self._descriptor = descriptor
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Make sure that the run is still this process's: to be called before anything is written. Raises `Lost`."""
        run = self._run_dir.name
        try:
            newest = _newest(self._run_dir) if files.identity(self._run_dir) == self._identity else 0
        except FileNotFoundError:
            newest = 0
        except OSError:
            return  # not readable just now, which is no sign of another process
        if newest < self.attempt:
            raise Lost(N_("the folder of run {run} was deleted"), run=run)
        other = read(self._run_dir)
        if newest > self.attempt or (other is not None and other.token not in ("", self.lease.token)):
            host, pid = (other.host, other.pid) if other is not None else ("?", 0)
            text = N_("run {run} was taken over by another process, {pid} on {host}")
            raise Lost(text, run=run, pid=pid, host=host)

    @property
    def is_lost(self) -> bool:
        """True once a look at the run finds it taken over or deleted."""
        try:
            self.look()
        except Lost:
            return True
        return False

    def release(self) -> None:
        """Let others have the run; do nothing if that was done."""
        if self._released.is_set():
            return
        self._released.set()
        self._thread.join()
        os.close(self._descriptor)

    def _renew(self) -> None:
        while not self._released.wait(RENEWAL_S):
            if self.is_lost:
                return
            with suppress(OSError):
                os.utime(self._descriptor)
                _publish(self._run_dir, self.attempt)


@contextmanager
def hold(
    run_dir: Path, tell: Callable[[float], None] = lambda _seconds_left: None, *, node: str = ""
) -> Iterator[Held]:
    """Hold the run's lease, as only the process that trains it may, or that has it trained on another `node`.

    Where the process of an earlier attempt may still live, wait until it has given no sign of life for as long as a
    lease lasts; `tell` is called with the seconds that this can still take. Raises `Problem` if the run is being
    trained already, or its folder cannot be written.
    """
    with writing(run_dir):
        held = _take(run_dir, tell, node)
    try:
        yield held
    finally:
        held.release()


def write_ended(run_dir: Path, attempt: int) -> None:
    """Write the lease of an attempt that has ended, so that the next one has the number after it. Raises `OSError`."""
    ended = Lease(
        attempt=attempt, token="", host=socket.gethostname(), boot_id=machine.boot_id(), pid=0, started=0.0, locked=True
    )
    files.replace(_attempt_path(run_dir, attempt), msgspec.json.encode(ended), durable=False)


@contextmanager
def hold_after(run_dir: Path, attempt: int) -> Iterator[Held]:
    """Hold the lease of the attempt after one that has ended: nobody starts the run meanwhile.

    Raises `Problem` if another process has started it since, or its folder cannot be written.
    """
    with writing(run_dir):
        held = _claim(run_dir, attempt + 1) if _newest(run_dir) == attempt else None
    if held is None:
        raise Problem(_ALREADY, run=run_dir.name)
    try:
        yield held
    finally:
        held.release()
        with suppress(OSError):  # where the folder is still there, it is as it was
            _attempt_path(run_dir, held.attempt).unlink()
            path(run_dir).unlink()
            _publish(run_dir, attempt)  # if there was one


def _take(run_dir: Path, tell: Callable[[float], None], node: str) -> Held:
    """Take the lease of the next attempt as soon as none before it can live. Raises `Problem` or `OSError`."""
    while True:
        newest = _newest(run_dir)
        _wait_for_end(run_dir, newest, tell)
        held = _claim(run_dir, newest + 1, node)
        if held is not None:  # else another process claimed it meanwhile: see whether that one lives
            return held


def _wait_for_end(run_dir: Path, attempt: int, tell: Callable[[float], None]) -> None:
    """Return once no process of `attempt` can be writing any more. Raises `Problem` if it lives."""
    deadline = time.monotonic() + _WRITING_S
    while (lease := read(run_dir)) is None or lease.attempt != attempt:
        if attempt == 0 or time.monotonic() > deadline:
            return  # the first attempt, or one whose process was killed while it wrote its lease
        time.sleep(0.01)
    seen, since = files.version(_attempt_path(run_dir, attempt)), time.monotonic()
    while (found := sign(run_dir, lease)).vitality != "gone":
        waited_s = time.monotonic() - since
        if lease.lock_tells or files.version(_attempt_path(run_dir, attempt)) != seen:
            raise Problem(_ALREADY, run=run_dir.name)
        left_s = max(_WATCH_S - waited_s, LEASE_S - max(waited_s, found.age_s or 0.0))
        if left_s <= 0:
            return
        tell(left_s)
        time.sleep(min(0.5, left_s))


def _claim(run_dir: Path, attempt: int, node: str = "") -> Held | None:
    """Create the lease of an attempt; return None if another process has it. Raises `OSError`."""
    own = _attempt_path(run_dir, attempt)
    origin = provenance()  # first: git may take longer than others wait for a lease that is being written
    try:
        descriptor = files.create(own)
    except FileExistsError:
        return None
    try:
        lease = Lease(
            attempt=attempt,
            token=secrets.token_hex(16),
            host=socket.gethostname(),
            boot_id=machine.boot_id(),
            pid=os.getpid(),
            started=time.time(),
            locked=files.lock(descriptor) and files.is_locked_file(own),  # first: who can read it finds it locked
            provenance=origin,
            node=node,
            comparison=os.environ.get(COMPARISON_VARIABLE, ""),
        )
        files.write_all(descriptor, msgspec.json.format(msgspec.json.encode(lease), indent=2))
        files.sync(descriptor)
        _publish(run_dir, attempt)
        files.sync_folder(run_dir)
    except BaseException:
        os.close(descriptor)
        with suppress(OSError):
            own.unlink()
        raise
    return Held(run_dir, lease, descriptor)


def _publish(run_dir: Path, attempt: int) -> None:
    """Make `lease.json` a name of an attempt's lease, or a copy where a file has one name only. Raises `OSError`."""
    own, published = _attempt_path(run_dir, attempt), path(run_dir)
    with suppress(FileNotFoundError):
        if own.samefile(published):
            return
    temporary = files.temporary_name(published)
    try:
        os.link(own, temporary)
    except OSError:
        files.replace(published, files.read_small(own))
    else:
        files.rename(temporary, published)


def _newest(run_dir: Path) -> int:
    """Return the number of the newest attempt, 0 if there is none. Raises `OSError`."""
    numbers = [int(match[1]) for name in os.listdir(run_dir) if (match := _ATTEMPT.fullmatch(name))]  # noqa: PTH208
    return max(numbers, default=0)


def _attempt_path(run_dir: Path, attempt: int) -> Path:
    return run_dir / f"attempt-{attempt:04d}.json"
