"""What can be read off the loss chart and asked of it: cursor, zoom, smoothing, accuracies, bands, names and marks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown, MouseScrollUp
from textual.pilot import Pilot

from core.comparing.intervals import student_estimate
from core.runs.history import LossHistory
from tests.tui_app.test_loss_chart import Charted, band_color, braille, finished, history_of, lines, painted, x_axis
from tui_app.charts.curves import Reading
from tui_app.charts.overfitting import turning_point
from tui_app.charts.scale import METRICS
from tui_app.charts.series import Series
from tui_app.dashboard.widgets.chart_panel import ChartPanel

SIZE = (107, 14)
"""Size of a chart whose canvas has 100 columns, from the seventh on."""


@pytest.fixture
async def charted() -> Any:
    app = Charted()
    async with app.run_test(size=SIZE) as pilot:
        yield app, pilot


def straight(steps: int = 300, first: float = 2.0, last: float = 0.5) -> list[float]:
    return [first + (last - first) * step / steps for step in range(steps)]


def validated(losses: Sequence[float], accuracies: Sequence[float] = (), training: Sequence[float] = ()) -> LossHistory:
    """Return a run with epochs of 100 steps whose validation losses are given, and which goes on learning."""
    history = history_of(straight(100 * len(losses), 2.0, 0.1))
    for epoch, loss in enumerate(losses):
        history.add_epoch(100 * epoch + 99, training[epoch] if training else 2.0 / (epoch + 1))
        history.add_validation(100 * epoch + 99, loss, accuracies[epoch] if accuracies else 0.9)
    return history


def value_said(app: Charted, name: str) -> float:
    """Return the value that the legend gives a line at the cursor."""
    return float(lines(app.chart)[0].split(f"{name} ")[1].split()[0])


def step_said(app: Charted) -> int:
    return int(lines(app.chart)[0].split("step ")[1].split()[0])


def rows_of(app: Charted, color: str) -> set[int]:
    return {y for _x, y in painted(app.chart, color)}


# The cursor


async def test_values_are_read_off_with_the_keyboard(charted: tuple[Charted, Pilot[None]]) -> None:
    app, pilot = charted
    other = finished(history_of([1.25] * 150), key="b", color="#00ff00")
    app.chart.show([finished(history_of(straight())), other], planned_epochs=3)
    app.chart.focus()
    await pilot.press("left")
    legend = lines(app.chart)[0]
    assert legend.startswith(" epoch 2.9")
    assert "step 299  " in legend
    assert "━━ run a 0.5050" in legend
    assert "━━ run b –" in legend  # it has not come so far
    assert sum(line[106] == "│" for line in lines(app.chart)[1:-2]) > 5
    await pilot.press(*["shift+left"] * 6, "left")
    legend = lines(app.chart)[0]
    assert "epoch 1.1" in legend
    assert "━━ run b 1.2500" in legend
    assert value_said(app, "run a") == pytest.approx(2.0 - 1.5 * step_said(app) / 300, abs=5e-5)
    await pilot.press("escape")
    assert "│" not in "".join(line[7:] for line in lines(app.chart))
    assert "epoch" not in lines(app.chart)[0]


async def test_a_value_is_that_of_the_step_however_close_the_view(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    first, second = LossHistory(), history_of([2.0] * 3000)
    first.extend(0, [float(step % 7) for step in range(3000)])
    for step in range(0, 3000, 10):  # as a worker tells it
        first.add_running(step, 1.0 + step / 1000)
    group = finished(first, second, key="g", color="#00ff00")
    app.chart.show([finished(first), group], planned_epochs=30)
    app.chart.cursor = 12.345
    for smoothing in (0.0, 0.9):
        app.chart.reading = replace(app.chart.reading, smoothing=smoothing)
        smooth = first.batches.smoothed(0.9).around(1235)[0]
        assert smooth is not None
        expected = smooth[1] if smoothing else 2.23
        for _zoom in range(4):
            assert lines(app.chart)[0].startswith(" epoch 12.34, step 1234 ")
            assert value_said(app, "run a") == pytest.approx(expected, abs=5e-5)
            assert value_said(app, "run g") == pytest.approx((expected + 2.0) / 2, abs=1e-4)
            app.chart.zoom(5)
        app.chart.window = None
    app.chart.show([Series("new", "new", "red", (LossHistory(),), 1)])
    app.chart.cursor = 0.3
    assert "epoch 0.3" not in lines(app.chart)[0]  # nothing to read off yet


async def test_values_are_read_off_with_the_mouse(charted: tuple[Charted, Pilot[None]]) -> None:
    app, pilot = charted
    app.chart.show([finished(history_of(straight()))], planned_epochs=3)
    await pilot.hover(app.chart, offset=(57, 5))
    assert "epoch 1.5" in lines(app.chart)[0]
    assert {line[57] for line in lines(app.chart)[1:-2]} - {"│"} <= set(map(chr, range(0x2801, 0x2900)))
    await pilot.hover(app.chart, offset=(2, 5))
    assert "epoch" not in lines(app.chart)[0]
    await pilot.click(app.chart, offset=(37, 5))
    await pilot.hover(app.chart, offset=(77, 5))
    assert "epoch 2.1" in lines(app.chart)[0]
    app.chart.on_leave()
    assert "epoch 0.9" in lines(app.chart)[0]  # where it was clicked


# The view


async def test_the_view_stays_where_it_was_put_while_the_run_goes_on(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    history = history_of(straight(400, 2.0, 1.0))
    app.chart.show([replace(finished(history), live=True)], planned_epochs=10)
    whole = x_axis(app.chart)
    app.chart.zoom(20, about=0.0)
    assert [x_axis(app.chart)[0], x_axis(app.chart)[-1]] == ["Epoch 0", "0.50"]
    app.chart.pan(4.0)
    assert [x_axis(app.chart)[0], x_axis(app.chart)[-1]] == ["Epoch 2.00", "2.50"]
    before = lines(app.chart)
    assert max(float(line[:6]) for line in before[1:-2] if line[:6].strip()) < 2.0  # the y axis follows what is shown
    assert len(painted(app.chart, "#ff0000")) >= 99
    history.extend(400, [0.9] * 100)
    history.add_running(499, 0.9)
    app.chart.refresh_data()
    assert lines(app.chart) == before
    app.chart.show_whole()
    assert x_axis(app.chart) == whole


async def test_the_wheel_zooms_where_the_mouse_is(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    app.chart.show([finished(history_of(straight()))], planned_epochs=3)

    def turned(kind: Any, *, shift: bool = False) -> Any:
        return kind(app.chart, 57, 5, 0, -1, 0, shift, False, False)

    for _turn in range(4):
        app.chart.on_mouse_scroll_up(turned(MouseScrollUp))
    assert app.chart.window is not None
    assert app.chart.scales.zoom == pytest.approx(1.25**4)
    left, right = app.chart.window
    assert (left + right) / 2 == pytest.approx(1.5, abs=0.02)
    app.chart.on_mouse_scroll_up(turned(MouseScrollUp, shift=True))
    assert app.chart.window.left == pytest.approx(left - 0.25 * (right - left))
    for _turn in range(5):
        app.chart.on_mouse_scroll_down(turned(MouseScrollDown))
    assert app.chart.window is None


async def test_a_view_between_two_points_is_not_empty(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    few = LossHistory()
    for epoch in range(3):
        few.add_epoch(100 * epoch + 99, 0.7)
        few.add_validation(100 * epoch + 99, 0.8, 0.9)
    noisy = LossHistory()
    noisy.extend(0, [1.0, 3.0] * 150)
    for step in range(300):
        noisy.add_running(step, 2.0)
    app.chart.show([finished(noisy), finished(few, key="b", color="#00ff00", validates=True)], planned_epochs=3)
    app.chart.zoom(20, about=1.5)
    assert len(painted(app.chart, "#00ff00")) >= 95  # the line between two validations
    assert len(painted(app.chart, "#ff0000")) >= 95
    assert braille(app.chart) >= 3 * 95  # each batch for as long as it took


async def test_a_view_of_nothing_says_so_and_ends_at_two_batches(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    live = replace(finished(validated([0.5] * 2, [0.91, 0.92]), validates=True), live=True)
    app.chart.show([live], planned_epochs=10)
    for metric in METRICS:
        app.chart.reading = replace(app.chart.reading, metric=metric)
        app.chart.zoom(8, about=9.0)
        text = "\n".join(lines(app.chart))
        assert "0 shows the whole" in text
        assert "nothing yet" not in text
        app.chart.show_whole()
        assert "0 shows the whole" not in "\n".join(lines(app.chart))
    app.chart.reading = Reading()
    app.chart.zoom(1e9, about=1.005)
    assert app.chart.window is not None
    assert app.chart.window.width == pytest.approx(0.02)
    assert len(painted(app.chart, "#ff0000")) >= 95
    app.chart.reading = Reading(metric="accuracy")
    groups = [validated([0.5] * 3, [0.91, 0.92, last]) for last in (0.93, 0.97)]
    app.chart.show([finished(*groups, validates=True)], planned_epochs=3)
    app.chart.zoom(20, about=2.5)
    assert len(painted(app.chart, "#ff0000")) >= 95  # between the means of two epochs


async def test_the_view_stays_with_the_run_and_within_the_axis(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    run, long = history_of(straight()), finished(history_of(straight(1000)), key="long", color="#00ff00")
    app.chart.show([finished(run), long], planned_epochs=3)
    app.chart.zoom(5, about=9.0)
    app.chart.show([finished(run)], planned_epochs=3)  # whose axis is shorter
    assert [x_axis(app.chart)[0], x_axis(app.chart)[-1]] == ["Epoch 1.0", "3.0"]
    app.chart.show([finished(run, history_of(straight()), key="group")], planned_epochs=3)
    assert app.chart.window is not None  # the run has become one of several seeds
    app.chart.x_unit = "macs"
    app.chart.show([finished(run, key="group", macs_per_epoch=1e9)], planned_epochs=3)
    app.chart.x_unit = "epochs"
    app.chart.zoom(2, about=3.0)
    before = x_axis(app.chart)
    app.chart.x_unit = "macs"
    assert app.chart.window == pytest.approx((1.5e9, 3e9))
    app.chart.x_unit = "epochs"
    assert x_axis(app.chart) == before
    app.chart.show([finished(history_of(straight()), key="other")], planned_epochs=3)
    assert app.chart.window is None


async def test_smoothing_is_of_the_batches_and_says_so(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    history = LossHistory()
    history.extend(0, [1.0, 3.0] * 150)
    history.add_running(299, 3.0)
    app.chart.show([finished(history)], planned_epochs=3)
    app.chart.reading = replace(app.chart.reading, smoothing=0.99)
    assert "smoothed batch losses" in lines(app.chart)[0]
    tick = next(y for y, line in enumerate(lines(app.chart)) if line.strip().startswith("2┤"))
    late = {y for x, y in painted(app.chart, "#ff0000") if x > 30}
    assert late <= {tick - 1, tick, tick + 1}  # of the values between 1 and 3, nothing is left but their mean
    assert "⣿" in "".join(lines(app.chart)[1:-2])


# Several lines


async def test_names_stand_at_the_ends_of_lines_and_cover_none(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    long = "third+lr=0.01" + " and so on" * 10
    shown = [
        finished(history_of([1.0] * 300), key="first", color="#ff0000"),
        finished(history_of([2.0] * 200), key="second", color="#00ff00"),
        finished(history_of([0.95] * 300), key=long, color="#0000ff"),
    ]
    app.chart.show([replace(series, name=series.key) for series in shown], planned_epochs=3)
    text = lines(app.chart)
    (row,) = rows_of(app, "#00ff00")
    assert text[row].split("┊")[-2].split()[-1] == "second"
    beside = next(line for line in text[1:] if "first" in line)
    assert beside.rstrip().endswith("first")
    assert abs(text.index(beside) - min(rows_of(app, "#ff0000"))) <= 2
    assert any("third" in line and "lr" not in line for line in text[1:])  # without its settings it has room
    cells = {color: len(painted(app.chart, color)) for color in ("#ff0000", "#00ff00", "#0000ff")}
    app.chart.show([replace(series, name="") for series in shown], planned_epochs=3)
    assert cells == {color: len(painted(app.chart, color)) for color in cells}


async def test_the_band_of_seeds_is_their_range_or_the_interval_of_their_mean(
    charted: tuple[Charted, Pilot[None]],
) -> None:
    app, pilot = charted
    values = (2.0, 2.1, 2.2, 2.3, 3.9)
    group = finished(*(history_of([loss] * 300) for loss in values), key="g")
    app.chart.show([group], planned_epochs=3)
    await pilot.resize_terminal(107, 60)
    await pilot.pause()
    assert "min–max" in lines(app.chart)[0]

    def band() -> tuple[float, float]:
        """Return the losses at the ends of the band, to a row of dots."""
        ticks = {float(line[:6]): y for y, line in enumerate(lines(app.chart)) if "." in line[:6]}
        low, high = min(ticks), max(ticks)
        per_row = (high - low) / (ticks[low] - ticks[high])
        rows = rows_of(app, band_color(app.chart))
        return low + (ticks[low] - max(rows)) * per_row, low + (ticks[low] - min(rows)) * per_row

    assert band() == pytest.approx((2.0, 3.9), abs=0.06)
    app.chart.reading = replace(app.chart.reading, band="interval")
    assert "95% interval of the mean" in lines(app.chart)[0]
    expected = student_estimate(values)
    assert band() == pytest.approx((expected.low, expected.high), abs=0.06)


# Accuracies


async def test_accuracies_are_drawn_by_epoch_and_a_test_at_the_end(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    app.chart.reading = replace(app.chart.reading, metric="accuracy")
    history = validated([0.5] * 3, [0.91, 0.92, 0.93])
    app.chart.show([finished(history, validates=True)], planned_epochs=3)
    text = lines(app.chart)
    assert text[0].startswith("Accuracy, %")
    assert "validation accuracy" in text[0]
    assert "loss" not in text[0]
    assert sum(line.count("●") for line in text) == 3
    ticks = [float(line[:6]) for line in text[1:-2] if line[:6].strip()]
    assert max(ticks) <= 94
    assert min(ticks) >= 90
    tested = finished(history_of(straight()), key="b", color="#00ff00", tested=((299, 0.925),))
    app.chart.show([finished(history, validates=True), tested], planned_epochs=3)
    (row,) = [y for y, line in enumerate(lines(app.chart)) if "■" in line and y]
    assert lines(app.chart)[row].index("■") >= 105
    assert "■ test accuracy" in lines(app.chart)[0]
    app.chart.cursor = 2.5
    assert "run a 92.00" in lines(app.chart)[0]
    assert "run b –" in lines(app.chart)[0]
    kept = finished(validated([0.5] * 3, [0.91, 0.92, 0.93]), key="kept", validates=True, tested=((199, 0.81),))
    app.chart.show([kept, tested], planned_epochs=3)
    app.chart.cursor = 2.5
    assert value_said(app, "run kept") == 92.0  # of validation, though a test came later
    app.chart.cursor = None
    app.chart.action_move_cursor(0)
    assert step_said(app) == 299
    assert value_said(app, "run kept") == 93.0
    assert value_said(app, "run b") == 92.5
    app.chart.show([finished(history_of(straight()))], planned_epochs=3)
    assert "No accuracy yet" in "\n".join(lines(app.chart))
    assert "validation" not in lines(app.chart)[0]


async def test_a_message_longer_than_the_chart_is_wrapped_on_blank_ground() -> None:
    app = Charted()
    app.chart.placeholder = " ".join(f"word{number}" for number in range(20))
    async with app.run_test(size=(60, 12)):
        app.chart.show([], planned_epochs=5)
        found = [line for line in lines(app.chart) if "word" in line]
        assert " ".join(word for line in found for word in line.split() if "word" in word) == app.chart.placeholder
        assert len(found) == 3
        (left,) = {line.index("word") for line in found[:2]}
        for line in found:  # no grid beside the words
            assert re.fullmatch("[ word0-9]+", line[left - 1 : line.rindex("word") + 7])
        assert all(cell_len(line) == 60 for line in lines(app.chart))


# Overfitting


@pytest.mark.parametrize(
    ("losses", "training", "epoch"),
    [
        ([1.0, 0.5, 0.4, 0.5, 0.6], (), 2),
        ([1.0, 0.5, 0.4, 0.5, 0.41, 0.5, 0.6], (), 2),  # what came between does not matter
        ([1.0, 0.5, 0.4, 0.5], (), None),  # one epoch may be noise
        ([1.0, 0.5, 0.4, 0.5, 0.39], (), None),
        ([1.0, 0.5, 0.4, 0.5, 0.6, 0.39], (), None),  # a new lowest takes it back
        ([1.0, 0.5, 0.4, 0.401, 0.402, 0.403, 0.402], (), None),  # level
        ([1.0, 0.5, 0.4, 0.5, 0.6], [1.0, 0.9, 0.5, 0.6, 0.7], None),  # it unlearns altogether
        ([0.4, 0.5, 0.6], (), 0),
        ([], (), None),
        ([0.0, 0.1, 0.2], (), None),
    ],
)
def test_overfitting_begins_where_validation_turns_up_for_good(
    losses: list[float], training: Sequence[float], epoch: int | None
) -> None:
    turn = turning_point(finished(validated(losses, training=training), validates=True))
    assert (turn and turn[0] // 100) == epoch


async def test_overfitting_is_marked_and_named(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    history = validated([1.0, 0.5])
    app.chart.show([finished(history, validates=True)], planned_epochs=5)
    assert "overfitting" not in "\n".join(lines(app.chart))
    for epoch, loss in enumerate([0.4, 0.5, 0.6], start=2):
        history.extend(100 * epoch, [0.3] * 100)
        history.add_running(100 * epoch + 99, 0.3)
        history.add_epoch(100 * epoch + 99, 0.3 / epoch)
        history.add_validation(100 * epoch + 99, loss, 0.9)
    app.chart.refresh_data()
    text = lines(app.chart)
    assert "▲ overfitting begins" in text[0]
    (row,) = [y for y, line in enumerate(text) if y and "▲" in line]
    assert text[row].index("▲") == pytest.approx(7 + 60, abs=1)
    assert any("overfitting begins" in line for line in text[2:])


# The scale by itself


def slow_and_quick() -> Iterator[Series]:
    for key, least in (("slow", 0.3), ("quick", 0.04)):
        losses = [least + 2.0 * math.exp(-step / 20) for step in range(500)]
        yield finished(history_of(losses), key=key, color="#ff0000" if key == "slow" else "#00ff00")


async def test_the_scale_is_logarithmic_where_a_linear_one_hides_a_run(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    app.chart.show([finished(history_of(straight()))], planned_epochs=3)
    assert not app.chart.scales.is_log
    app.chart.show(list(slow_and_quick()), planned_epochs=5)
    assert app.chart.scales.is_log
    app.chart.log_scale = False
    assert not app.chart.scales.is_log
    app.chart.log_scale = None
    close = [finished(history_of([value] * 300), key=str(value)) for value in (2.32, 2.35)]
    high = finished(history_of([4.5] * 300), key="high")
    app.chart.show([*close, high], planned_epochs=3)  # linearly on one another, logarithmically too
    assert not app.chart.scales.is_log
    negative = finished(history_of([-1.0, *[0.01] * 299]), key="negative")
    app.chart.show([negative, *close], planned_epochs=3)
    assert not app.chart.scales.is_log
    app.chart.show(list(slow_and_quick())[1:], planned_epochs=5)  # alone it hides nothing
    assert not app.chart.scales.is_log
    levels = [*(0.1 + number / 20 for number in range(11)), 0.0, 1e30]
    app.chart.show([finished(history_of([loss] * 300), key=str(loss)) for loss in levels], planned_epochs=3)
    assert app.chart.scales.is_log


async def test_the_scale_is_chosen_for_the_whole_axis_not_for_the_view(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    app.chart.show(list(slow_and_quick()), planned_epochs=5)
    app.chart.zoom(20, about=0.0)  # where the lines are on one another
    for _step in range(3):
        assert app.chart.scales.is_log
        app.chart.pan(1.0)
    alike = [history_of([2.0] * 400 + [last] * 100) for last in (0.1, 2.1)]
    app.chart.show([finished(each, key=str(number)) for number, each in enumerate(alike)], planned_epochs=5)
    app.chart.zoom(20, about=4.5)  # where they are far apart
    for history in alike:
        history.add_epoch(499, 2.0)
    app.chart.refresh_data()
    assert not app.chart.scales.is_log


async def test_the_scale_does_not_flip_while_a_run_goes_on(charted: tuple[Charted, Pilot[None]]) -> None:
    app, _pilot = charted
    history = LossHistory()
    level_one = finished(history_of([2.5] * 1000), key="b")
    app.chart.show([replace(finished(history), live=True), level_one], planned_epochs=10)
    found = []
    for epoch, level in enumerate([2.0, *[0.05] * 5, *[1.9] * 4]):  # first hidden for most of its length, then not
        for first in range(100 * epoch, 100 * epoch + 100, 20):
            history.extend(first, [level] * 20)
            history.add_running(first + 19, level)
            app.chart.refresh_data()
            found.append(app.chart.scales.is_log)
        history.add_epoch(100 * epoch + 99, level)
    assert found == sorted(found)
    assert found[-1]
    history.truncate(0)
    history.extend(0, [2.0] * 50)
    history.add_running(49, 2.0)
    app.chart.refresh_data()
    assert app.chart.scales.is_log == found[-1]


# The panel


async def test_a_change_of_the_view_that_does_nothing_says_why() -> None:
    panel = ChartPanel()

    class Panelled(App[None]):
        def compose(self) -> ComposeResult:
            yield panel

    changes = ("zoom", "pan", "show_whole", "next_band", "next_smoothing", "next_metric")
    async with Panelled().run_test(size=(110, 18)):
        assert all("is empty" in panel.why_not(change) for change in changes)
        run = finished(history_of(straight()))
        panel.show((run,), 3)
        assert "whole chart" in panel.why_not("pan")
        assert "whole chart" in panel.why_not("show_whole")
        assert "seeds" in panel.why_not("next_band")
        assert not any(map(panel.why_not, ("zoom", "next_smoothing", "next_metric", "next_x_unit", "toggle_log_scale")))
        assert str(panel.border_title) == "Running loss of run a"
        panel.next_smoothing()
        assert str(panel.border_title) == "Smoothed batch losses of run a"
        panel.zoom(1)
        assert not panel.why_not("pan")
        assert not panel.why_not("show_whole")
        panel.next_metric()
        assert "not smoothed" in panel.why_not("next_smoothing")
        assert "linear scale only" in panel.why_not("toggle_log_scale")
        panel.show((finished(*run.histories, history_of(straight()), key="g"),), 3)
        assert not panel.why_not("next_band")
        assert str(panel.border_title) == "Accuracy after each epoch"
