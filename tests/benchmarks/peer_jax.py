"""The exam's training in JAX: one jitted step with optax's Adam, on arrays in memory."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import IO, Any

from tests.benchmarks.trainer import Pacer, Spec, load

_SIZES = {"RN_1": (784, 512, 256, 128, 10), "RN_2": (64 * 7 * 7, 128, 10)}
_CHANNELS = {"RN_1": (), "RN_2": (1, 32, 64)}


def train(spec: Spec, answers: IO[str]) -> None:
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax
    import numpy
    import optax

    data = load(spec)
    images = ((data.train_images.numpy()[..., None] / 255 - data.mean) / data.std).astype("float32")
    labels = data.train_labels.numpy()
    generator = numpy.random.default_rng(0)
    parameters = _parameters(spec.model, generator)
    optimizer = optax.adam(0.001)
    state = optimizer.init(parameters)

    def loss(parameters: Any, images: Any, labels: Any) -> Any:
        logits = _forward(parameters, images)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(parameters: Any, state: Any, images: Any, labels: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, images, labels)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state, value

    jitted = jax.jit(step)
    value: Any = None
    pace = Pacer(answers, lambda: None, lambda: jax.block_until_ready(value))
    while True:
        order = generator.permutation(len(labels))
        for begin in range(0, len(order), spec.batch_size):
            batch = order[begin : begin + spec.batch_size]
            pace()
            parameters, state, value = jitted(parameters, state, images[batch], labels[batch])


def _parameters(model: str, generator: Any) -> list[Any]:
    """Draw weights and biases as torch does: uniformly, within a bound set by the number of inputs."""

    def draw(shape: tuple[int, ...], num_inputs: int) -> Any:
        return generator.uniform(-(num_inputs**-0.5), num_inputs**-0.5, shape).astype("float32")

    channels, sizes = _CHANNELS[model], _SIZES[model]
    kernels = [((3, 3, a, b), 9 * a, b) for a, b in pairwise(channels)]
    matrices = [((a, b), a, b) for a, b in pairwise(sizes)]
    return [(draw(shape, inputs), draw((outputs,), inputs)) for shape, inputs, outputs in (*kernels, *matrices)]


def _forward(parameters: list[Any], x: Any) -> Any:
    import jax
    from jax import lax

    for weight, bias in parameters:
        if weight.ndim == 4:
            x = lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = lax.reduce_window(jax.nn.relu(x + bias), -float("inf"), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        else:
            x = x.reshape(len(x), -1) @ weight + bias
            x = x if weight is parameters[-1][0] else jax.nn.relu(x)
    return x
