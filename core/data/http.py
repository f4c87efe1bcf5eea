"""Download of one file over HTTP: complete and checked, with a timeout, and stopped at once on request."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from urllib.error import HTTPError
from urllib.request import urlopen

from core.messages import reason

_TIMEOUT_S = 10.0
_POLL_S = 0.1
_CHUNK_BYTES = 1 << 16

OnShare: TypeAlias = Callable[[float], None]
"""Callback that receives the fraction downloaded so far, from 0 to 1."""
CheckStop: TypeAlias = Callable[[], None]
"""Callback that raises if the user wants to stop."""


class Failed(Exception):
    """Raised when the host does not deliver the file."""


_Part: TypeAlias = tuple[bytes, float]
_Arrivals: TypeAlias = "queue.SimpleQueue[_Part | Failed | None]"


def fetch(url: str, path: Path, md5: str, max_bytes: int, on_share: OnShare, check_stop: CheckStop) -> None:
    """Download `url` to `path`. Raises `Failed`, whatever `check_stop` raises, and `OSError` if the disk fails."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for chunk, share in _stream(url, max_bytes, check_stop):
            digest.update(chunk)
            file.write(chunk)
            on_share(share)
    if digest.hexdigest() != md5:
        raise Failed("wrong checksum")


def _stream(url: str, max_bytes: int, check_stop: CheckStop) -> Iterator[_Part]:
    # A thread receives the data, because neither a name look-up nor a connection to a host with many addresses
    # respects a timeout or can be stopped. If the thread hangs, it is abandoned.
    arrivals: _Arrivals = queue.SimpleQueue()
    abandoned = threading.Event()
    threading.Thread(target=_receive, args=(url, max_bytes, arrivals, abandoned), daemon=True).start()
    try:
        while (part := _next(arrivals, check_stop)) is not None:
            yield part
    finally:
        abandoned.set()


def _next(arrivals: _Arrivals, check_stop: CheckStop) -> _Part | None:
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        check_stop()
        try:
            arrival = arrivals.get(timeout=_POLL_S)
        except queue.Empty:
            if time.monotonic() > deadline:
                raise Failed(f"nothing came for {_TIMEOUT_S:g} s") from None
            continue
        if isinstance(arrival, Failed):
            raise arrival
        return arrival


def _receive(url: str, max_bytes: int, arrivals: _Arrivals, abandoned: threading.Event) -> None:
    """Queue each chunk with the fraction received so far (0 if unknown), then None or, after an error, `Failed`."""
    try:
        with urlopen(url, timeout=_TIMEOUT_S) as response:
            length = int(response.headers["Content-Length"] or 0)
            received = 0
            while not abandoned.is_set() and (chunk := response.read1(_CHUNK_BYTES)):
                received += len(chunk)
                if received > max_bytes:
                    raise ValueError(f"more than {max_bytes} bytes")
                arrivals.put((chunk, received / length if length else 0.0))
            if received < length:
                raise ConnectionError(f"cut after {received} of {length} bytes")
        arrivals.put(None)
    except HTTPError as error:
        arrivals.put(Failed(f"HTTP {error.code}"))
    except Exception as error:  # the consumer must hear of any error
        cause = getattr(error, "reason", error)
        arrivals.put(Failed(reason(cause) if isinstance(cause, BaseException) else str(cause)))
