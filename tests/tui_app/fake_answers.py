"""Answers of a fake worker: recorded layer tables and predictions, and figures that are easy to check."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy

from core.config import Architecture
from core.data.conditions import Condition
from core.messages import Message, Problem
from core.networks.layer_table import LayerTable
from core.runs import predictions
from core.runs.directory import Run
from core.runs.events import Evaluated
from core.runs.predictions import Predictions
from core.worker.protocol import (
    Answer,
    Browse,
    Browsed,
    Describe,
    Described,
    Digit,
    EvaluateAt,
    EvaluatedAt,
    Measure,
    Measured,
    Question,
    Recognise,
    Recognised,
    Settle,
    Settled,
    Tried,
    Try,
)

_MAX_DIGITS = 100
_LOSS = {"shift": 0.08, "turn": 0.012, "noise": 0.4}
"""Accuracy that a network loses per unit of a condition's strength."""
_SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
_STROKES = {
    "a": (slice(4, 7), slice(8, 20)),
    "b": (slice(4, 14), slice(17, 20)),
    "c": (slice(14, 24), slice(17, 20)),
    "d": (slice(21, 24), slice(8, 20)),
    "e": (slice(14, 24), slice(8, 11)),
    "f": (slice(4, 14), slice(8, 11)),
    "g": (slice(12, 15), slice(8, 20)),
}
"""Rows and columns of the seven segments of a digit."""


def answer(question: Question, tables: Mapping[Architecture, LayerTable]) -> Answer:
    """Answer a question. Raises `Problem`."""
    match question:
        case Describe(architecture=architecture):
            if architecture not in tables:
                raise Problem("{reason}", reason=f"no table is recorded of {architecture}")
            return Described(question, tables[architecture])
        case Try():
            return Tried(question)
        case Settle(config=config):
            threads = config.threads or 1
            settled = msgspec.structs.replace(config, device="cpu", threads=threads, dataset="sample", exact=False)
            return Settled(question, settled, (settled.device,))
        case Browse():
            return _browse(question)
        case EvaluateAt():
            return EvaluatedAt(question, result_of(predictions_at(Run(Path(question.run_dir)), question.moment)))
        case Recognise():
            return _recognise(question)
        case Measure():
            return Measured(question, accuracy_under(Run(Path(question.run_dir)), question.condition))
        case _:
            raise Problem("{reason}", reason="a fake worker looks into no network")


def accuracy_under(run: Run, condition: Condition | None) -> float:
    """Return the accuracy of a run's network on the test images under a condition: the harder, the lower."""
    accuracy = run.summary().accuracy
    assert accuracy is not None
    if condition is None:
        return accuracy
    share = 0.5 if run.config().model == "RN_2" else 1.0
    return max(0.1, accuracy - share * _LOSS[condition.kind] * condition.strength)


def predictions_at(run: Run, moment: str) -> Predictions:
    """Return the predictions of a run's network at a snapshot: after batch n, each image of n + 2 is wrong."""
    trained = predictions.read(run)
    if not moment:
        return trained
    predicted = trained.label.copy()
    predicted[:: int(moment.split("-")[2]) + 2] += 1
    return trained._replace(predicted=predicted % 10)


def result_of(found: Predictions) -> Evaluated:
    """Return predictions as the result of a run."""
    confusion: Any = numpy.zeros((10, 10), int)
    numpy.add.at(confusion, (found.label, found.predicted), 1)
    correct, total = int(found.right.sum()), len(found.label)
    rows = tuple(map(tuple, confusion.tolist()))
    return Evaluated(correct=correct, total=total, accuracy=correct / total, test_loss=0.5, confusion=rows)


def _browse(question: Browse) -> Browsed:
    run = Run(Path(question.run_dir))
    first, shown = (predictions_at(run, moment) for moment in (question.chosen_at, question.moment))
    second = predictions.read(Run(Path(question.other_dir))) if question.other_dir else None
    chosen = _chosen(question, first, second)
    confidence = first.probability if question.which != "other_wrong" or second is None else second.probability
    chosen = chosen[numpy.argsort(-confidence[chosen], kind="stable")]
    digits = tuple(_digit(int(index), shown, second) for index in chosen[:_MAX_DIGITS])
    return Browsed(question, digits, len(chosen))


def _chosen(question: Browse, first: Predictions, second: Predictions | None) -> Any:
    if second is not None:
        masks = {
            "wrong": ~first.right & second.right,
            "other_wrong": first.right & ~second.right,
            "both_wrong": ~first.right & ~second.right,
        }
        return numpy.flatnonzero(masks[question.which])
    if question.label is None:
        return numpy.flatnonzero(~first.right)
    return numpy.flatnonzero((first.label == question.label) & (first.predicted == question.predicted))


def _digit(index: int, first: Predictions, second: Predictions | None) -> Digit:
    return Digit(
        index=index,
        label=int(first.label[index]),
        predicted=int(first.predicted[index]),
        probability=float(first.probability[index]),
        pixels=drawn(int(first.label[index])),
        other_predicted=int(second.predicted[index]) if second is not None else None,
        other_probability=float(second.probability[index]) if second is not None else None,
    )


def drawn(digit: int) -> bytes:
    """Return the picture of a digit: 784 pixels."""
    pixels = numpy.zeros((28, 28), numpy.uint8)
    for segment in _SEGMENTS[digit]:
        pixels[_STROKES[segment]] = 220
    return pixels.tobytes()


def _recognise(question: Recognise) -> Recognised:
    """Recognise anything much taller than wide as a 1, and everything else, files included, as a 7."""
    if question.path:
        found = _recognised(drawn(7), question)
        return msgspec.structs.replace(found, doubts=(Message("the digit touches the edge of the picture"),))
    return _recognised(question.pixels, question)


def _recognised(pixels: bytes, question: Recognise) -> Recognised:
    """Recognise these pixels."""
    rows, columns = numpy.nonzero(numpy.frombuffer(pixels, numpy.uint8).reshape(28, 28))
    if not len(rows):
        return Recognised(question, pixels, {})
    digit = 1 if numpy.ptp(rows) >= 2 * numpy.ptp(columns) else 7
    found = tuple(0.91 if each == digit else 0.01 for each in range(10))
    return Recognised(question, pixels, {Path(run_dir).name: found for run_dir in question.run_dirs})
