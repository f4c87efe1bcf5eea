"""The exam's training in JAX, with optax's Adam: a jitted step on arrays in memory; tuned, all of it on the device.

Tuned, the buffers of parameters and optimizer are given up to the step that replaces them (donated), images stay on the
device as bytes, and a call takes one step or scans over many.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import pairwise
from typing import IO, Any

from tests.benchmarks.peer_data import Arrays, arrays, orders
from tests.benchmarks.trainer import Pacer, Spec

_SIZES = {"RN_1": (784, 512, 256, 128, 10), "RN_2": (64 * 7 * 7, 128, 10)}
_CHANNELS = {"RN_1": (), "RN_2": (1, 32, 64)}


def train(spec: Spec, answers: IO[str]) -> None:
    os.environ["JAX_PLATFORMS"] = "cuda" if spec.on_gpu else "cpu"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # other programs share the GPU
    import jax
    import numpy
    import optax

    jax.config.update("jax_default_matmul_precision", "highest")
    optimizer = optax.adam(0.001)

    def loss(parameters: Any, images: Any, labels: Any) -> Any:
        logits = _forward(parameters, images, tuned=spec.tuned)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(parameters: Any, state: Any, images: Any, labels: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, images, labels)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state, value

    parameters = jax.tree.map(jax.numpy.asarray, _parameters(spec.model, numpy.random.default_rng(0)))
    take_steps = _tuned if spec.tuned else _as_the_guide_shows
    take_steps(step, parameters, optimizer.init(parameters), arrays(spec), spec, answers)


def _as_the_guide_shows(step: Any, parameters: Any, state: Any, data: Arrays, spec: Spec, answers: IO[str]) -> None:
    import jax

    images, labels = data.normalised(), data.labels
    jitted = jax.jit(step)
    value: Any = None
    pace = Pacer(answers, lambda: None, lambda: jax.block_until_ready(value))
    for (batch,) in orders(len(labels), spec.batch_size, 1):
        pace()
        parameters, state, value = jitted(parameters, state, images[batch], labels[batch])


def _tuned(step: Any, parameters: Any, state: Any, data: Arrays, spec: Spec, answers: IO[str]) -> None:
    import jax
    from jax import lax

    images, labels = jax.device_put(data.images[..., None]), jax.device_put(data.labels)

    def one(carried: Any, batch: Any) -> Any:
        parameters, state = carried
        normalised = (images[batch].astype("float32") / 255 - data.mean) / data.std
        parameters, state, value = step(parameters, state, normalised, labels[batch])
        return (parameters, state), value

    @partial(jax.jit, donate_argnums=0)
    def next_step(carried: Any, number: Any, order: Any) -> Any:
        """Take a step on a batch of the order; its number is kept on the device, and given back greater by one."""
        carried, value = one(carried, lax.dynamic_index_in_dim(order, number, keepdims=False))
        return carried, number + 1, value

    @partial(jax.jit, donate_argnums=0)
    def scan(carried: Any, order: Any) -> Any:
        return lax.scan(one, carried, order, unroll=_unrolled(spec))

    carried: Any = (parameters, state)
    value: Any = None
    pace = Pacer(answers, lambda: None, lambda: jax.block_until_ready((carried, value)))
    if spec.chunk > 1:
        for order in orders(len(labels), spec.batch_size, spec.chunk):
            pace(spec.chunk)
            carried, value = scan(carried, order)
    num_batches = len(labels) // spec.batch_size
    for drawn in orders(len(labels), spec.batch_size, num_batches):
        order, number = jax.device_put(drawn), jax.numpy.int32(0)
        for _ in range(num_batches):
            pace()
            carried, number, value = next_step(carried, number, order)


def _unrolled(spec: Spec) -> int:
    """Return how many steps of a scan to write out: for convolutions on a CPU all, as loops there have no threads."""
    return spec.chunk if spec.model == "RN_2" and not spec.on_gpu else 4


def _parameters(model: str, generator: Any) -> list[Any]:
    """Draw weights and biases as torch does: uniformly, within a bound set by the number of inputs."""

    def draw(shape: tuple[int, ...], num_inputs: int) -> Any:
        return generator.uniform(-(num_inputs**-0.5), num_inputs**-0.5, shape).astype("float32")

    channels, sizes = _CHANNELS[model], _SIZES[model]
    kernels = [((3, 3, a, b), 9 * a, b) for a, b in pairwise(channels)]
    matrices = [((a, b), a, b) for a, b in pairwise(sizes)]
    return [(draw(shape, inputs), draw((outputs,), inputs)) for shape, inputs, outputs in (*kernels, *matrices)]


def _forward(parameters: list[Any], x: Any, *, tuned: bool) -> Any:
    import jax
    from jax import lax

    for weight, bias in parameters:
        if weight.ndim == 4:
            x = lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            # The maximum of four is the same before the bias and ReLU, which then have a quarter of the values.
            x = jax.nn.relu(_pool_by_reshape(x) + bias) if tuned else _pool(jax.nn.relu(x + bias))
        else:
            x = x.reshape(len(x), -1) @ weight + bias
            x = x if weight is parameters[-1][0] else jax.nn.relu(x)
    return x


def _pool(x: Any) -> Any:
    from jax import lax

    return lax.reduce_window(x, -float("inf"), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def _pool_by_reshape(x: Any) -> Any:
    """Pool without a window, whose gradient is slow to compute."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
