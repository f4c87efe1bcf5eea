"""`mnist-tui doctor`: a page where all is well, and one where nothing is; torch and the machine are stood in for."""

from __future__ import annotations

import msgspec
import pytest

from core import doctor
from core.doctor import Cores, DataSet, Devices, Folder
from core.machine import DeviceInfo
from core.messages import Message
from tests.json_checks import check_json
from tui_app import cli
from tui_app.console import doctor_command
from tui_app.console.doctor_command import Examination

GIB = 1 << 30
CPU = DeviceInfo("cpu", "A processor")
FULL = DeviceInfo("cuda:1", "A GPU", GIB // 2, 80 * GIB, 0.97)
WELL = Folder("/there", True, None, 50 * GIB, "ext4", "work")


@pytest.fixture
def facts(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Stand in for all that is found out, by default without a fault."""
    monkeypatch.setattr(doctor_command, "prepare_for_torch", lambda: None)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setattr(doctor, "versions", lambda: {"python": "3.11", "torch": "2.9"})
    monkeypatch.setattr(doctor, "devices", lambda: Devices([CPU]))
    monkeypatch.setattr(doctor, "cores", lambda: Cores(8, 4, 1.5, 1))
    monkeypatch.setattr(doctor, "folder", lambda _path: WELL)
    monkeypatch.setattr(doctor, "data_sets", lambda _path: [DataSet("mnist", "whole")])
    return monkeypatch


def page(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    code = cli.run(["doctor", *options])
    return code, "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())


def test_all_is_well(facts: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert page(capsys, "--lang", "en") == (
        0,
        """\
Versions  ok  python 3.11, torch 2.9
cpu       ok  A processor
Cores     ok  1 used, 8 in the machine; limits: affinity 4, CPU quota 1.5
Data      ok  /there, MNIST
Runs      ok  /there, ext4, 50.0 GiB free, locks work
Terminal  ok  none: text mode, as with --no-ui
Language  ok  en, LC_ALL=C.UTF-8""",
    )


def test_each_fault_has_a_way_out(facts: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Warnings let a run train."""
    fault, advice = Message("{path} is damaged", {"path": "/there/x"}), Message("Delete {path}.", {"path": "/there/x"})
    sets = [DataSet("kmnist", "damaged", fault, advice), DataSet("qmnist", "incomplete")]
    facts.setattr(doctor, "versions", lambda: {"python": "3.11", "plotext": None})
    facts.setattr(doctor, "devices", lambda: Devices([FULL], lost=["cuda:0"], unusable_driver=True))
    facts.setattr(doctor, "data_sets", lambda _path: sets)
    facts.setattr(doctor, "folder", lambda _path: Folder("/[b]there", True, None, None, "nfs4", "ignored"))
    code, text = page(capsys, "--lang", "en", "--data-dir", "/there")
    assert code == 0
    for line in (
        "Versions  warning  python 3.11, not installed: plotext. Install",
        "cuda:1    warning  A GPU, 0.5 of 80.0 GiB free, 97% in use. It is nearly full: choose another --device.",
        "cuda:0    warning  does not answer: the driver has lost this GPU. Look at nvidia-smi",
        "cuda      warning  there is an NVIDIA driver, but torch finds no GPU. Update",
        "Data      ok       /[b]there, no data set yet",
        "kmnist    warning  /there/x is damaged. Delete /there/x.",
        "qmnist    warning  incomplete. A run downloads what is missing.",
        "Runs      warning  /[b]there, nfs4, locks do not work on this file system. Start",
    ):
        assert f"\n{line}" in f"\n{text}"


def test_what_makes_training_impossible_is_an_error(
    facts: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = Folder("/there", False, "Permission denied", GIB, "", "untried")
    facts.setattr(doctor, "devices", lambda: Devices(fault="No module named 'torch'"))
    facts.setattr(doctor, "folder", lambda _path: closed)
    facts.setattr(doctor, "data_sets", lambda _path: [])
    code, text = page(capsys, "--lang", "fr")
    assert code == 1
    text = " ".join(text.replace("\u202f", "").split())
    assert "Appareils erreur torch ne peut pas être chargé: No module named 'torch'. Réinstallez" in text
    assert "non inscriptible: accès refusé. Sans MNIST" in text
    assert "sera créé par le premier entraînement, non inscriptible" in text
    assert "Choisissez un dossier accessible en écriture" in text
    facts.setattr(doctor, "devices", lambda: Devices([CPU]))
    assert page(capsys)[0] == 1
    facts.setattr(doctor, "folder", lambda _path: WELL)
    assert page(capsys)[0] == 0


def test_json_has_the_facts_and_the_sentences(facts: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    facts.setattr(doctor, "devices", lambda: Devices([FULL]))
    code, text = page(capsys, "--json", "--lang", "en")
    check_json(text, "doctor")
    report = msgspec.json.decode(text, type=Examination)
    assert code == 0
    assert report.devices.available == [FULL]
    assert report.cores == Cores(8, 4, 1.5, 1)
    assert report.data_sets == {"mnist": "whole"}
    assert (report.language, report.locale, report.terminal.columns) == ("en", "LC_ALL=C.UTF-8", None)
    assert [each.subject for each in report.findings if each.level == "warning"] == ["cuda:1"]
