"""Trained networks' answers to pictures of one's own, by `mnist-tui predict`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.data.datasets import Dataset
from core.data.own_pictures import prepare
from core.runs import names
from core.runs.directory import Run
from core.training.recognition import Recogniser
from core.worker.detach import StopSignals
from tests.core.data.photographs import PHOTOGRAPHS, photograph
from tests.core.training.own_files import model_in
from tests.core.training.sample_runs import carried_out
from tests.json_checks import check_json
from tui_app import cli
from tui_app.console import predict_command


@pytest.fixture(autouse=True)
def _own_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict_command, "prepare_for_torch", lambda: None)
    monkeypatch.setattr(StopSignals, "install", lambda _self: None)


@pytest.fixture
def pictures(sample: Dataset, tmp_path: Path) -> Path:
    """Return a folder with a photograph of each digit, a kind for each."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for digit, kind in enumerate(PHOTOGRAPHS.values()):
        image = sample.test_images[int((sample.test_labels == digit).nonzero()[3])]
        photograph(image.numpy(), **kind).save(folder / f"{digit}.png")
    return folder


def predict(runs_dir: Path, *arguments: str) -> int:
    return cli.run(["--lang", "en", "predict", "--runs-dir", str(runs_dir), *arguments])


def test_most_photographs_are_recognised(finished: Path, pictures: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder gives a line for each file, by the newest finished run, and the damaged one is named."""
    (pictures / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert predict(finished, str(pictures)) == 1
    out, err = capfd.readouterr()
    lines = [line.split() for line in out.splitlines() if ".png" in line]
    assert [line[0] for line in lines] == [f"{digit}.png" for digit in range(10)]
    assert sum(line[0][0] == line[1] for line in lines) >= 8
    assert "Run rn2-0002" in err
    assert "broken.png" in err


def test_a_picture_is_shown_as_the_network_sees_it(
    finished: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predict(finished, "rn1-0001", str(pictures / "0.png")) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert "0.png is taken for 0 (" in lines[0]
    assert "rn1-0001, RN_1" in lines[0]
    assert any("%" in line for line in lines[2:16])
    assert [line[0] for line in lines[-10:]] == list("0123456789")
    assert "Run" not in err
    assert predict(finished, "--json", "rn1-0001", str(pictures / "0.png"), str(pictures / "no.png")) == 1
    found, error = (check_json(line, "predict") for line in capfd.readouterr().out.splitlines())
    assert (found["run"], found["predicted"], found["class_name"]) == ("rn1-0001", 0, "0")
    assert found["pixels"] == prepare(pictures / "0.png").image.tolist()
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-4)
    assert error["file"].endswith("no.png")


def test_a_run_is_meant_by_its_id_or_name_and_a_mistyped_one_is_no_picture(
    finished: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    names.rename(finished, "rn1-0001", "baseline")
    assert predict(finished, "baseline", str(pictures / "0.png")) == 0
    assert "by rn1-0001" in capfd.readouterr().out
    assert predict(finished, "rn1-0009", str(pictures / "0.png")) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert "there is no run rn1-0009" in err
    assert "Did you mean rn1-0001" in err


@pytest.mark.parametrize("typed", [[], ["rn1-0001"], ["--zzz", "a.png"]])
def test_usage_errors(typed: list[str], finished: Path) -> None:
    assert predict(finished, *typed) == 2


@pytest.mark.slow
def test_a_network_of_one_s_own_answers_for_permuted_pixels(tmp_path: Path, sample: Dataset) -> None:
    """It takes no batch of one."""
    body = """
        self.linear = nn.Linear(784, 10)
    def forward(self, x):
        return self.linear(x.squeeze().flatten(1))
"""
    run = carried_out(tmp_path / "runs", model=model_in(tmp_path, body), permute=True, epochs=1, batch_size=50)
    recogniser = Recogniser(Run(run.path))
    images = sample.test_images[:100].numpy()
    predicted = np.array([np.argmax(recogniser(image)) for image in images])
    assert (predicted == sample.test_labels[:100].numpy()).mean() > 0.75
