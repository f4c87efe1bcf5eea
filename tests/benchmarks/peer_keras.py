"""The exam's training as Keras's guide shows it: `compile` and `fit`, on TensorFlow."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any

import msgspec

from tests.benchmarks.measuring import child_environment
from tests.benchmarks.trainer import Pacer, Spec, load


def train(spec: Spec, answers: IO[str]) -> None:
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    import keras

    pace = Pacer(answers, lambda: None)

    class Pace(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            pace()

    images, labels = _data(spec)
    model = keras.Sequential([keras.Input((28, 28, 1)), *_layers(spec.model)])
    model.compile(
        optimizer=keras.optimizers.Adam(0.001), loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(
        images,
        labels,
        batch_size=spec.batch_size,
        epochs=1_000_000,
        verbose=0,
        callbacks=[Pace()],
    )


def _data(spec: Spec) -> tuple[Any, Any]:
    """Read the data in another process: torch and TensorFlow do not always get along in one."""
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        command = [sys.executable, "-m", "tests.benchmarks.peer_keras", msgspec.json.encode(spec).decode(), str(path)]
        subprocess.run(command, env=child_environment(), check=True)
        with numpy.load(path) as arrays:
            return arrays["images"], arrays["labels"]


def _layers(model: str) -> list[Any]:
    from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D

    if model == "RN_1":
        hidden = [Dense(size, activation="relu") for size in (512, 256, 128)]
        return [Flatten(), *hidden, Dense(10)]
    return [
        Conv2D(32, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Conv2D(64, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(128, activation="relu"),
        Dense(10),
    ]


def main() -> None:
    import numpy

    data = load(msgspec.json.decode(sys.argv[1], type=Spec))
    images = ((data.train_images.numpy()[..., None] / 255 - data.mean) / data.std).astype("float32")
    numpy.savez(sys.argv[2], images=images, labels=data.train_labels.numpy())


if __name__ == "__main__":
    main()
