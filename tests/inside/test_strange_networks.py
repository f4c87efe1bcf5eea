"""Answers about networks that are hard to look into: true ones, or a word that something is not known."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from core.data.datasets import Dataset
from core.messages import Problem
from core.runs.directory import Run
from core.training.batches import normalise
from core.training.load_trained import load_network
from core.worker.protocol import (
    Answer,
    AskedImage,
    FindNearest,
    Inspect,
    Inspected,
    InspectedLayer,
    InspectedValue,
    InspectLayer,
    InspectValue,
    Question,
    decode_answer,
    encode,
)
from core.worker.questions import RunInspector
from tests.inside import strange_networks
from tests.inside.same_process import inside, untrained_run
from tests.tui_app.driving import shown

IMAGE = AskedImage(3)


class Asker:
    """Questions about a network, whose answers go through the wire."""

    def __init__(self, folder: Path, network: type[nn.Module]) -> None:
        self.run = untrained_run(folder, f"{strange_networks.__file__}:{network.__name__}")
        self._inspector = RunInspector()

    def __call__(self, question: Question) -> Any:
        answer: Answer = self._inspector.insides.answer(question, lambda _message, _fraction: None)  # type: ignore[arg-type]
        self._inspector.insides.prepare(lambda: False)
        return decode_answer.decode(encode(answer))

    def way(self) -> Inspected:
        answer: Inspected = self(Inspect(str(self.run.path), IMAGE))
        return answer

    def layer(self, name: str) -> InspectedLayer:
        answer: InspectedLayer = self(InspectLayer(str(self.run.path), IMAGE, layer=self.number_of(name)))
        return answer

    def value(self, name: str, place: int) -> InspectedValue:
        question = InspectValue(str(self.run.path), IMAGE, layer=self.number_of(name), place=place)
        answer: InspectedValue = self(question)
        return answer

    def number_of(self, name: str) -> int:
        return next(view.number for view in self.way().layers if view.name == name)


@pytest.mark.parametrize("network", strange_networks.ALL, ids=lambda each: each.__name__)
def test_every_level_is_answered(tmp_path: Path, network: type[nn.Module]) -> None:
    asker = Asker(tmp_path, network)
    for view in asker.way().layers:
        asker.layer(view.name)
        if view.size:
            asker.value(view.name, view.size // 2)


def test_infinite_values_of_a_mask_are_told(tmp_path: Path) -> None:
    asker = Asker(tmp_path, strange_networks.Masked)
    assert asker.value("mask", 1).value.value == -math.inf
    first = asker.value("softmax", 0).value
    assert first.value == 1
    assert first.formula is not None


def test_fields_that_cannot_be_followed_are_unknown(tmp_path: Path) -> None:
    """Channels of parallel branches depend on different pixels, and sorting puts what is no number last."""
    inception = Asker(tmp_path, strange_networks.Inception)
    assert inception.value("relu", 28 * 14 + 14).value.receptive_field == b""
    assert sum(inception.value("wide", 28 * 14 + 14).value.receptive_field) == 25
    assert Asker(tmp_path, strange_networks.Sorted).value("relu", 392).value.receptive_field == b""


def test_a_drawn_dropout_leaves_the_values_alone(tmp_path: Path) -> None:
    asker = Asker(tmp_path, strange_networks.InPlaceDropout)
    before = [asker.value("3", place).value for place in range(20)]
    draw = asker.layer("3").facts.draw
    assert draw is not None
    assert 0 < draw.left_out < draw.total
    assert [asker.value("3", place).value for place in range(20)] == before


def test_only_torchs_own_layers_have_formulas(tmp_path: Path) -> None:
    asker = Asker(tmp_path, strange_networks.LeakyNetwork)
    assert all(asker.value("2", place).value.formula is None for place in range(20))
    assert not asker.layer("2").facts.is_torchs
    assert not asker.layer("1").facts.has_bias


def test_the_statistics_of_a_batch_are_those_that_training_would_use(tmp_path: Path, sample: Dataset) -> None:
    asker = Asker(tmp_path, strange_networks.RowsNormed)
    statistics = asker.layer("norm").facts.statistics
    assert statistics is not None
    network = load_network(asker.run).double().train()
    given: list[torch.Tensor] = []
    network.get_submodule("norm").register_forward_pre_hook(lambda _module, args: given.append(args[0]))
    images = torch.cat([sample.test_images[3:4], sample.test_images[: statistics.batch_size - 1]])
    network(normalise(images, sample).double())
    assert statistics.batch_mean == pytest.approx(given[0].mean(0).tolist())
    assert statistics.batch_variance == pytest.approx(given[0].var(0, unbiased=False).tolist())


def test_where_no_layer_can_be_compared_it_is_said(tmp_path: Path) -> None:
    asker = Asker(tmp_path, strange_networks.NoLinear)
    with pytest.raises(Problem, match="no last linear layer"):
        asker(FindNearest(str(asker.run.path), IMAGE))


async def test_a_refusal_leaves_the_rest_of_the_screen_working(tmp_path: Path) -> None:
    run = untrained_run(tmp_path, f"{strange_networks.__file__}:NoLinear")
    async with inside(run) as (app, pilot):
        await pilot.press("n", "plus")
        await pilot.pause()
        assert "test image 1 ·" in shown(app)


async def test_answers_about_an_image_that_was_left_are_not_shown(finished: Path) -> None:
    async with inside(Run(finished / "rn1-0001"), picture=AskedImage(998)) as (app, pilot):
        await pilot.press("w")
        await pilot.pause()
        assert "Why " in shown(app)
        await pilot.press("plus", "plus", "plus")  # there are no more
        await pilot.pause()
        assert "test image 999 ·" in shown(app)
        match = re.search(r"test image 999 · (\d) \(p = \S+\), taken for (\d)", shown(app))
        assert match is not None
        assert f"Why {match[2]}?" in shown(app)
        await pilot.press("n")
        await pilot.pause()
        assert "The training images that the network sees" in shown(app)
        await pilot.press("minus")
        await pilot.pause()
        assert "The training images that the network sees" not in shown(app)
