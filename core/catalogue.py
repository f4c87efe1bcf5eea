"""The built-in networks, and the data sets with the expected layout of their files."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import msgspec

from core.messages import N_, Message, Problem, reason

SIDE = 28
"""Rows, and columns, of an image."""
IMAGE_SHAPE = (1, SIDE, SIDE)
"""Channels, rows and columns of the images that every network takes."""
NUM_CLASSES = 10
"""Number of classes in every data set, and of logits from every network."""


class BuiltInNetwork(msgspec.Struct, frozen=True):
    """A network that comes with the program."""

    name: str
    class_path: str
    """`module:ClassName`, imported only when the network is built, because it loads torch."""


NETWORKS: dict[str, BuiltInNetwork] = {
    network.name: network
    for network in (
        BuiltInNetwork("RN_1", "core.networks.exam:RN_1"),
        BuiltInNetwork("RN_2", "core.networks.exam:RN_2"),
    )
}
EXAM_PAIR = ("RN_1", "RN_2")
"""The two networks that the exam asks to compare."""

_UINT8, _INT32 = 8, 12
_VALUE_BYTES = {_UINT8: 1, _INT32: 4}


class RawFile(msgspec.Struct, frozen=True):
    """A file in the IDX format: a header with the type and shape of the values, then the values, all big-endian."""

    name: str
    value_type: int
    shape: tuple[int, ...]

    @property
    def header(self) -> bytes:
        return struct.pack(f">HBB{len(self.shape)}I", 0, self.value_type, len(self.shape), *self.shape)

    @property
    def num_bytes(self) -> int:
        return len(self.header) + math.prod(self.shape) * _VALUE_BYTES[self.value_type]


class DataSource(msgspec.Struct, frozen=True, kw_only=True):
    """A data set. `mean` and `std` describe its training pixels, as fractions of white."""

    name: str
    title: str
    source: str = ""
    """Name of its class in `torchvision.datasets`, and of its folder."""
    mean: float = 0.1307
    std: float = 0.3081
    class_names: tuple[str, ...] = tuple("0123456789")
    files: tuple[RawFile, ...] = ()
    """Training images and labels, then test images and labels; empty for the embedded sample."""

    def path(self, data_dir: Path, file: RawFile) -> Path:
        return data_dir / self.source / "raw" / file.name


_MNIST_FILES = (
    RawFile("train-images-idx3-ubyte", _UINT8, (60_000, SIDE, SIDE)),
    RawFile("train-labels-idx1-ubyte", _UINT8, (60_000,)),
    RawFile("t10k-images-idx3-ubyte", _UINT8, (10_000, SIDE, SIDE)),
    RawFile("t10k-labels-idx1-ubyte", _UINT8, (10_000,)),
)
# A QMNIST label is a row: the class, then the writer and the origin of the digit.
_QMNIST_FILES = (
    RawFile("qmnist-train-images-idx3-ubyte", _UINT8, (60_000, SIDE, SIDE)),
    RawFile("qmnist-train-labels-idx2-int", _INT32, (60_000, 8)),
    RawFile("qmnist-test-images-idx3-ubyte", _UINT8, (60_000, SIDE, SIDE)),
    RawFile("qmnist-test-labels-idx2-int", _INT32, (60_000, 8)),
)
_FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_HIRAGANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

DATA_SETS: dict[str, DataSource] = {
    entry.name: entry
    for entry in (
        DataSource(name="mnist", title="MNIST", source="MNIST", files=_MNIST_FILES),
        DataSource(
            name="fashion-mnist",
            title="Fashion-MNIST",
            source="FashionMNIST",
            mean=0.2860,
            std=0.3530,
            class_names=_FASHION,
            files=_MNIST_FILES,
        ),
        DataSource(
            name="kmnist",
            title="KMNIST",
            source="KMNIST",
            mean=0.1918,
            std=0.3483,
            class_names=_HIRAGANA,
            files=_MNIST_FILES,
        ),
        DataSource(name="qmnist", title="QMNIST", source="QMNIST", files=_QMNIST_FILES),
        DataSource(name="sample", title=N_("MNIST sample (5,000 images)")),
    )
}
DATA_SET_NAMES: tuple[str, ...] = tuple(DATA_SETS)


def on_disk(data_dir: Path) -> list[str]:
    """Return the data sets whose files are all in the folder, valid or not; never the sample, which has no files."""

    def complete(entry: DataSource) -> bool:
        try:
            return bool(entry.files) and all(entry.path(data_dir, file).is_file() for file in entry.files)
        except OSError:
            return False

    return [name for name, entry in DATA_SETS.items() if complete(entry)]


def missing_files(entry: DataSource, data_dir: Path) -> list[RawFile]:
    """Return the files that do not exist. Raises `Problem` if one exists but is not valid."""
    missing = []
    for file in entry.files:
        path = entry.path(data_dir, file)
        try:
            path.lstat()
        except FileNotFoundError:
            missing.append(file)
        except OSError as error:
            raise unreadable(path, error) from error
        else:
            check(path, file, entry)
    return missing


def check(path: Path, file: RawFile, entry: DataSource) -> None:
    """Raise `Problem` if a file is not a regular file, or its header or length is not the expected one."""
    try:
        fault = _fault(path, file, entry)
    except OSError as error:
        raise unreadable(path, error) from error
    if fault:
        raise damaged(fault)


def _fault(path: Path, file: RawFile, entry: DataSource) -> Message | None:
    if not path.exists():
        return Message("{path} is a link to a missing file", {"path": str(path)})
    if not path.is_file():
        return Message("{path} is not a regular file", {"path": str(path)})
    with path.open("rb") as content:
        header = content.read(len(file.header))
        found_bytes = os.fstat(content.fileno()).st_size
    if len(header) == len(file.header) and header[:4] != file.header[:4]:
        return Message(
            "{path} is not a file of {title}: it starts with the bytes {found}, expected {expected}",
            {"path": str(path), "title": entry.title, "found": header[:4].hex(), "expected": file.header[:4].hex()},
        )
    if len(header) == len(file.header) and header != file.header:
        shape = struct.unpack_from(f">{len(file.shape)}I", header, 4)
        return Message(
            "{path} claims to hold {found} values, expected {expected}",
            {"path": str(path), "found": "×".join(map(str, shape)), "expected": "×".join(map(str, file.shape))},
        )
    if found_bytes != file.num_bytes:
        return Message(
            "{path} is {found} bytes long, expected {expected}",
            {"path": str(path), "found": found_bytes, "expected": file.num_bytes},
        )
    return None


def damaged(fault: Message) -> Problem:
    advice = N_("Delete it to have it downloaded again, or choose --dataset sample.")
    return Problem(fault.text, advice=advice, **fault.values)


def unreadable(path: Path, error: OSError) -> Problem:
    advice = N_("Choose another folder with --data-dir, or --dataset sample.")
    return Problem("{path} cannot be read: {reason}", advice=advice, path=str(path), reason=reason(error))
