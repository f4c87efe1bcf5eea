"""The data of the peers' programs, as arrays, and the order in which they take it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.benchmarks.measuring import child_environment
from tests.benchmarks.trainer import Spec, load


class Arrays(NamedTuple):
    """The training set in numpy, without the images that do not fill a last batch."""

    images: Any
    """As bytes, N×28×28."""
    labels: Any
    """As int32, N."""
    mean: float
    std: float

    def normalised(self) -> Any:
        """Return the images as float32, N×28×28×1."""
        return ((self.images[..., None] / 255 - self.mean) / self.std).astype("float32")


def arrays(spec: Spec) -> Arrays:
    """Read the data in another process: torch does not get along with every library in one."""
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        command = [sys.executable, "-m", "tests.benchmarks.peer_data", msgspec.json.encode(spec).decode(), str(path)]
        subprocess.run(command, env=child_environment(), check=True)
        with numpy.load(path) as read:
            return Arrays(read["images"], read["labels"], float(read["mean"]), float(read["std"]))


def orders(num_images: int, batch_size: int, num_batches: int) -> Iterator[Any]:
    """Yield the indices of so many batches at a time, int32, num_batches×batch_size; each epoch has a new order."""
    import numpy

    generator = numpy.random.default_rng(0)
    drawn = numpy.empty((0, batch_size), "int32")
    while True:
        while len(drawn) < num_batches:
            epoch = generator.permutation(num_images).astype("int32").reshape(-1, batch_size)
            drawn = numpy.concatenate([drawn, epoch])
        yield drawn[:num_batches]
        drawn = drawn[num_batches:]


def main() -> None:
    import numpy

    spec, path = msgspec.json.decode(sys.argv[1], type=Spec), sys.argv[2]
    data = load(spec)
    whole = len(data.train_labels) // spec.batch_size * spec.batch_size
    images, labels = data.train_images.numpy()[:whole], data.train_labels.numpy()[:whole].astype("int32")
    numpy.savez(path, images=images, labels=labels, mean=data.mean, std=data.std)


if __name__ == "__main__":
    main()
