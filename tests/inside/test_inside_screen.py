"""The screen inside a network: its levels, what it says, and the ways to it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from core.catalogue import DATA_SETS
from core.runs.directory import Run
from core.training.batches import normalise
from core.training.load_trained import load_network
from core.worker.protocol import AskedImage
from tests.inside.same_process import WorkerInProcess, inside, untrained_run
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, focus, shown, until
from tui_app import i18n
from tui_app.dashboard.screens.digits_screen import DigitsScreen
from tui_app.dashboard.screens.draw_screen import DrawScreen
from tui_app.dashboard.screens.inside_screen import InsideScreen
from tui_app.dashboard.widgets.layer_panel import LayerPanel
from tui_app.dashboard.widgets.runs_panel import RunsPanel


def beside_the_image(screen: str) -> str:
    """Return the words to the right of the image, on one line."""
    return " ".join(" ".join(line[28:] for line in screen.splitlines()).split())


@pytest.mark.parametrize("size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW])
async def test_from_the_image_down_to_a_value_and_back(finished: Path, size: tuple[int, int]) -> None:
    async with inside(Run(finished / "rn2-0002"), size) as (app, pilot):
        assert "test image 0" in shown(app)
        assert "conv1 · convolution 1→32" in shown(app)
        assert "▀" * 28 in shown(app)
        for _layer in range(10):
            await pilot.press("down")
        assert "softmax · cross-entropy" in shown(app)
        assert "loss on this image: −log" in shown(app)
        for _layer in range(8):
            await pilot.press("up")
        await pilot.press("enter")
        await pilot.pause()
        assert "y = the greatest of the values in the window: 2×2, stride 2" in beside_the_image(shown(app))
        await pilot.press("enter")
        await pilot.pause()
        assert re.search(r"pool1\[\d+, \d+, \d+\] ≈ \d", shown(app))
        assert re.search(r"max\(\d", shown(app))
        assert "16 pixels" in beside_the_image(shown(app))
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert "pool1 · max pooling" in shown(app)


async def test_the_pixels_that_a_value_depends_on_are_its_receptive_field(finished: Path) -> None:
    """A value of pool2 reads 2×2 values of conv2, whose windows are 3×3, and so on: 10×10 pixels, less at the edge."""
    async with inside(Run(finished / "rn2-0002")) as (app, pilot):
        await pilot.press(*["down"] * 5, "enter")
        await pilot.pause()
        await pilot.press("enter", *["up"] * 7, *["left"] * 7)
        await pilot.pause()
        assert "49 pixels of the image" in shown(app)  # 7×7 in the corner
        await pilot.press(*["down"] * 3, *["right"] * 3)
        await pilot.pause()
        assert "100 pixels of the image" in shown(app)


async def test_why_this_answer_is_shown_by_hiding_each_place(finished: Path, sample_images: torch.Tensor) -> None:
    run = Run(finished / "rn2-0002")
    async with inside(run) as (app, pilot):
        await pilot.press("w")
        await pilot.pause()
        match = re.search(r"around row (\d+), column (\d+) \(counted from 0\): (\S+)\.", beside_the_image(shown(app)))
        assert match is not None
    row, column, hidden = int(match[1]), int(match[2]), float(match[3])
    image = sample_images[:1].clone()
    image[:, max(0, row - 1) : row + 3, max(0, column - 1) : column + 3] = 0
    with torch.no_grad():
        probabilities = load_network(run).double()(normalise(image, DATA_SETS["sample"]).double()).softmax(1)[0]
    assert float(probabilities[0]) == pytest.approx(hidden, abs=0.6 * 10.0 ** -len(match[3].partition(".")[2]))


async def test_the_nearest_training_images_are_those_of_the_last_hidden_layer(finished: Path, sample) -> None:  # type: ignore[no-untyped-def]
    run = Run(finished / "rn1-0001")
    async with inside(run) as (app, pilot):
        await pilot.press("n")
        await pilot.pause()
        found = [(int(label), float(distance)) for label, distance in re.findall(r"(\d), distance (\S+)", shown(app))]
    network = load_network(run).double()
    kept: list[torch.Tensor] = []
    network.get_submodule("fc4").register_forward_pre_hook(lambda _module, given: kept.append(given[0]))
    with torch.no_grad():
        for images in (sample.test_images[:1], sample.train_images):
            network(normalise(images, sample).double())
    distances = (kept[1] - kept[0]).square().sum(1).sqrt()
    nearest = distances.argsort()[: len(found)]
    assert [label for label, _distance in found] == sample.train_labels[nearest].tolist()
    assert [distance for _label, distance in found] == pytest.approx(distances[nearest].tolist(), abs=0.006)


async def test_dropout_and_batch_norm_show_training_and_test(tmp_path: Path) -> None:
    run = untrained_run(tmp_path, "RN_1", dropout=0.5, batch_norm=True, width=0.1)
    async with inside(run) as (app, pilot):
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        text = beside_the_image(shown(app))
        assert "channel 0 over a batch of 64 images, this one among them, and all its places: μ =" in text
        assert "running averages over the training: μ = 0.00, σ² = 1.00; γ = 1.00, β = 0.00" in text
        await pilot.press("pagedown", "pagedown")
        await pilot.pause()
        text = " ".join(shown(app).split())
        assert "In training: one draw" in text
        assert "In a test: all of them" in text
        left_out, total = map(int, re.search(r"(\d+) of (\d+) active values were left out", text).groups())  # type: ignore[union-attr]
        assert 0 < left_out < total


async def test_in_french_and_without_colours(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    i18n.use("fr")
    try:
        async with inside(Run(finished / "rn2-0002"), NARROW) as (app, pilot):
            assert "convolution 1→32" in shown(app)
            assert "▀" not in shown(app)
            assert re.search(r"[%@#*]{3}", shown(app))
            await pilot.press("enter", "enter")
            await pilot.pause()
            assert re.search(r"conv1\[\d+, \d+, \d+\] ≈ −?\d+,\d\d", shown(app))
            await pilot.press("escape", "escape", "w")
            await pilot.pause()
            assert "Les signes (.:-=+*#%@) parlent pour" in beside_the_image(shown(app))
    finally:
        i18n.use("en")


async def test_two_runs_look_at_the_same_image(finished: Path) -> None:
    async with dashboard(finished, (160, 40), "rn2-0002", workers=WorkerInProcess) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        app.screen.post_message(RunsPanel.Ticked("rn1-0001"))
        await until(pilot, lambda: "━━ rn1-0001" in shown(app))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen) and "conv1" in shown(app))
        await pilot.press("b")
        await until(pilot, lambda: "conv1" in shown(app) and "fc1 · linear 784→512" in shown(app))


# The ways to it


async def test_from_a_wrong_digit_and_from_a_cell_of_the_matrix(finished: Path) -> None:
    with np.load(Run(finished / "rn1-0001").result_paths("predictions", ".npz")[0]) as arrays:
        known = {name: arrays[name] for name in arrays}
    wrong = np.flatnonzero(known["label"] != known["predicted"])
    worst = wrong[known["probability"][wrong].argmax()]
    async with dashboard(finished, WIDE, "rn1-0001", workers=WorkerInProcess) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DigitsScreen) and "taken for" in shown(app))
        await pilot.press("enter")
        taken_for = rf"test image {worst} · {known['label'][worst]} \(p = \S+\), taken for {known['predicted'][worst]} "
        await until(pilot, lambda: isinstance(app.screen, InsideScreen) and bool(re.search(taken_for, shown(app))))
        await pilot.press("plus")
        await until(pilot, lambda: f"test image {worst + 1}" in shown(app))


async def test_from_a_layer_of_the_table(finished: Path) -> None:
    async with dashboard(finished, WIDE, "rn2-0002", workers=WorkerInProcess) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await focus(pilot, app.screen.query_one(LayerPanel))
        await pilot.press("down", "down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen) and "32 filters" not in shown(app))
        await until(pilot, lambda: "64 filters, each of 32×3×3 weights" in " ".join(shown(app).split()))


async def test_from_a_drawing_which_is_followed_live(finished: Path) -> None:
    async with dashboard(finished, (120, 50), "rn2-0002", workers=WorkerInProcess) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, DrawScreen))
        await pilot.press("space", *["down"] * 5)
        await until(pilot, lambda: "conv1" in shown(app) and "pool2" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, InsideScreen) and "a drawing · taken for" in shown(app))


async def test_another_users_network_is_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.inside import own_networks

    run = untrained_run(tmp_path, f"{own_networks.__file__}:LeNet")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    async with inside(run, picture=AskedImage(0)) as (app, _pilot):
        assert "belongs to another user" in " ".join(shown(app).split())
