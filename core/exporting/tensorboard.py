"""A run as an event file of TensorBoard's. Needs the package `tensorboard`, but neither torch nor tensorflow."""

from __future__ import annotations

import io
import math
import os
import warnings
from pathlib import Path

import msgspec
from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from core import files
from core.config import RECORDING, RunConfig
from core.exporting.timeline import Timeline
from core.runs.events import EpochEnded, Evaluated, Event, Progress, RunStarted, SettingsChanged, Validated
from core.runs.record import State

NAMES = ("events.out.tfevents.mnist-tui",)

_HPARAMS = tuple(name for name in RunConfig.__struct_fields__ if name not in RECORDING | {"data_dir"})
_ENDS: dict[str, int] = {"done": api_pb2.STATUS_SUCCESS, "diverged": api_pb2.STATUS_FAILURE}
"""Status for a state at a run's end; any other says that it was broken off."""
_MOST_NUMBERED = 20
"""Number of classes up to which the cells of the confusion matrix have room for their numbers."""


class TensorBoardWriter:
    """A writer of a run with the settings `config` into a folder that has no file of `NAMES`. Raises `OSError`.

    Steps are completed batches. `axes` are the names of the confusion matrix's axes: the labels', the predictions'.
    """

    def __init__(self, folder: Path, run_id: str, config: RunConfig, axes: tuple[str, str]) -> None:
        self._run_id = run_id
        self._config = config
        self._axes = axes
        self._timeline = Timeline()
        self._file = RecordWriter(os.fdopen(files.create(folder / NAMES[0]), "wb"))
        self._is_new = True

    def add(self, event: Event) -> None:
        timeline = self._timeline
        timeline.apply(event)
        match event:
            case RunStarted():
                self._start(event)
            case Progress():
                for batch in timeline.batches(event):
                    self._scalars(batch.time, batch.step, loss_batch=batch.loss)
                self._scalars(event.time, timeline.step(event.epoch, event.step), loss_running=event.loss)
            case EpochEnded():
                self._scalars(event.time, timeline.step(event.epoch), loss_epoch=event.loss)
            case Validated():
                step = timeline.step(event.epoch)
                self._scalars(event.time, step, loss_validation=event.loss, accuracy_validation=event.accuracy)
            case SettingsChanged(lr=float(lr)):
                self._scalars(event.time, timeline.step(event.epoch, event.step), settings_lr=lr)
            case Evaluated():
                self._show_result(event)

    def flush(self) -> None:
        self._file.flush()

    def close(self, state: State) -> None:
        ended = self._timeline.record.ended
        if ended is not None and not self._is_new:
            status = _ENDS.get(state, api_pb2.STATUS_UNKNOWN)
            self._write(event_pb2.Event(wall_time=ended.time, summary=_session_end(status, ended.time)))
        self._file.close()

    def _start(self, event: RunStarted) -> None:
        step = self._timeline.step(event.epoch, event.step)
        if self._is_new:
            self._is_new = False
            self._write(event_pb2.Event(wall_time=event.time, file_version="brain.Event:2"))
            settings = {name: value for name, value in msgspec.structs.asdict(self._config).items() if name in _HPARAMS}
            summary = hparams_pb(settings, trial_id=self._run_id, start_time_secs=event.time)
            self._write(event_pb2.Event(wall_time=event.time, summary=summary))
        elif step is not None:  # everything after the checkpoint is purged: the run repeats it
            log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
            self._write(event_pb2.Event(wall_time=event.time, step=step + 1, session_log=log))
        self._scalars(event.time, step, settings_lr=self._timeline.record.config.lr)

    def _scalars(self, time: float, step: int | None, **values: float | None) -> None:
        """Write values by their tags, such as `loss_batch` for `loss/batch`; None is shown as not a number."""
        if step is None or self._is_new:
            return
        found = [
            summary_pb2.Summary.Value(tag=name.replace("_", "/", 1), simple_value=math.nan if value is None else value)
            for name, value in values.items()
        ]
        self._write(event_pb2.Event(wall_time=time, step=step, summary=summary_pb2.Summary(value=found)))

    def _show_result(self, event: Evaluated) -> None:
        record = self._timeline.record
        step = self._timeline.step(*record.position) if record.started is not None else None
        if step is None or record.started is None:
            return
        self._scalars(event.time, step, accuracy_test=event.accuracy, loss_test=event.test_loss)
        if any(event.confusion):
            image = _picture(event.confusion, record.started.class_names, self._axes)
            value = summary_pb2.Summary.Value(tag="confusion", image=image)
            self._write(event_pb2.Event(wall_time=event.time, step=step, summary=summary_pb2.Summary(value=[value])))

    def _write(self, event: event_pb2.Event) -> None:
        self._file.write(event.SerializeToString())


def _session_end(status: int, time: float) -> summary_pb2.Summary:
    """Return the end of a run for the table of hyperparameters; tensorboard's own function needs tensorflow."""
    info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time)
    about = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
    value = summary_pb2.Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
    return summary_pb2.Summary(value=[value])


def _picture(
    confusion: tuple[tuple[int, ...], ...], names: tuple[str, ...], axes: tuple[str, str]
) -> summary_pb2.Summary.Image:
    """Draw a confusion matrix: each cell by its share of its label's images."""
    from matplotlib.figure import Figure

    n_columns = max(map(len, confusion))
    counts = [[*row, *[0] * (n_columns - len(row))] for row in confusion]
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    figure = Figure(figsize=(6, 6), dpi=100, layout="constrained")
    plot = figure.add_subplot(ylabel=axes[0], xlabel=axes[1])
    plot.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for set_ticks, count in ((plot.set_xticks, n_columns), (plot.set_yticks, len(counts))):
        labels = [name[:20] for name in names[:count]]
        set_ticks(range(len(labels)), labels, parse_math=False)
    if max(len(counts), n_columns) <= _MOST_NUMBERED:
        for y, row in enumerate(counts):
            for x, count in enumerate(row):
                plot.text(x, y, str(count), ha="center", va="center", color="white" if shares[y][x] > 0.5 else "black")
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about letters that matplotlib's fonts lack
        figure.savefig(drawn, format="png")
    width, height = figure.canvas.get_width_height()
    return summary_pb2.Summary.Image(height=height, width=width, colorspace=4, encoded_image_string=drawn.getvalue())
