"""The predictions of a finished run for the test images, read defensively."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from core.files import open_regular
from core.messages import N_, Problem, reason
from core.runs.directory import Run

if TYPE_CHECKING:
    import numpy

    Array: TypeAlias = numpy.ndarray[Any, Any]


class Predictions(NamedTuple):
    """The predictions of a run, as arrays with one value per test image."""

    label: Array
    """True classes: int64, N."""
    predicted: Array
    """Predicted classes: int64, N."""
    probability: Array
    """Probabilities of the predicted classes: float32, N; 0 in place of NaN."""

    @property
    def right(self) -> Array:
        """Mask of the correct predictions: bool, N."""
        right: Array = self.label == self.predicted
        return right


def read(run: Run) -> Predictions:
    """Load the predictions of a finished run. Raises `Problem`."""
    import numpy

    try:
        with (
            open_regular(run.result_paths("predictions", ".npz")[0]) as file,
            numpy.load(file, allow_pickle=False) as arrays,
        ):
            label, predicted, probability = (numpy.asarray(arrays[name]) for name in Predictions._fields)
            found = Predictions(
                label.astype(numpy.int64),
                predicted.astype(numpy.int64),
                numpy.nan_to_num(probability.astype(numpy.float32)),
            )
    except FileNotFoundError as error:
        advice = N_("Only a finished run has them.")
        if run.state() == "done":
            advice = N_("Delete its folder, {path}, to have it trained again.")
        raise Problem("run {run} has no predictions", advice=advice, run=run.id, path=str(run.path)) from error
    except (OSError, ValueError, LookupError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        text = N_("the predictions of run {run} cannot be read: {reason}")
        raise Problem(text, run=run.id, reason=reason(error)) from error
    if any(values.ndim != 1 or len(values) != len(found.label) for values in found):
        raise Problem("the predictions of run {run} do not match its test images", run=run.id)
    return found
