"""Photographs and scans of a digit, prepared as MNIST's were."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from core.data import own_pictures
from core.data.datasets import Dataset
from core.data.own_pictures import Prepared, prepare
from core.messages import Problem
from tests.core.data.photographs import PHOTOGRAPHS, photograph

Save = Callable[[Image.Image, str], Prepared]


@pytest.fixture
def prepared(tmp_path: Path) -> Save:
    """Return a function that saves a picture under a name, and prepares the file."""

    def save(picture: Image.Image, name: str = "digit.png") -> Prepared:
        picture.save(tmp_path / name)
        return prepare(tmp_path / name)

    return save


def seven(
    size: tuple[int, int] = (300, 400), width: int = 24, ink: Any = 30, paper: Any = 220, mode: str = "L"
) -> Image.Image:
    picture = Image.new(mode, size, paper)
    across, down = size
    line = [(0.3 * across, 0.3 * down), (0.7 * across, 0.3 * down), (0.45 * across, 0.75 * down)]
    ImageDraw.Draw(picture).line(line, fill=ink, width=width, joint="curve")
    return picture


def likeness(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the cosine between two images, one moved by up to a pixel: 1 if they are alike."""
    one, two = image.astype(float), other.astype(float)
    places = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    best = max(float((np.roll(one, place, (0, 1)) * two).sum()) for place in places)
    return best / float(np.sqrt((one**2).sum() * (two**2).sum()))


@pytest.mark.parametrize("kind", PHOTOGRAPHS)
def test_a_photograph_becomes_the_digit_that_it_shows(kind: str, sample: Dataset, prepared: Save) -> None:
    """It fits into 20×20, has its mass at pixel 14, and nothing but black around it."""
    digit = sample.test_images[int((sample.test_labels == 5).nonzero()[0])].numpy()
    found = prepared(photograph(digit, **PHOTOGRAPHS[kind]), "digit.png")
    image = found.image
    rows, columns = image.nonzero()
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in (19, 20)
    assert rows @ image[rows, columns] / image.sum() == pytest.approx(14, abs=0.51)
    assert columns @ image[rows, columns] / image.sum() == pytest.approx(14, abs=0.51)
    assert image.max() > 240
    assert (image == 0).sum() > 450
    assert found.doubts == ()
    if kind != "turned":
        assert likeness(image, digit) > 0.93


def test_scale_place_and_inversion_make_no_difference(prepared: Save) -> None:
    first = prepared(seven(), "a.png").image
    others = {
        "inverted": ImageOps.invert(seven()),
        "moved": ImageOps.expand(seven(), (200, 0, 0, 90), 220),
        "larger": seven((900, 1200), 72),
        "coloured": seven(ink=(200, 30, 60), paper=(200, 220, 190), mode="RGB"),
        "transparent": seven(ink=(0, 0, 0, 255), paper=(0, 0, 0, 0), mode="RGBA"),
        "white on nothing": seven(ink=(255, 255, 255, 255), paper=(255, 255, 255, 0), mode="RGBA"),
        "16 bits": Image.fromarray(np.asarray(seven()).astype(np.uint16) * 150),
        "palette": seven().convert("P"),
    }
    for name, picture in others.items():
        assert likeness(prepared(picture, "b.png").image, first) > 0.97, name
    assert likeness(prepared(seven(), "b.jpg").image, first) > 0.97


def test_a_photograph_is_turned_as_its_camera_says(prepared: Save, tmp_path: Path) -> None:
    first = prepared(seven(), "a.png").image
    held = seven().transpose(Image.Transpose.ROTATE_90)
    exif = held.getexif()
    exif[0x0112] = 6  # orientation: to be turned to the right
    held.save(tmp_path / "a.jpg", exif=exif)
    assert likeness(prepare(tmp_path / "a.jpg").image, first) > 0.97


def test_a_thin_pen_s_strokes_are_widened(prepared: Save) -> None:
    thin, thick = prepared(seven((900, 1200), 6), "a.png").image, prepared(seven((900, 1200), 54), "b.png").image
    assert thin.max() > 240
    assert 0.6 < thin.sum() / thick.sum() < 1.3


def test_doubts_are_said(prepared: Save) -> None:
    def doubts(picture: Image.Image) -> str:
        return " ".join(map(str, prepared(picture, "a.png").doubts))

    pair = Image.new("L", (600, 400), 220)
    pair.paste(seven(), (0, 0))
    pair.paste(seven(), (300, 0))
    assert "several things" in doubts(pair)
    ImageDraw.Draw(pair).line([(150, 200), (450, 200)], fill=30, width=24)
    assert "wider than a digit" in doubts(pair)
    assert "touches the edge" in doubts(seven().crop((0, 0, 300, 250)))
    cut_off = seven()
    ImageDraw.Draw(cut_off).rectangle((0, 0, 30, 400), fill=60)  # a table's edge
    assert doubts(cut_off) == ""


@pytest.mark.parametrize("paper", [0, 128, 255])
def test_an_empty_sheet_is_said(paper: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).normal(0, 6, (300, 300))
    for picture in (np.full((300, 300), paper), paper + noise, paper + np.linspace(-60, 60, 300) + noise):
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(tmp_path / "a.png")
        with pytest.raises(Problem, match="no digit"):
            prepare(tmp_path / "a.png")


def test_files_that_cannot_be_read_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seven().save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    for name, content in {
        "cut.png": whole[:-300],
        "text.png": b"not a picture",
        "no.png": b"",
        "x.eps": b"%!PS",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Problem, match=name):
            prepare(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "missing.png", "."):
        with pytest.raises(Problem, match=r"cannot read"):
            prepare(tmp_path / name)
    monkeypatch.setattr(own_pictures, "_MAX_PIXELS", 1000)
    with pytest.raises(Problem, match="too large"):
        prepare(tmp_path / "a.png")


def test_damaged_files_are_a_problem_or_a_picture(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "gif"):
        seven((60, 80), 6).save(tmp_path / f"a.{suffix}")
        whole = (tmp_path / f"a.{suffix}").read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 25)):
            (tmp_path / f"b.{suffix}").write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
            with suppress(Problem):
                prepare(tmp_path / f"b.{suffix}")
