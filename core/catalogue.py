"""The built-in networks, and the data sets with the expected layout of their files."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import msgspec

from core.messages import N_

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
_DTYPES = {_UINT8: "u1", _INT32: ">i4"}


class RawFile(msgspec.Struct, frozen=True):
    """A file in the IDX format: a header with the type and shape of the values, then the values, all big-endian."""

    name: str
    value_type: int
    shape: tuple[int, ...]
    md5: str = ""
    """Checksum of the whole file, unpacked; empty if it is not known."""

    @property
    def dtype(self) -> str:
        """Type of the values, as numpy writes it."""
        return _DTYPES[self.value_type]

    @property
    def header(self) -> bytes:
        return struct.pack(f">HBB{len(self.shape)}I", 0, self.value_type, len(self.shape), *self.shape)

    @property
    def num_bytes(self) -> int:
        return len(self.header) + math.prod(self.shape) * int(self.dtype[-1])


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
        """Return where a download puts a file."""
        return data_dir / self.source / "raw" / file.name


def _mnist_files(*md5: str) -> tuple[RawFile, ...]:
    """Return files named and shaped like MNIST's, with the checksums of their contents as far as they are known."""
    train_images, train_labels, test_images, test_labels = md5 or ("",) * 4
    return (
        RawFile("train-images-idx3-ubyte", _UINT8, (60_000, SIDE, SIDE), train_images),
        RawFile("train-labels-idx1-ubyte", _UINT8, (60_000,), train_labels),
        RawFile("t10k-images-idx3-ubyte", _UINT8, (10_000, SIDE, SIDE), test_images),
        RawFile("t10k-labels-idx1-ubyte", _UINT8, (10_000,), test_labels),
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
        DataSource(
            name="mnist",
            title="MNIST",
            source="MNIST",
            files=_mnist_files(
                "6bbc9ace898e44ae57da46a324031adb",
                "a25bea736e30d166cdddb491f175f624",
                "2646ac647ad5339dbf082846283269ea",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        ),
        DataSource(
            name="fashion-mnist",
            title="Fashion-MNIST",
            source="FashionMNIST",
            mean=0.2860,
            std=0.3530,
            class_names=_FASHION,
            files=_mnist_files(
                "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "9018921c3c673c538a1fc5bad174d6f9",
                "8181f5470baa50b63fa0f6fddb340f0a",
                "15d484375f8d13e6eb1aabb0c3f46965",
            ),
        ),
        DataSource(
            name="kmnist",
            title="KMNIST",
            source="KMNIST",
            mean=0.1918,
            std=0.3483,
            class_names=_HIRAGANA,
            files=_mnist_files(),
        ),
        DataSource(name="qmnist", title="QMNIST", source="QMNIST", files=_QMNIST_FILES),
        DataSource(name="sample", title=N_("MNIST sample (5,000 images)")),
    )
}
DATA_SET_NAMES: tuple[str, ...] = tuple(DATA_SETS)
