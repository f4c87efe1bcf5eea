"""The names for a notebook: the README's lines, and that they train as a run does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from core import notebook
from core.messages import InvalidSetting, Problem
from core.runs.directory import FollowedRun
from tests.core.training.sample_runs import carried_out

pytestmark = pytest.mark.usefixtures("one_thread")

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_s_lines_train_as_a_run_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (lines,) = re.findall(
        r"```python\n(from core\.notebook import .*?)```", README.read_text(encoding="utf-8"), re.DOTALL
    )
    names: dict[str, Any] = {}
    exec(lines, names)
    out, err = capfd.readouterr()
    trained, accuracy = out.splitlines()
    run = FollowedRun(carried_out(tmp_path, seed=1, epochs=2))
    run.read()
    result = run.record.evaluated
    assert result is not None
    assert float(accuracy) == result.accuracy > 0.85
    assert f"<2 epochs, loss {run.record.epoch_losses[-1]:.4f}, " in trained
    assert "Epoch 1/2, batch" in err
    assert f"Epoch 2/2, Loss: {run.record.epoch_losses[-1]:.4f}" in err
    assert repr(names["data"]) == "<MNIST sample (5,000 images), 4,000 to train, 1,000 to test>"
    assert repr(names["test"](names["network"], names["data"])).startswith(f"<{result.accuracy:.2%}, {result.correct}")


def test_any_module_trains_and_the_seed_decides(capfd: pytest.CaptureFixture[str]) -> None:
    data = notebook.load("sample")
    with_dropout = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.Dropout(0.1))
    start = {name: value.clone() for name, value in with_dropout.state_dict().items()}

    def losses(seed: int) -> list[float]:
        with_dropout.load_state_dict(start)
        return notebook.train(with_dropout, data, epochs=1, seed=seed, progress=False, validate=True).losses

    assert losses(1) == losses(1) != losses(2)
    assert notebook.train(with_dropout, data, epochs=1, lr=1e38, progress=False).diverged
    assert capfd.readouterr() == ("", "")


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(InvalidSetting, match="RN_3"):
        notebook.build("RN_3")
    with pytest.raises(InvalidSetting, match="4294967295"):
        notebook.build("RN_1", seed=2**32)
    with pytest.raises(InvalidSetting, match="less than 1"):
        notebook.build("RN_1", dropout=1.0)
    with pytest.raises(InvalidSetting, match="RN_1, RN_2 only"):
        notebook.build(f"{README.parent}/tests/core/training/idioms.py:LeNet", batch_norm=True)
    with pytest.raises(Problem, match="cifar"):
        notebook.load("cifar")
    with pytest.raises(InvalidSetting, match="4294967295"):
        notebook.train(nn.Linear(784, 10), notebook.load("sample"), seed=2**32)
    for setting in ({"dropout": 0.3}, {"permute": True}, {"threads": 2}, {"exact": True}):  # it could not keep them
        with pytest.raises(TypeError, match="batch_size, device, epochs, lr, precision, validate"):
            notebook.train(nn.Linear(784, 10), notebook.load("sample"), **setting)
