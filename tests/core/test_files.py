"""Atomic replacement of files, also when the power fails."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from core import files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    files.replace(path, b"old")
    written: list[int] = []

    def fail(descriptor: int, content: memoryview) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(os.write(descriptor, content[:2]))
        return 2

    monkeypatch.setattr(files, "write_some", fail)
    with pytest.raises(OSError, match="No space"):
        files.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_takes_the_old_one_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    flushed: list[tuple[int, bool, bytes]] = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        flushed.append((status.st_ino, stat.S_ISDIR(status.st_mode), path.read_bytes()))

    monkeypatch.setattr(files, "sync", fsync)
    files.replace(path, b"the new one")
    assert flushed == [(path.stat().st_ino, False, b"old"), (tmp_path.stat().st_ino, True, b"the new one")]
    assert path.read_bytes() == b"the new one"
