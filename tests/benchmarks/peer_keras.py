"""The exam's training in Keras, on TensorFlow: `compile` and `fit`; tuned, with many steps in a call, or XLA too."""

from __future__ import annotations

import os
from typing import IO, Any

from tests.benchmarks.peer_data import Arrays, arrays
from tests.benchmarks.trainer import Pacer, Spec


def train(spec: Spec, answers: IO[str]) -> None:
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3")
    if not spec.on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import keras
    import tensorflow

    gpus = tensorflow.config.list_physical_devices("GPU")
    if spec.on_gpu and not gpus:
        raise RuntimeError("TensorFlow finds no GPU")
    for gpu in gpus:
        tensorflow.config.experimental.set_memory_growth(gpu, True)  # other programs share it
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)

    pace = Pacer(answers, lambda: None)

    class Pace(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            pace(spec.chunk)

    data = arrays(spec)
    model = keras.Sequential([keras.Input((28, 28, 1)), *_layers(spec.model)])
    model.compile(
        optimizer=keras.optimizers.Adam(0.001, epsilon=1e-8),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        **({"jit_compile": spec.compiled, "steps_per_execution": spec.chunk} if spec.tuned else {}),
    )
    endless: dict[str, Any] = {"epochs": 1_000_000, "verbose": 0, "callbacks": [Pace()]}
    if spec.tuned:
        calls = len(data.labels) // spec.batch_size // spec.chunk
        model.fit(_stream(data, spec), steps_per_epoch=calls * spec.chunk, **endless)
    else:
        model.fit(data.normalised(), data.labels, batch_size=spec.batch_size, **endless)


def _stream(data: Arrays, spec: Spec) -> Any:
    """Return batches without an end: whole batches are gathered and normalised, while the step before is computed."""
    import tensorflow

    images, labels = tensorflow.constant(data.images), tensorflow.constant(data.labels)

    def batch(indices: Any) -> Any:
        pixels = tensorflow.cast(tensorflow.gather(images, indices), "float32")
        return ((pixels / 255 - data.mean) / data.std)[..., None], tensorflow.gather(labels, indices)

    order = tensorflow.data.Dataset.range(len(data.labels)).shuffle(len(data.labels)).repeat()
    batches = order.batch(spec.batch_size, drop_remainder=True).map(batch, num_parallel_calls=1)
    return batches.prefetch(tensorflow.data.AUTOTUNE)


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
