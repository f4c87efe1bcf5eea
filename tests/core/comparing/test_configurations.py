"""Configurations as a user types them: what is read, what is refused, and how each is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.comparing.configurations import configurations, line, words
from core.comparing.parts import plan
from core.config import RunConfig
from core.messages import InvalidSetting
from core.runs.sameness import full_name
from tests.core.comparing.finished_runs import SETTINGS


def but(**changes: Any) -> RunConfig:
    return msgspec.structs.replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("RN_2", {}),
        ("RN_2+dropout=0.3", {"dropout": 0.3}),
        ("RN_2+dropout=0,3", {"dropout": 0.3}),
        ("RN_2+batch_norm+width=.5", {"batch_norm": True, "width": 0.5}),
        ("RN_2+batch-norm+batch-size=32", {"batch_norm": True, "batch_size": 32}),
        (" RN_2 + lr = 1e-4 + epochs=1 ", {"lr": 1e-4, "epochs": 1}),
        ("RN_2+lr=1e+3+precision=bf16", {"lr": 1000.0, "precision": "bf16"}),
    ],
)
def test_a_configuration_has_its_own_settings_and_the_shared_ones(text: str, changes: dict[str, Any]) -> None:
    shared = but(lr=0.5, epochs=7)
    _, found = configurations(["RN_1", text], shared)
    assert found == msgspec.structs.replace(shared, **{"model": "RN_2", **changes})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RN_3+lr=1", "unknown network RN_3:"),
        ("RN_2+", r"RN_2\+"),
        ("", "unknown network"),
        ("RN_2+dropuot=0.3", r"no setting dropuot; there are epochs, .*dropout"),
        ("RN_2+dropout=2", "dropout must be a number from 0"),
        ("RN_2+dropout", "dropout needs a value"),
        ("RN_2+dropout=", "dropout must be a number from 0"),
        ("RN_2+batch-norm=1", "batch-norm takes no value"),
        ("RN_2+lr=1+lr=2", "lr is given twice"),
        ("RN_2+model=RN_1", "no setting model"),
        ("RN_2+batch_norm+batch_size=1", "batch norm needs batches"),
        ("RN_2+precision=tf32", "TF32 exists only on NVIDIA GPUs"),
        ("RN_2+seed=3", "seed cannot differ.* same seeds"),
        ("RN_2+dataset=mnist", "dataset cannot differ.* same images"),
        ("RN_2+data-dir=/x", "data-dir cannot differ.* same images"),
        ("RN_2+validate", "validate cannot differ.* same images"),
        ("RN_2+permute", "permute cannot differ.* same images"),
        ("RN_2+device=cuda", "device cannot differ.* times"),
        ("RN_2+threads=2", "threads cannot differ.* times"),
        ("RN_2+exact", "exact is not for comparisons"),
        ("/no+such=x/net.py:Net+lr=1", r"no network file /no\+such=x/net.py$"),
        ("/no/net.py:Net+lr=1", r"no network file /no/net.py$"),
        ("~nobody-of-this-name/net.py:Net", "no network file ~nobody"),
        ("/" + "x" * 300 + ".py:Net", "no network file /xxx"),
    ],
)
def test_what_is_no_configuration_is_refused(text: str, said: str) -> None:
    with pytest.raises(InvalidSetting, match=said) as refused:
        configurations(["RN_1", text], SETTINGS)
    assert "\n" not in str(refused.value)


def test_an_existing_file_wins_over_the_signs_in_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = ("a+b=c", "a+lr=2.py:X", "RN_2+lr=2")
    for name in folders:
        (tmp_path / name).mkdir()
        (tmp_path / name / "n+et.py").touch()
    monkeypatch.chdir(tmp_path)
    texts = [f"{name}/n+et.py:Net{own}" for name in folders for own in ("", "+lr=2")]
    assert configurations(texts, SETTINGS) == [
        but(model=f"{tmp_path}/{name}/n+et.py:Net", **changes) for name in folders for changes in ({}, {"lr": 2.0})
    ]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["RN_2", "RN_1", "RN_2"], "RN_2 and RN_2 are the same"),
        (["RN_2", "RN_2+dropout=0"], r"RN_2 and RN_2\+dropout=0 are the same"),
        (["RN_2", "RN_2+epochs=2"], r"RN_2 and RN_2\+epochs=2 are the same"),
        (["RN_1+batch_norm+lr=1", "RN_1+lr=1.0+batch-norm"], "are the same"),
        (["RN_1"], "two configurations"),
        ([], "two configurations"),
    ],
)
def test_nothing_is_compared_with_itself(texts: list[str], said: str) -> None:
    with pytest.raises(InvalidSetting, match=said):
        configurations(texts, SETTINGS)


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        (["RN_1", "RN_2"], ["RN_1", "RN_2"]),
        (["RN_2", "RN_2+dropout=0,30", "RN_2+batch-norm"], ["RN_2", "RN_2+dropout=0.3", "RN_2+batch_norm"]),
        (["RN_1", "RN_2+lr=0.0001"], ["RN_1", "RN_2+lr=0.0001"]),
        (["RN_1", "RN_2+lr=0.00001"], ["RN_1", "RN_2+lr=1e-5"]),
        (["RN_1+lr=0.1", "RN_2+lr=0.1"], ["RN_1", "RN_2"]),  # what all share does not tell them apart
        (["RN_1+width=2", "RN_1+width=2+lr=0.1"], ["RN_1", "RN_1+lr=0.1"]),
        (["RN_1+lr=0.01", "RN_1+lr=0.010000001"], ["RN_1+lr=0.01", "RN_1+lr=0.010000001"]),
    ],
)
def test_names_say_what_differs_from_the_shared_settings_and_no_more(texts: list[str], names: list[str]) -> None:
    assert [part.name for part in plan(texts, 1, SETTINGS)] == names


def test_a_name_is_as_typed_where_the_shared_settings_are_not_the_defaults() -> None:
    texts = ["RN_2", "RN_2+lr=0.001", "RN_2+dropout=0"]
    assert [part.name for part in plan(texts, 1, but(lr=0.01, dropout=0.5))] == texts


def test_full_names_give_the_same_configurations_again(tmp_path: Path) -> None:
    (tmp_path / "net, 1.py").touch()
    shared = but(lr=0.30000000000000004)
    texts = ["RN_1+lr=0.1234567890123456", "RN_2+lr=2.5e-7+batch_norm", f"{tmp_path}/net, 1.py:Net+epochs=9", "RN_1"]
    configs = configurations(texts, shared)
    again = [full_name(config, shared) for config in configs]
    assert configurations(again, shared) == configs
    assert words(line(again)) == again


def test_a_line_is_split_at_blanks_and_commas_that_are_not_quoted() -> None:
    typed = ' RN_1,RN_2  RN_2+dropout=0.3 , "/my nets, old/n.py:Net"+lr=1 '
    assert words(typed) == ["RN_1", "RN_2", "RN_2+dropout=0.3", "/my nets, old/n.py:Net+lr=1"]
    assert words(" , ") == []
    assert words("RN_1+lr=0,002,RN_2+width=1,5") == ["RN_1+lr=0,002", "RN_2+width=1,5"]
