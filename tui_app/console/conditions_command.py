"""`mnist-tui conditions`: trained networks on harder test images."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from core.data.conditions import Condition, Robustness
from core.runs.directory import Run
from core.worker.detach import StopSignals
from core.worker.protocol import MeasureAll, MeasuredAll
from tui_app import comparison_text, tables, terminal, wording
from tui_app.charts import accuracy_chart
from tui_app.charts.accuracy_chart import AccuracyCurve
from tui_app.console import json_output
from tui_app.console.asking import ask_with_status
from tui_app.console.status_line import StatusLine, Stopped
from tui_app.i18n import _, printable

_CURVE_SIZE = 60, 14
"""Size of a curve in columns and rows."""


def print_conditions(found: Sequence[Run], asked: Sequence[Condition], *, json: bool) -> int:
    """Test finished runs under conditions, print their accuracy, and return the exit code."""
    status = StatusLine(sys.stderr)
    signals = StopSignals()
    signals.install()
    try:
        tested = measure_under_conditions(found, asked, "auto", status, signals)
    except Stopped:
        return 128 + (signals.received or 2)
    if json:
        json_output.print_document(tested)
        return 0
    status.warn_of_sample([one.dataset for one in tested])
    several = len({one.dataset for one in tested}) > 1
    named = [(_run_name(one, with_data=several), [one]) for one in tested]
    print_accuracies(named)
    return 0


def measure_under_conditions(
    found: Sequence[Run], asked: Sequence[Condition], device: str, status: StatusLine, signals: StopSignals
) -> list[Robustness]:
    """Have a process that has torch test finished runs. Raises `Problem` or `Stopped`."""
    question = MeasureAll(tuple(str(run.path) for run in found), tuple(asked), device)
    answer = ask_with_status(question, status, signals)
    assert isinstance(answer, MeasuredAll)
    return list(answer.tested)


def _run_name(one: Robustness, *, with_data: bool) -> str:
    parts = [wording.network_name(one.config, folder=False)]
    parts += [_("pixels permuted")] if one.config.permute else []
    parts += [one.dataset] if with_data else []
    return f"{one.run} ({', '.join(parts)})"


def print_accuracies(named: Sequence[tuple[str, Sequence[Robustness]]]) -> None:
    """Print the accuracy by condition, as numbers and as a curve for each kind."""
    tables.print_table(comparison_text.as_table(comparison_text.robustness(named)))
    plain = not terminal.takes_utf8(terminal.output())
    for kind in comparison_text.kinds_of([run for _name, found in named for run in found]):
        drawn = []
        for position, (name, found) in enumerate(named):
            points = comparison_text.curve_points(
                ((one.condition, one.accuracy) for run in found for one in run.tested), kind
            )
            colour = accuracy_chart.COLOURS[position % len(accuracy_chart.COLOURS)]
            drawn.append(AccuracyCurve(printable(name), accuracy_chart.marker(position, plain=plain), colour, points))
        strengths = [strength for strength, _accuracy in drawn[0].points]
        curve = accuracy_chart.draw(drawn, strengths, *_CURVE_SIZE, plain=plain)
        title = f"{comparison_text.condition_kind(kind)} ({comparison_text.strength_unit(kind)})"
        tables.print_texts(["", title, accuracy_chart.legend(drawn), curve])
