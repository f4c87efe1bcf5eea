"""What stands beside a line of the exam's program: the value that it made, in a word."""

from __future__ import annotations

import math
from typing import NamedTuple

from core.exam.program import line_of
from core.exam.steps import BatchSeen, GradientSeen, LossSeen, Made, NamedValue, ProgramStop, StepSeen
from core.runs.record import LIVE, Record, State
from tui_app.i18n import _, number, percent
from tui_app.program.figures import figure, shape_text, size_text


class Beside(NamedTuple):
    """A text beside a line."""

    text: str
    is_old: bool = False
    """True if an earlier batch or epoch made it."""


# Of a program that is executed step by step


def of_stop(stop: ProgramStop) -> dict[int, Beside]:
    """Return what each line has made, where the program has stopped."""
    found = {}
    for made in stop.made:
        if text := _in_a_word(made):
            now = (stop.epoch, stop.batch) if made.batch else (stop.epoch, 0)
            found[made.line] = Beside(text, is_old=bool(made.epoch) and (made.epoch, made.batch) != now)
    return found


def _in_a_word(made: Made) -> str:
    match made.seen:
        case BatchSeen():
            shape = shape_text(made.names[0].shape or ())
            return _("batch {batch}: {shape}").format(batch=number(made.batch), shape=shape)
        case LossSeen(mean=mean):
            return figure(mean)
        case GradientSeen(norm=norm):
            return _("no gradients") if norm is None else _("gradient {norm}").format(norm=figure(norm))
        case StepSeen(norm=norm):
            return _("change {norm}").format(norm=figure(norm))
    if len(made.names) > 1:  # the images and labels that were moved: what is new is only where they are
        return made.names[0].device
    if made.names:
        return _value_in_a_word(made.names[0])
    return made.printed


def _value_in_a_word(value: NamedValue) -> str:
    if value.shape is not None:
        return shape_text(value.shape)
    if value.values:
        return figure(value.values[0], 6)
    return size_text(value) if value.size is not None else value.text


# Of a run


def stage_of_run(record: Record, state: State) -> int:
    """Return the stage of the program that a run is in, or that it ended in; 0 if it has not begun."""
    if record.started is None:
        return 1 if state in LIVE else 0
    is_trained = record.evaluated is not None or 0 < record.total_steps <= record.done_steps
    return 3 if is_trained else 2


def of_run(source: str, record: Record) -> dict[int, Beside]:
    """Return the values that a run's events carry, beside the lines of the program that would make them."""
    if record.started is None:
        return {}
    (epoch, step), steps = record.position, record.started.steps_per_epoch
    found = {
        "for epoch": _("epoch {epoch}/{epochs}").format(epoch=number(epoch), epochs=number(record.config.epochs)),
        "for images": _("batch {batch}/{batches}").format(batch=number(step), batches=number(steps)),
        **_losses(record),
    }
    besides = {line_of(source, start): Beside(text) for start, text in found.items()}
    if (result := record.evaluated) is not None:
        besides[line_of(source, "total +=", 3)] = Beside(number(result.total))
        besides[line_of(source, "correct +=", 3)] = Beside(number(result.correct))
        besides[line_of(source, "print(", 3)] = Beside(percent(result.accuracy))
    return besides


def _losses(record: Record) -> dict[str, str]:
    found = {}
    progress = record.newest_progress
    if progress is not None and progress.losses:
        found["loss ="] = _figure(progress.losses[-1])
        mean = progress.loss
        found["running_loss +="] = _figure(None if mean is None else mean * progress.step)
    if record.epochs:
        last = record.epochs[-1]
        text = _("{loss} (epoch {epoch})")
        found["print("] = text.format(loss=number(last.loss, 4), epoch=number(last.epoch))
    return found


def _figure(value: float | None) -> str:
    return figure(math.nan if value is None else value)
