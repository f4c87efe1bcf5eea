"""Names, tags and notes that a user gives to runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.messages import InvalidSetting, Problem
from core.runs import directory, labels, names
from tests.core.runs.run_files import new_run


def test_a_run_is_found_by_its_new_name_and_its_first_one_is_free(tmp_path: Path) -> None:
    first = directory.create(tmp_path, new_run(tmp_path).config(), "job")
    names.give(tmp_path, "job", first.id)
    identity = first.identity
    names.rename(tmp_path, first.id, "baseline")
    assert (first.summary().name, first.identity) == ("baseline", identity)
    assert names.find(tmp_path, "baseline") == directory.find(tmp_path, "baseline").id == first.id
    assert names.find(tmp_path, "job") is None
    second = new_run(tmp_path)
    with pytest.raises(InvalidSetting, match=f"baseline is the name of run {first.id}"):
        names.rename(tmp_path, second.id, "baseline")
    with pytest.raises(InvalidSetting, match="form of an id"):
        names.rename(tmp_path, second.id, first.id)
    names.rename(tmp_path, second.id, "job")
    names.rename(tmp_path, first.id, "baseline")  # as it is
    listed = {summary.id: summary.name for summary in directory.Listing(tmp_path).read()}
    assert (listed[first.id], listed[second.id]) == ("baseline", "job")


def test_tags_and_notes_are_listed_at_once_and_damage_is_none(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    listing = directory.Listing(tmp_path)
    listing.read()
    assert labels.tag(run.path, ["a", "b", "a"]) == ("a", "b")
    assert labels.tag(run.path, ["a", "x"], remove=True) == ("b",)
    labels.note(run.path, " why \n")
    assert [(each.tags, each.note) for each in listing.read()] == [(("b",), "why")]
    with pytest.raises(InvalidSetting, match="a tag has up to 40"):
        labels.tag(run.path, ["two words"])
    for damaged in (b"{", b'{"tags": ["\\u001b[2J"]}', b'{"note": 3}', b"[" * 50_000, b" " * (1 << 17)):
        (run.path / "labels.json").write_bytes(damaged)
        assert labels.read(run.path) == labels.NONE
        assert listing.read()[0].tags == ()
        with pytest.raises(Problem, match="is not overwritten"):
            labels.tag(run.path, ["new"])
        with pytest.raises(Problem, match="is not overwritten"):
            names.rename(tmp_path, run.id, "new")
        assert names.find(tmp_path, "new") is None
        assert (run.path / "labels.json").read_bytes() == damaged


def test_a_mistyped_run_gets_the_nearest_ones(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    names.rename(tmp_path, run.id, "baseline")
    for typed, meant in (("rn1-001", "rn1-0001"), ("RN1-0001x", "rn1-0001"), ("basline", "baseline")):
        with pytest.raises(Problem) as caught:
            directory.find(tmp_path, typed)
        assert f"Did you mean {meant}" in str(caught.value)
    with pytest.raises(Problem) as caught:
        directory.find(tmp_path, "qqqq")
    assert "The newest are: rn1-0001" in str(caught.value)
