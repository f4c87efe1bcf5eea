"""The numbers in the answers, worked out from what the program knows, and those measured once on MNIST."""

from __future__ import annotations

import math
from functools import cache

import msgspec

from core import catalogue
from core.config import Architecture, RunConfig
from core.networks import kept_tables
from core.networks.layer_table import Layer, LayerTable
from core.networks.shapes import times

Fact = int | float | str | LayerTable
"""A count, a share from 0 to 1, a size such as `32×28×28`, or a whole table."""


class Reference(msgspec.Struct, frozen=True):
    """What a network of the exam reached on MNIST, with 5 seeds and 5 epochs: docs/EXAM.md."""

    errors: int
    """Errors in 10,000 test images, on average."""
    spread: int
    """Half the 95% interval of that mean."""
    accuracy: float
    permuted: float
    """Accuracy where the pixels of all images are permuted in the same way."""


REFERENCE = {
    "RN_1": Reference(errors=226, spread=30, accuracy=0.9774, permuted=0.9763),
    "RN_2": Reference(errors=93, spread=13, accuracy=0.9907, permuted=0.9661),
}
FIRST_LOSS = 0.2258
"""Loss that the exam's program prints for RN_1 after the first epoch on MNIST, with seed 0."""
_THE_EXAMS = RunConfig(dataset="mnist", seed=0, data_dir="")


def table(model: str) -> LayerTable:
    """Return the layer table of a built-in network."""
    return kept_tables.built_in()[Architecture(model=model)]


def layer(model: str, name: str) -> Layer:
    return next(each for each in table(model).layers if each.name == name)


def weights_of_a_value(of: Layer) -> int:
    """Return how many weights go into a single output value of a layer that has a bias."""
    return of.parameters // _sizes(of)[0] - 1


@cache
def facts() -> dict[str, Fact]:
    """Return every number that the answers name, by its name there."""
    return {**_of_networks(), **_of_smaller_networks(), **_of_the_program(), **_of_the_reference()}


def batches() -> int:
    """Return the number of batches in an epoch of the exam's program."""
    return math.ceil(_num_images(training=True) / _THE_EXAMS.batch_size)


def steps() -> int:
    """Return how often the exam's program corrects the parameters."""
    return _THE_EXAMS.epochs * batches()


def last_batch() -> int:
    """Return the number of images in the last batch of an epoch."""
    return _num_images(training=True) - (batches() - 1) * _THE_EXAMS.batch_size


def largest_layer(model: str) -> Layer:
    """Return the layer with the most parameters."""
    return max(table(model).layers, key=lambda each: each.parameters)


def _of_networks() -> dict[str, Fact]:
    found: dict[str, Fact] = {"rn1_inputs": _values(layer("RN_1", "flatten"))}
    for model in catalogue.EXAM_PAIR:
        short = model.replace("_", "").lower()
        made = table(model)
        found |= {f"{short}_table": made, f"{short}_total": made.total, f"{short}_macs": _macs(made)}
        for each in made.layers:
            name = f"{short}_{each.name}"
            found |= {name: each.parameters, f"{name}_values": _values(each), f"{name}_channels": _sizes(each)[0]}
            found[f"{name}_size"] = times(_sizes(each))
            if each.parameters:
                found |= {f"{name}_weights": weights_of_a_value(each), f"{name}_share": each.parameters / made.total}
    return found


def _of_smaller_networks() -> dict[str, Fact]:
    """Work out what fc1, or all of RN_2, would be with other sizes."""
    units = _values(layer("RN_2", "fc1"))
    flat, classes = _values(layer("RN_2", "flatten")), catalogue.NUM_CLASSES
    without_pooling = _sizes(layer("RN_2", "conv2"))[0] * math.prod(_sizes(layer("RN_2", "conv1"))[1:])
    filters = _sizes(layer("RN_2", "conv2"))[0]
    half_1, half_2, half_units = (_sizes(layer("RN_2", name))[0] // 2 for name in ("conv1", "conv2", "fc1"))
    window = weights_of_a_value(layer("RN_2", "conv1"))
    half = (window * half_1 + half_1) + (window * half_1 * half_2 + half_2)
    half += _linear(flat // 2, half_units) + _linear(half_units, classes)
    return {
        "inputs_without_pooling": without_pooling,
        "fc1_without_pooling": _linear(without_pooling, units),
        "fc1_of_64": _linear(flat, 64),
        "fc1_of_global_pooling": _linear(filters, units),
        "without_fc1": _linear(flat, classes),
        "half_total": half,
    }


def _of_the_program() -> dict[str, Fact]:
    return {
        "train_images": _num_images(training=True),
        "test_images": _num_images(training=False),
        "batch": _THE_EXAMS.batch_size,
        "batches": batches(),
        "full_batches": _num_images(training=True) // _THE_EXAMS.batch_size,
        "last_batch": last_batch(),
        "test_batches": math.ceil(_num_images(training=False) / _THE_EXAMS.batch_size),
        "epochs": _THE_EXAMS.epochs,
        "steps": steps(),
    }


def _of_the_reference() -> dict[str, Fact]:
    found: dict[str, Fact] = {}
    for number, model in enumerate(catalogue.EXAM_PAIR, start=1):
        reached = REFERENCE[model]
        found |= {f"ref_errors_{number}": reached.errors, f"ref_spread_{number}": reached.spread}
        found |= {f"ref_accuracy_{number}": reached.accuracy, f"ref_permuted_{number}": reached.permuted}
    share = REFERENCE["RN_1"].accuracy
    found["ref_half_width"] = 1.96 * math.sqrt(share * (1 - share) / _num_images(training=False))
    return found


def _num_images(*, training: bool) -> int:
    return catalogue.DATA_SETS["mnist"].files[0 if training else 2].shape[0]


def _macs(made: LayerTable) -> int:
    """Return the multiply–accumulates for an image: each output value is a sum with a product for each weight."""
    return sum(weights_of_a_value(each) * _values(each) for each in made.layers if each.parameters)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _values(of: Layer) -> int:
    return math.prod(_sizes(of))


def _sizes(of: Layer) -> tuple[int, ...]:
    assert of.output_shape is not None
    return of.output_shape
