"""What `doctor` finds out about folders and data sets."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import Any

import pytest

from core import doctor
from core.catalogue import DATA_SETS
from tests.core.data.small_sets import SMALL, TEST_LABELS, put


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    found = doctor.folder(tmp_path)
    assert (found.exists, found.fault, found.locks) == (True, None, "work")
    assert found.free is not None
    assert found.free > 0
    assert found.file_system
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_yet_is_not_made(tmp_path: Path) -> None:
    found = doctor.folder(tmp_path / "a" / "b")
    assert (found.exists, found.fault, found.locks) == (False, None, "work")
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert doctor.folder(tmp_path / "file").fault == "Not a directory"
    assert doctor.folder(tmp_path / "file" / "below").fault == "Not a directory"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.files.disk_is_full", lambda folder: folder == tmp_path)
    assert doctor.folder(tmp_path / "runs").fault == "No space left on device"


def test_a_folder_that_takes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_arguments: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    assert doctor.folder(tmp_path).fault == "Read-only file system"


def test_locks_that_exclude_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda _file, _operation: None)
    assert doctor.folder(tmp_path).locks == "ignored"

    def refuse(_file: Any, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert doctor.folder(tmp_path).locks == "refused"


def test_data_sets_whole_damaged_incomplete_and_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in SMALL.items():
        monkeypatch.setitem(DATA_SETS, name, entry)
    for name in ("mnist", "fashion-mnist", "kmnist"):
        put(tmp_path, SMALL[name])
    damaged = SMALL["fashion-mnist"].path(tmp_path, TEST_LABELS)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    SMALL["kmnist"].path(tmp_path, TEST_LABELS).unlink()
    found = {each.name: each for each in doctor.data_sets(tmp_path)}
    assert {name: each.state for name, each in found.items()} == {
        "mnist": "whole",
        "fashion-mnist": "damaged",
        "kmnist": "incomplete",
        "qmnist": "absent",
    }
    assert str(damaged) in str(found["fashion-mnist"].fault)
