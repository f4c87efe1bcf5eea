"""Names of runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.messages import Problem
from core.runs import directory, names
from tests.core.runs.run_files import new_run


def test_a_name_whose_run_was_deleted_goes_to_one_of_two_that_ask_for_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, first, second = (new_run(tmp_path) for _ in range(3))
    assert names.give(tmp_path, "job", old.id) == old.id
    directory.discard(old)
    rename = Path.rename
    given: list[str] = []

    def be_overtaken(path: Path, target: Path) -> Path:
        if path.name == "job" and not given:  # the second finds the old name too, and is faster
            given.append("")
            given.append(names.give(tmp_path, "job", second.id))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", be_overtaken)
    assert names.give(tmp_path, "job", first.id) == second.id
    assert given[-1] == second.id
    assert names.find(tmp_path, "job") == second.id
    assert os.listdir(tmp_path / ".names") == ["job"]  # noqa: PTH208


def test_a_damaged_name_starts_no_second_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    names.give(tmp_path, "job", run.id)
    (tmp_path / ".names" / "job").write_bytes(b"\x00" * 8)
    with pytest.raises(Problem, match="the file of the name job is damaged"):
        names.find(tmp_path, "job")
    with pytest.raises(Problem, match="damaged"):
        names.give(tmp_path, "job", run.id)
