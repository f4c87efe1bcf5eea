"""What shells complete, the version, and what is said of several processes and of users without a home."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tui_app import cli
from tui_app.console.launchers import refuse_several_processes


def completed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return what a shell is offered for the last of some words."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["mnist-tui", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    monkeypatch.setenv("_MNIST_TUI_COMPLETE", "complete_bash")
    with pytest.raises(SystemExit) as ended:
        cli.run([])
    assert not ended.value.code
    return capsys.readouterr().out.split()


def test_runs_and_networks_are_completed(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (finished / "$(reboot)").mkdir()
    (finished / "net-0003").mkdir()
    monkeypatch.setenv("MNIST_TUI_RUNS", str(finished))
    assert completed(monkeypatch, capsys, "follow", "") == ["net-0003", "rn2-0002", "rn1-0001"]
    assert completed(monkeypatch, capsys, "wait", "rn2") == ["rn2-0002"]
    assert completed(monkeypatch, capsys, "conditions", "") == ["rn2-0002", "rn1-0001"]
    monkeypatch.setenv("MNIST_TUI_RUNS", "/nowhere")
    assert completed(monkeypatch, capsys, "follow", "") == []
    assert completed(monkeypatch, capsys, "follow", "--runs-dir", str(finished), "rn1") == ["rn1-0001"]
    for words in (("--model", ""), ("layers", ""), ("compare", "")):
        assert completed(monkeypatch, capsys, *words) == ["RN_1", "RN_2"]
    assert completed(monkeypatch, capsys, "doc") == ["doctor"]
    assert "bf16" in completed(monkeypatch, capsys, "--precision", "")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes(finished: Path) -> None:
    program = """eval "$(mnist-tui completion)"; COMP_WORDS=(mnist-tui attach rn1); COMP_CWORD=2
    _mnist_tui_completion mnist-tui; echo "${COMPREPLY[@]}"; complete -p mnist-tui"""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "SHELL": "/bin/bash", "MNIST_TUI_RUNS": str(finished)}
    ended = subprocess.run(["bash", "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout == "rn1-0001\ncomplete -o default -F _mnist_tui_completion mnist-tui\n"


def test_scripts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for shell, part in (("zsh", "#compdef mnist-tui"), ("fish", "complete --command mnist-tui")):
        monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
        assert cli.run(["completion"]) == 0
        assert capsys.readouterr().out.startswith(part)
    assert cli.run(["completion", "csh", "--lang", "en"]) == 1
    expected = "mnist-tui: there is no completion for the shell csh: name one of bash, zsh, fish\n"
    assert capsys.readouterr().err == expected


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mnist-tui 0.")


@pytest.mark.parametrize("launcher", ["WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
@pytest.mark.parametrize(
    "command", [(), ("--no-ui",), ("--detach",), ("resume", "rn1-0001", "--no-ui"), ("compare", "--seeds", "1")]
)
def test_several_processes_are_refused_before_anything_is_written(
    finished: Path,
    command: tuple[str, ...],
    launcher: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("core.runs.resumption.check_resumable", lambda _run, _asked, **_allowed: None)
    before = sorted(finished.rglob("*"))
    for name, value in {"MNIST_TUI_RUNS": str(finished), launcher: "2"}.items():
        monkeypatch.setenv(name, value)
    assert cli.run([*command, "--lang", "en"]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "has started 2 processes" in said
    assert "--devices all" in said
    assert sorted(finished.rglob("*")) == before


@pytest.mark.parametrize("size", ["", "1", "nonsense", "²", "9" * 5000])
def test_one_process_is_not_refused(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", size)
    refuse_several_processes()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def unknown(_uid: object) -> None:
        raise KeyError

    for name in ("HOME", "XDG_DATA_HOME", "MNIST_TUI_RUNS", "MNIST_TUI_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    said = "mnist-tui: this user has no home folder. Set HOME, or both MNIST_TUI_RUNS and MNIST_TUI_DATA.\n"
    for command in (["runs"], ["doctor"], ["--no-ui"]):
        assert cli.run([*command, "--lang", "en"]) == 1
        assert capsys.readouterr().err == said
    for command, code in (
        (["runs", "--runs-dir", "~no-such-user"], 1),
        (["--no-ui", "--data-dir", "~no-such-user"], 2),
    ):
        assert cli.run([*command, "--lang", "en"]) == code
        assert capsys.readouterr().err == "mnist-tui: ~no-such-user: there is no such home folder\n"
