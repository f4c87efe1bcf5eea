"""Atomic replacement of files, also when the power fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.replace(path, lambda file: file.write(b"old"))

    def fail(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.replace(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_takes_the_old_one_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    flushed: list[tuple[int, int, bytes]] = []

    def fsync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        flushed.append((status.st_ino, status.st_size, path.read_bytes()))

    monkeypatch.setattr(os, "fsync", fsync)
    files.replace(path, lambda file: file.write(b"the new one"))
    assert flushed == [(path.stat().st_ino, 11, b"old")]
    assert path.read_bytes() == b"the new one"
