"""Command-line errors: the library's English messages in our words, in both languages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tui_app import cli, i18n


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


ENGLISH = {
    "folow": "there is no command 'folow'; did you mean 'follow'?",
    "delete": "there is no command 'delete'; did you mean 'runs delete'?",
    "xyz": "there is no command 'xyz'",
    "it's": "there is no command 'it's'",
    "--epoch 3": "there is no option --epoch; did you mean --epochs?",
    "--zzz": "there is no option --zzz",
    "--theme": "there is no option --theme",
    "follow --zzz": "there is no option --zzz",
    "attach a b": "unexpected argument: b",
    "wait": "the id of a run is missing",
    "--epochs": "the option --epochs needs a value",
    "--json=3": "the option --json takes no value",
}
FRENCH = {
    "folow": "il n'y a pas de commande «¦folow¦»¦; vouliez-vous dire «¦follow¦»¦?",
    "xyz": "il n'y a pas de commande «¦xyz¦»",
    "--epoch 3": "il n'y a pas d'option --epoch¦; vouliez-vous dire --epochs¦?",
    "--zzz": "il n'y a pas d'option --zzz",
    "attach a b": "argument inattendu¦: b",
    "wait": "il manque l'identifiant d'un entraînement",
    "--epochs": "l'option --epochs attend une valeur",
    "--json=3": "l'option --json n'accepte pas de valeur",
}


@pytest.mark.parametrize(("typed", "said"), ENGLISH.items())
def test_usage_errors_in_english(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("en", typed, capsys) == f"mnist-tui: {said} (see mnist-tui --help)\n"


@pytest.mark.parametrize(("typed", "said"), FRENCH.items())
def test_usage_errors_in_french(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = said.replace("¦", "\u202f")
    assert _run("fr", typed, capsys) == f"mnist-tui: {said} (voir mnist-tui --help)\n"


def test_every_language_given_is_one_and_the_last_one_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("fr", "--lang de", capsys).startswith("mnist-tui: the language must be one of en, fr")
    assert "there is no option --zzz" in _run("fr", "--lang en --zzz", capsys)


def test_a_file_without_a_class_names_its_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.py"
    path.write_text("import sys\nclass First: ...\nclass Second(First): ...\nsys.exit(9)\n")
    assert f"name a class in it, {path}:First, {path}:Second" in _run("en", f"layers {path}", capsys)


def test_windows_is_told_of_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(SystemExit, match="WSL"):
        cli.main()


def test_help_has_no_types_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("layers", "export", "compare"):
        assert cli.run([command, "--help"]) == 0
        assert "<" not in capsys.readouterr().out


def test_several_suggestions_are_joined(capsys: pytest.CaptureFixture[str]) -> None:
    assert "; did you mean --data-dir or --dataset" in _run("en", "--data x", capsys)
    assert "; vouliez-vous dire --data-dir ou --dataset" in _run("fr", "--data x", capsys).replace("\u202f", "")


def _run(language: str, typed: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run(["--lang", language, *typed.split()]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    return printed.err
