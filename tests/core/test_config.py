"""Settings as typed by a user and as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config import RunConfig, setting_from_text
from core.messages import InvalidSetting


def test_the_defaults_are_the_exams() -> None:
    config = RunConfig()
    assert (config.model, config.epochs, config.batch_size, config.lr) == ("RN_1", 5, 64, 0.001)
    assert (config.precision, config.exact, config.dataset, config.device) == ("fp32", False, "auto", "auto")


def test_the_seed_is_drawn_and_written_out() -> None:
    first, second = RunConfig(), RunConfig()
    assert first.seed != second.seed
    assert msgspec.json.decode(msgspec.json.encode(first), type=RunConfig) == first


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("epochs", " 12 ", 12),
        ("lr", "1e-3", 0.001),
        ("lr", "0,01", 0.01),
        ("seed", "0", 0),
        ("device", "cuda:1", "cuda:1"),
        ("dataset", "fashion-mnist", "fashion-mnist"),
        ("model", "RN_2", "RN_2"),
        ("dropout", "0,5", 0.5),
        ("dropout", "0", 0.0),
        ("width", "0.25", 0.25),
        ("width", "4", 4),
    ],
)
def test_what_can_be_typed(field: str, text: str, value: object) -> None:
    assert setting_from_text(field, text) == value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        *(("epochs", text) for text in ("", "0", "-3", "1e9", "1000000000", "five", "2.5", "9" * 40, "٣x")),
        *(("lr", text) for text in ("", "abc", "0", "-1", "nan", "inf", "1e999")),
        *(("batch_size", text) for text in ("0", "60001", "big")),
        *(("seed", text) for text in ("-1", "4294967296")),
        *(("device", text) for text in ("", "gpu", "cuda:", "cuda:x", "CPU")),
        *(("dataset", text) for text in ("", "cifar")),
        *(("dropout", text) for text in ("", "1", "-0.1", "nan", "inf", "half")),
        *(("width", text) for text in ("", "0", "-1", "4.1", "nan", "inf", "wide")),
        *(("precision", text) for text in ("fp8", "")),
        *(("model", text) for text in ("", "RN_3", "net.py", ":Net", "net.py:1x", "/no/such/file.py:Net")),
    ],
)
def test_what_cannot_is_refused_by_its_name_and_value(field: str, text: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        setting_from_text(field, text)
    assert caught.value.field == field
    if text:
        assert text.rpartition(":")[0] in str(caught.value)


def test_a_network_of_ones_own_is_known_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.py").touch()
    monkeypatch.chdir(tmp_path)
    assert setting_from_text("model", "net.py:Net") == f"{tmp_path / 'net.py'}:Net"


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_tf32_is_refused_where_there_is_none(device: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        RunConfig(precision="tf32", device=device)
    assert caught.value.field == "precision"
    assert RunConfig(precision="tf32", device="cuda").precision == "tf32"


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"lr": -1.0}, {"device": "tpu"}, {"model": "x"}, {"batch_size": 10**6}]
)
def test_a_stored_configuration_is_checked_too(change: dict[str, object]) -> None:
    content = msgspec.json.encode(msgspec.to_builtins(RunConfig()) | change)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(content, type=RunConfig)


@pytest.mark.parametrize("option", [{"dropout": 0.5}, {"batch_norm": True}, {"width": 2.0}])
def test_a_network_of_ones_own_brings_its_own_remedies(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting, match="RN_1, RN_2 only") as caught:
        RunConfig(model="net.py:Net", **option)
    assert caught.value.field in option
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"exact": True, "validate": True}, "validate"),
        ({"exact": True, "permute": True}, "permute"),
        ({"batch_norm": True, "batch_size": 1}, "batch_norm"),
    ],
)
def test_settings_that_exclude_each_other(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        RunConfig(**settings)
    assert caught.value.field == field


def test_a_configuration_from_before_there_were_remedies_still_reads() -> None:
    old = (
        b'{"model": "RN_2", "device": "cpu", "epochs": 3, "batch_size": 64, "lr": 0.001, "seed": 1, "dataset": "mnist"}'
    )
    config = msgspec.json.decode(old, type=RunConfig)
    assert (config.dropout, config.batch_norm, config.width, config.validate, config.permute) == (
        0,
        False,
        1,
        False,
        False,
    )
