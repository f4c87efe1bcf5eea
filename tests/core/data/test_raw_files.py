"""The data sets' files: found in each of the usual forms and places, and refused by name if they are something else."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy
import pytest
import torch

from core.catalogue import RawFile
from core.data import raw_files
from core.data.datasets import Unavailable
from core.messages import Problem
from tests.core.data.small_sets import (
    MNIST,
    SMALL,
    TEST_LABELS,
    TRAIN_IMAGES,
    TRAIN_LABELS,
    Listener,
    content,
    load,
    put,
)

pytestmark = pytest.mark.usefixtures("small_sets", "no_network")


def replaced(data_dir: Path, file: RawFile, data: bytes) -> Path:
    path = MNIST.path(data_dir, file)
    path.write_bytes(data)
    return path


# Found


def _as_they_are(folder: Path) -> None:
    put(folder)


def _linked(folder: Path) -> None:
    put(folder / "elsewhere")
    (folder / "MNIST").symlink_to(folder / "elsewhere" / "MNIST")


def _write(folder: Path, form: Callable[[str], str], pack: Callable[[bytes], bytes] = bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in MNIST.files:
        (folder / form(file.name)).write_bytes(pack(content(MNIST, file)))


def _older_layout(folder: Path, place: str = "MNIST/processed", *, zipped: bool = True) -> None:
    processed = folder / place
    processed.mkdir(parents=True)
    for name, (images, labels) in {"training.pt": MNIST.files[:2], "test.pt": MNIST.files[2:]}.items():
        pixels = numpy.frombuffer(content(MNIST, images), "u1", offset=16).reshape(images.shape)
        classes = numpy.frombuffer(content(MNIST, labels), "u1", offset=8)
        tensors = torch.from_numpy(pixels.copy()), torch.from_numpy(classes.copy()).long()
        torch.save(tensors, processed / name, _use_new_zipfile_serialization=zipped)


def _kaggle(folder: Path) -> None:
    """Write the files under dot names, each beside a folder with the file under its usual name."""
    _write(folder, lambda name: name.replace("-idx", ".idx"))
    for file in MNIST.files:
        (folder / file.name).mkdir()
        (folder / file.name / file.name).write_bytes(content(MNIST, file))


FORMS: dict[str, Callable[[Path], None]] = {
    "downloaded": _as_they_are,
    "linked": _linked,
    "archives": lambda folder: _write(folder / "MNIST" / "raw", "{}.gz".format, gzip.compress),
    "dot names": lambda folder: _write(folder / "MNIST" / "raw", lambda name: name.replace("-idx", ".idx")),
    "dot archives": lambda folder: _write(folder, lambda name: name.replace("-idx", ".idx") + ".gz", gzip.compress),
    "without raw": lambda folder: _write(folder / "MNIST", str),
    "raw alone": lambda folder: _write(folder / "raw", str),
    "the folder itself": lambda folder: _write(folder, str),
    "older layout": _older_layout,
    "oldest layout": lambda folder: _older_layout(folder, "processed", zipped=False),
    "kaggle": _kaggle,
}


@pytest.mark.parametrize("form", FORMS)
def test_files_are_found_in_every_usual_form_and_nothing_is_written(form: str, tmp_path: Path) -> None:
    expected = load("mnist", put(tmp_path / "expected")).digest
    folder = tmp_path / "data"
    folder.mkdir()
    FORMS[form](folder)
    before = sorted(folder.rglob("*"))
    listener = Listener()
    dataset = listener.load("auto", folder)
    assert (dataset.name, dataset.digest) == ("mnist", expected)
    assert sorted(folder.rglob("*")) == before
    assert raw_files.on_disk(folder) == ["mnist"]
    assert not listener.messages


def test_forms_can_be_mixed_and_a_damaged_file_is_passed_over_for_a_valid_one(tmp_path: Path) -> None:
    whole = load("mnist", put(tmp_path)).digest
    archive = replaced(tmp_path, TRAIN_IMAGES, b"cut").with_name(f"{TRAIN_IMAGES.name}.gz")
    archive.write_bytes(gzip.compress(content(MNIST, TRAIN_IMAGES)))
    MNIST.path(tmp_path, TEST_LABELS).replace(tmp_path / TEST_LABELS.name)
    assert load("mnist", tmp_path).digest == whole


def test_older_layout_is_no_way_around_the_checks(tmp_path: Path) -> None:
    _older_layout(tmp_path)
    path = tmp_path / "MNIST" / "processed" / "test.pt"
    images, labels = torch.load(path)
    torch.save((images, labels.flip(0)), path)
    with pytest.raises(Problem, match=r"test\.pt is not MNIST's t10k-labels-idx1-ubyte: its MD5"):
        load("mnist", tmp_path)
    torch.save((images[0].expand(2**40, 28, 28), labels), path)
    with pytest.raises(Problem, match=r"test\.pt cannot be read .*: it holds \(1099511627776, 28, 28\)"):
        load("mnist", tmp_path)

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    torch.save((Hostile(), labels), path)
    with pytest.raises(Problem, match=r"test\.pt cannot be read"):
        load("mnist", tmp_path)
    assert not (tmp_path / "executed").exists()


# Another data set, or something else


def test_another_data_set_in_its_place_is_named(tmp_path: Path) -> None:
    put(tmp_path, SMALL["fashion-mnist"])
    (tmp_path / "FashionMNIST").rename(tmp_path / "MNIST")
    with pytest.raises(Problem) as caught:
        load("auto", tmp_path)
    path = MNIST.path(tmp_path, TRAIN_IMAGES)
    assert str(caught.value.message) == f"{path} is Fashion-MNIST's train-images-idx3-ubyte, not MNIST's"
    assert "--dataset fashion-mnist" in str(caught.value.advice)
    assert raw_files.on_disk(tmp_path) == []
    put(tmp_path / "other", MNIST)
    (tmp_path / "other" / "MNIST").rename(tmp_path / "KMNIST")
    with pytest.raises(Problem, match="is MNIST's train-images-idx3-ubyte, not KMNIST's"):
        load("kmnist", tmp_path)


@pytest.mark.parametrize("file", MNIST.files, ids=lambda file: file.name)
def test_a_single_other_byte_is_noticed(file: RawFile, tmp_path: Path) -> None:
    data = bytearray(content(MNIST, file))
    data[-1] ^= 1
    path = replaced(put(tmp_path), file, bytes(data))
    with pytest.raises(Problem) as caught:
        load("mnist", tmp_path)
    assert f"{path} is not MNIST's {file.name}: its MD5 checksum is " in str(caught.value)
    assert str(caught.value).count(file.md5) == 1
    assert "Move it away" in str(caught.value.advice)


def test_a_set_without_known_checksums_is_told_by_its_mean(tmp_path: Path) -> None:
    other = msgspec.structs.replace(SMALL["kmnist"], mean=0.1722)
    put(tmp_path, other)
    with pytest.raises(
        Problem, match=r"not KMNIST's train-images-.*: the mean of its pixels is 0\.172., expected 0\.1918"
    ):
        load("kmnist", tmp_path)


def test_another_sets_files_in_a_common_folder_are_not_in_the_way(tmp_path: Path) -> None:
    _write(tmp_path, str)
    put(tmp_path, SMALL["fashion-mnist"])
    assert load("fashion-mnist", tmp_path).name == "fashion-mnist"
    assert load("mnist", tmp_path).name == "mnist"
    assert raw_files.on_disk(tmp_path) == ["mnist", "fashion-mnist"]


# What is missing, and what is there instead


@pytest.mark.parametrize("name", ["fashion-mnist", "auto"])
def test_missing_files_and_those_found_instead_are_named(name: str, tmp_path: Path) -> None:
    there = SMALL["mnist" if name == "fashion-mnist" else "fashion-mnist"]
    for file in there.files:
        (tmp_path / file.name).write_bytes(content(there, file))
    (tmp_path / "mnist.npz").touch()
    (tmp_path / ".hidden").touch()
    with pytest.raises(Unavailable) as caught:
        load(name, tmp_path)
    said = str(caught.value.message)
    missing, found = said[said.index("missing in ") :].split("; found instead: ")
    assert missing == f"missing in {tmp_path}: {', '.join(file.name for file in MNIST.files)}"
    assert sorted(found.split(", ")) == sorted([*(f"{file.name} ({there.title})" for file in MNIST.files), "mnist.npz"])
    assert f"--dataset {there.name}" in str(caught.value.advice)


def test_only_what_is_missing_is_called_missing(tmp_path: Path) -> None:
    MNIST.path(put(tmp_path), TEST_LABELS).unlink()
    with pytest.raises(Unavailable) as caught:
        load("auto", tmp_path)
    assert str(caught.value.message).endswith(f"; missing in {tmp_path}: {TEST_LABELS.name}")


def test_sample_is_used_instead_of_files_that_are_no_data_set_and_they_are_named(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"notes{number:02}.txt").touch()
    listener = Listener()
    assert listener.load("auto", tmp_path).name == "sample"
    named = ", ".join(f"notes{number:02}.txt" for number in range(8))
    assert listener.heard(f"{tmp_path} has only {named}, …: the embedded sample")


# Damaged files


def _with_shape(file: RawFile, *shape: int) -> bytes:
    return RawFile(file.name, file.value_type, shape).header + bytes(100)


@pytest.mark.parametrize(
    ("file", "data", "said"),
    [
        (TRAIN_IMAGES, b"", ["0 bytes", "78416"]),
        (TRAIN_IMAGES, TRAIN_IMAGES.header[:7], ["7 bytes", "78416"]),
        (TEST_LABELS, content(MNIST, TEST_LABELS)[:-1], ["57 bytes", "58"]),
        (TEST_LABELS, content(MNIST, TEST_LABELS) + b"\0", ["more than 58 bytes"]),
        (TRAIN_LABELS, b"\x8f\x13\x1c\x02" * 27, ["8f131c02", "00000801", "MNIST"]),
        (TRAIN_IMAGES, content(MNIST, TRAIN_LABELS), ["00000801", "00000803"]),
        (TRAIN_IMAGES, _with_shape(TRAIN_IMAGES, 100, 32, 32), ["100×32×32", "100×28×28"]),
        (TRAIN_IMAGES, _with_shape(TRAIN_IMAGES, 2**32 - 1, 2**32 - 1, 2**32 - 1), ["4294967295×", "100×28×28"]),
        (TRAIN_LABELS, content(MNIST, TEST_LABELS), ["50 values", "100"]),
    ],
    ids=["empty", "in header", "cut", "longer", "random", "swapped", "larger images", "huge", "subset"],
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "archive"])
def test_damaged_file_is_named(packed: bool, file: RawFile, data: bytes, said: list[str], tmp_path: Path) -> None:
    path = replaced(put(tmp_path), file, data)
    if packed:
        path.unlink()
        path = path.with_name(f"{path.name}.gz")
        path.write_bytes(gzip.compress(data))
    with pytest.raises(Problem) as caught:
        load("auto", tmp_path)
    for part in [str(path), *said]:
        assert part in str(caught.value)
    assert "--dataset sample" in str(caught.value.advice)
    assert raw_files.on_disk(tmp_path) == []


def test_an_archive_is_unpacked_no_further_than_its_file_should_go(tmp_path: Path) -> None:
    """The rest of it, which could be endless, is not even read: it is cut, and nobody notices."""
    path = MNIST.path(put(tmp_path), TRAIN_LABELS)
    archive = path.rename(path.with_name(f"{path.name}.gz"))
    archive.write_bytes(gzip.compress(content(MNIST, TRAIN_LABELS) + os.urandom(1_000_000))[:-1000])
    with pytest.raises(Problem, match="holds more than 108 bytes"):
        load("mnist", tmp_path)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", gzip.compress(content(MNIST, TRAIN_LABELS))[:-9], b"\x1f\x8b\x08" + bytes(99)],
    ids=["empty", "text", "cut", "header alone"],
)
def test_an_incomplete_archive_is_missing_and_named(data: bytes, tmp_path: Path) -> None:
    path = MNIST.path(put(tmp_path), TRAIN_LABELS)
    path.rename(path.with_name(f"{path.name}.gz")).write_bytes(data)
    with pytest.raises(Unavailable) as caught:
        load("auto", tmp_path)
    there = f"missing in {tmp_path}: {path.name}; found instead: MNIST/raw/{path.name}.gz"
    assert str(caught.value.message).endswith(there)


def test_label_beyond_nine_is_named_where_no_checksum_is_known(tmp_path: Path) -> None:
    entry = SMALL["kmnist"]
    path = entry.path(put(tmp_path, entry), entry.files[1])
    path.write_bytes(entry.files[1].header + bytes([10]) * 100)
    with pytest.raises(Problem, match="holds the label 10, expected 0 to 9") as caught:
        load("kmnist", tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("what", ["folder", "pipe", "link to nothing", "link to itself"])
def test_not_a_file(what: str, tmp_path: Path) -> None:
    path = MNIST.path(put(tmp_path), TRAIN_LABELS)
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere" if what == "link to nothing" else path.name)
    with pytest.raises(Problem, match="link" if "link" in what else "not a regular file") as caught:
        load("auto", tmp_path)
    assert str(path) in str(caught.value)
    assert raw_files.on_disk(tmp_path) == []


def test_data_dir_that_is_a_file(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.touch()
    with pytest.raises(Problem, match="Not a directory") as caught:
        load("auto", data_dir)
    assert str(data_dir) in str(caught.value)
    assert raw_files.on_disk(data_dir) == []


@pytest.mark.parametrize("place", ["MNIST", "MNIST/raw/t10k-labels-idx1-ubyte"])
def test_unreadable(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denied = put(tmp_path) / place

    def deny(path: Path, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
        # Permissions do not restrict the superuser, who may be running this.
        if path.is_relative_to(denied):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *args, **options)

    method = "lstat" if place == "MNIST" else "open"
    original = getattr(Path, method)
    monkeypatch.setattr(Path, method, lambda path, *args, **options: deny(path, original, *args, **options))
    with pytest.raises(Problem, match="Permission denied") as caught:
        load("auto", tmp_path)
    assert str(denied) in str(caught.value)
