"""The loss chart in an application of its own."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.geometry import Region

from core.runs.history import LossHistory
from tui_app.charts.axes import UNITS, Unit, XWindow, x_ticks
from tui_app.charts.curves import BANDS, Reading
from tui_app.charts.scale import METRICS
from tui_app.charts.series import Series
from tui_app.dashboard.widgets.chart_panel import chart_words
from tui_app.dashboard.widgets.loss_chart import LossChart

EXTREMES = [1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.0, 1.0, 1e-300, math.nan, math.inf, -math.inf]
LOSSES = st.lists(st.one_of(st.sampled_from(EXTREMES), st.floats(), st.none()), max_size=30)


class Charted(App[None]):
    def __init__(self, *, plain: bool = False, **words: Any) -> None:
        super().__init__()
        self.words = replace(chart_words(), **words)
        self.chart = LossChart(self.words, placeholder="nothing yet", plain=plain)

    def compose(self) -> ComposeResult:
        yield self.chart


def history_of(losses: Iterable[float | None]) -> LossHistory:
    history = LossHistory()
    values = list(losses)
    history.extend(0, values)
    for step, value in enumerate(values):
        history.add_running(step, value)
    return history


def falling(steps: int) -> list[float]:
    return [2.3 * math.exp(-step / 100) + 0.1 * (step % 3) for step in range(steps)]


def series(history: LossHistory, key: str = "a", color: str = "$accent", steps: int = 100) -> Series:
    return Series(key, f"run {key}", color, (history,), steps, live=True)


def finished(*histories: LossHistory, key: str = "a", color: str = "#ff0000", **settings: Any) -> Series:
    """Return a run, or a group of runs, with epochs of 100 steps."""
    return Series(key, f"run {key}", color, histories, 100, **settings)


def paced(history: LossHistory, seconds: float) -> LossHistory:
    """Let the history end after so many seconds, and return it."""
    history.add_seconds(history.end, seconds)
    return history


def x_axis(chart: LossChart) -> list[str]:
    """Return the label of the x axis and its tick labels."""
    return re.split(r"\s{2,}", lines(chart)[-1].strip())


def painted(chart: LossChart, color: str) -> list[tuple[int, int]]:
    """Return the column and row of every canvas cell with dots or marks in a colour."""
    found = []
    for y in range(1, chart.size.height - 2):
        x = 0
        for segment in chart.render_line(y):
            style = segment.style
            if style and style.color and style.color.triplet and style.color.triplet.hex == color:
                found += [(x + i, y) for i, c in enumerate(segment.text) if "\u2800" < c <= "\u28ff" or c in "◆●"]
            x += len(segment.text)
    return found


def lines(chart: LossChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def braille(chart: LossChart) -> int:
    """Count the braille cells of the canvas, leaving out the legend."""
    return sum("\u2800" < c <= "\u28ff" for line in lines(chart)[1:] for c in line)


def band_color(chart: LossChart) -> str:
    """Return the colour of the only band."""
    segments = [segment for y in range(1, chart.size.height) for segment in chart.render_line(y)]
    (color,) = {s.style.color for s in segments if "⣿" in s.text and s.style}
    assert color is not None
    assert color.triplet is not None
    return color.triplet.hex


async def test_an_empty_chart_has_its_axes_and_says_that_it_is_empty() -> None:
    app = Charted(
        x_labels={"epochs": "Époque", "seconds": "Temps", "macs": "MAC"},
        y_labels={"loss": "Perte", "accuracy": "Exactitude"},
    )
    async with app.run_test(size=(84, 11)):
        app.chart.show([], planned_epochs=5)
        text = "\n".join(lines(app.chart))
        assert "nothing yet" in text
        assert "Époque 0" in text
        assert "Perte" in text
        assert braille(app.chart) == 0


async def test_losses_are_drawn_and_named_as_they_come() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        history = LossHistory()
        app.chart.show([series(history)], planned_epochs=5)
        history.extend(0, falling(40))
        history.add_running(39, 1.9)
        app.chart.refresh_data()
        few = braille(app.chart)
        assert few > 0
        history.extend(40, falling(300)[40:])
        app.chart.refresh_data()
        assert braille(app.chart) > few
        text = "\n".join(lines(app.chart))
        assert "nothing yet" not in text
        assert "running loss" in text
        assert "batch losses" in text


async def test_epochs_are_marked() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        history = history_of(falling(200))
        history.add_epoch(99, 0.9)
        history.add_epoch(199, 0.4)
        app.chart.show([series(history)], planned_epochs=3)
        assert sum(line.count("●") for line in lines(app.chart)) == 2
        assert [word for word in lines(app.chart)[-1].split() if word.isdigit()] == ["0", "1", "2", "3"]


async def test_a_loss_that_is_not_finite_leaves_a_marker_and_a_gap() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        losses: list[float | None] = [*falling(250)]
        losses[120:140] = [math.nan] * 20
        app.chart.show([series(history_of(losses))], planned_epochs=3)
        top = lines(app.chart)[1]
        assert 4 <= top.count("×") <= 7
        first, last = top.index("×"), top.rindex("×")
        assert all(line[first + 1 : last].strip("┊ ") == "" for line in lines(app.chart)[2:-2])
        assert braille(app.chart) > 20


async def test_a_run_of_nothing_but_nan_is_not_an_empty_one() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        app.chart.show([series(history_of([None] * 5))], planned_epochs=1)
        text = "\n".join(lines(app.chart))
        assert "×" in text
        assert "nothing yet" not in text


async def test_runs_are_overlaid_each_with_its_name_and_colour() -> None:
    app = Charted()
    async with app.run_test(size=(100, 14)):
        shown = [
            series(history_of(falling(300)), "one", "#ff0000"),
            series(history_of(loss * 2 for loss in falling(200)), "two", "#00ff00"),
            series(history_of(loss * 3 for loss in falling(250)), "three", "no colour"),
        ]
        app.chart.show(shown, planned_epochs=3)
        legend = lines(app.chart)[0]
        assert all(f"run {name}" in legend for name in ("one", "two", "three"))
        styles = [segment.style for y in range(1, 12) for segment in app.chart.render_line(y) if segment.style]
        colours = {style.color.triplet.hex for style in styles if style.color and style.color.triplet}
        assert {"#ff0000", "#00ff00"} <= colours


async def test_a_name_cannot_reach_the_terminal_as_an_escape_nor_break_the_row() -> None:
    app = Charted()
    async with app.run_test(size=(60, 11)):
        history = history_of(falling(100))
        names = ["\x1b[31mred\x07", "損失" * 30, ""]
        app.chart.show([Series(name, name, "red", (history,), 100) for name in names], planned_epochs=1)
        assert all(cell_len(line) == 60 for line in lines(app.chart))
        assert all(c.isprintable() for line in lines(app.chart) for c in line)


async def test_the_log_scale_has_decades() -> None:
    app = Charted()
    async with app.run_test(size=(84, 12)) as pilot:
        app.chart.show([series(history_of(10 ** (-step / 100) for step in range(300)))], planned_epochs=3)
        app.chart.log_scale = False
        await pilot.pause()
        linear = lines(app.chart)
        app.chart.log_scale = True
        await pilot.pause()
        assert lines(app.chart) != linear
        assert {"1┤", "0.1┤", "0.01┤"} <= {line[:7].strip() for line in lines(app.chart)}


async def test_only_the_cells_that_changed_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Charted()
    async with app.run_test(size=(84, 20)) as pilot:
        history = history_of(falling(200))
        app.chart.show([series(history)], planned_epochs=5)
        await pilot.pause()
        refreshed: list[tuple[Region, ...]] = []
        monkeypatch.setattr(app.chart, "refresh", lambda *regions, **_: refreshed.append(regions))
        app.chart.refresh_data()
        assert refreshed == []
        before = lines(app.chart)
        history.extend(200, [0.2] * 10)
        history.add_running(209, 0.2)
        app.chart.refresh_data()
        changed = {y for y, (a, b) in enumerate(zip(before, lines(app.chart), strict=True)) if a != b}
        ((*regions,),) = refreshed
        assert changed
        assert {region.y for region in regions} == changed
        assert all(region.height == 1 and region.width < 20 for region in regions)


async def test_the_axes_stay_while_a_run_goes_on() -> None:
    app = Charted()
    async with app.run_test(size=(84, 14)):
        history = LossHistory()
        app.chart.show([series(history)], planned_epochs=4)
        axes = set()
        for first in range(0, 400, 20):
            history.extend(first, falling(400)[first : first + 20])
            history.add_running(first + 19, falling(400)[first])
            app.chart.refresh_data()
            axes.add((*(line[:7] for line in lines(app.chart)), lines(app.chart)[-1]))
        assert len(axes) == 1


async def test_no_size_is_too_small() -> None:
    app = Charted()
    async with app.run_test(size=(80, 24)) as pilot:
        app.chart.show([series(history_of([*falling(100), math.nan]))], planned_epochs=2)
        for width, height in [(1, 1), (2, 1), (1, 7), (3, 2), (7, 3), (19, 4), (20, 4), (24, 5), (25, 30), (200, 60)]:
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert [cell_len(line) for line in lines(app.chart)] == [width] * height
        assert braille(app.chart) > 100


@pytest.mark.parametrize("plain", [False, True])
async def test_no_losses_whatever_can_break_it(plain: bool, capfd: pytest.CaptureFixture[str]) -> None:
    app = Charted(plain=plain)
    async with app.run_test(size=(84, 11)):

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(
            LOSSES,
            LOSSES,
            st.sampled_from([None, True, False]),
            st.sampled_from([None, 1, 3, 1e9]),
            st.sampled_from([0, 1, 7, 1 << 62]),
            st.sampled_from(UNITS),
            st.builds(
                Reading,
                metric=st.sampled_from(METRICS),
                smoothing=st.sampled_from([0.0, 0.9]),
                band=st.sampled_from(BANDS),
            ),
        )
        def draw(
            losses: list[float],
            others: list[float],
            log: bool | None,
            total: float | None,
            steps: int,
            unit: Unit,
            reading: Reading,
        ) -> None:
            app.chart.log_scale = log
            app.chart.reading = reading
            group = finished(history_of(others), history_of(losses), key="c", macs_per_epoch=1e9, validates=True)
            for history in group.histories:
                paced(history, 3.5).add_validation(3, (others or [1.0])[0], 0.5)
            on_show = replace(series(paced(history_of(losses), 2.0), steps=steps), macs_per_epoch=1e300)
            app.chart.x_unit = unit
            app.chart.show([on_show, series(history_of(others), "b"), group], planned_epochs=total)
            assert app.words.failure not in "\n".join(lines(app.chart))
            app.chart.action_move_cursor(-3)
            app.chart.zoom(3.0)
            assert app.words.failure not in "\n".join(lines(app.chart))
            app.chart.x_unit = "epochs"
            app.chart.reading = Reading()
            app.chart.show_whole()
            app.chart.show([on_show, series(history_of(others), "b")], planned_epochs=total)
            text = "\n".join(lines(app.chart))
            assert app.words.failure not in text
            assert "\u2800" not in text
            finite = any(loss is not None and math.isfinite(loss) for loss in losses)
            assert plain or not finite or braille(app.chart) > 0 or "×" in text  # the marks may cover a single point
            assert text.isascii() or not plain

        draw()
    assert capfd.readouterr() == ("", "")


async def test_a_drawing_library_that_raises_leaves_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    plotext = pytest.importorskip("plotext")

    def raising(*_: object) -> None:
        raise OverflowError("range")

    monkeypatch.setattr(type(plotext.figure), "build", raising)
    app = Charted(failure="no picture")
    async with app.run_test(size=(60, 9)):
        app.chart.show([series(history_of(falling(50)))], planned_epochs=1)
        assert "no picture" in "\n".join(lines(app.chart))


async def test_colours_are_the_themes() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)) as pilot:

        def styles() -> set[str]:
            return {str(segment.style) for y in range(11) for segment in app.chart.render_line(y)}

        app.chart.show([series(history_of(falling(90)))], planned_epochs=1)
        await pilot.pause()
        dark = styles()
        app.theme = "textual-light"
        await pilot.pause()
        assert styles().isdisjoint(dark)


async def test_numbers_take_the_decimal_mark_of_the_language() -> None:
    app = Charted(decimal_mark=",")
    async with app.run_test(size=(84, 14)):
        app.chart.show([series(history_of([1.0, 0.5]))], planned_epochs=1)
        assert any(line.strip().startswith("0,8") for line in lines(app.chart))


# The x axis


@pytest.mark.parametrize(
    ("unit", "reach", "labels"),
    [
        ("epochs", 5, ["0", "1", "2", "3", "4", "5"]),
        ("epochs", 1000, ["0", "200", "400", "600", "800", "1000"]),
        ("seconds", 0.5, ["0", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s"]),
        ("seconds", 50, ["0", "10 s", "20 s", "30 s", "40 s", "50 s"]),
        ("seconds", 500, ["0", "2 min", "4 min", "6 min", "8 min"]),
        ("seconds", 5 * 3600, ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]),
        ("seconds", 1e6, ["0", "50 h", "100 h", "150 h", "200 h", "250 h"]),
        ("macs", 170e9, ["0", "50 G", "100 G", "150 G"]),
        ("macs", 1.2e12, ["0", "0.2 T", "0.4 T", "0.6 T", "0.8 T", "1.0 T", "1.2 T"]),
        ("macs", 5e30, ["0", "1e12 E", "2e12 E", "3e12 E", "4e12 E", "5e12 E"]),
    ],
)
def test_ticks_are_at_round_numbers(unit: Unit, reach: float, labels: list[str]) -> None:
    ticks = x_ticks(unit, XWindow(0, reach), 6)
    assert [label for _place, label in ticks] == labels
    assert all(0 <= place < 1 for place, _label in ticks)


@pytest.mark.parametrize(
    ("unit", "left", "width"), [("epochs", 2.0, 2e-4), ("seconds", 1e5, 0.05), ("macs", 1e12, 1e6), ("macs", 3e6, 2.0)]
)
def test_ticks_of_the_closest_view_are_told_apart(unit: Unit, left: float, width: float) -> None:
    labels = [label for _place, label in x_ticks(unit, XWindow(left, left + width), 6)]
    assert len(set(labels)) == len(labels) > 2


async def test_the_same_runs_by_epoch_by_seconds_and_by_multiply_accumulates() -> None:
    """One run takes twice as long as the other for the same epochs, and ten times the multiply–accumulates."""
    app = Charted()
    async with app.run_test(size=(107, 14)) as pilot:
        slow = finished(paced(history_of(falling(300)), 60), macs_per_epoch=30e9)
        above = paced(history_of(loss + 1 for loss in falling(300)), 30)
        fast = finished(above, key="b", color="#00ff00", macs_per_epoch=3e9)
        app.chart.show([slow, fast], planned_epochs=3)
        await pilot.pause()

        def ends() -> list[float]:
            """Return the end of each line as a fraction of the x axis."""
            return [(1 + max(x for x, _y in painted(app.chart, color)) - 7) / 100 for color in ("#ff0000", "#00ff00")]

        assert x_axis(app.chart) == ["Epoch 0", "1", "2", "3"]
        assert ends() == [1, pytest.approx(1, abs=0.05)]
        app.chart.x_unit = "seconds"
        await pilot.pause()
        assert x_axis(app.chart) == ["Time 0", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]
        assert ends() == [1, pytest.approx(0.5, abs=0.02)]
        app.chart.x_unit = "macs"
        await pilot.pause()
        assert x_axis(app.chart) == ["MACs 0", "10 G", "20 G", "30 G", "40 G", "50 G", "60 G", "70 G", "80 G", "90 G"]
        assert ends() == [1, pytest.approx(0.1, abs=0.02)]
        app.chart.x_unit = "epochs"
        await pilot.pause()
        assert x_axis(app.chart) == ["Epoch 0", "1", "2", "3"]


async def test_the_pace_within_a_run_is_seen_by_seconds() -> None:
    """The run does half of its steps in the last tenth of its time."""
    app = Charted()
    async with app.run_test(size=(107, 14)) as pilot:
        history = history_of([2.0] * 100 + [1.0] * 100)
        history.add_seconds(100, 9.0)
        app.chart.x_unit = "seconds"
        app.chart.show([finished(paced(history, 10.0))], planned_epochs=2)
        await pilot.pause()
        rows: dict[int, list[int]] = {}
        for x, y in painted(app.chart, "#ff0000"):
            rows.setdefault(y, []).append(x - 7)
        assert max(rows[min(rows)]) == pytest.approx(90, abs=1)


async def test_an_axis_of_seconds_moves_rarely_while_a_run_goes_on() -> None:
    app = Charted()
    async with app.run_test(size=(84, 14)):
        history = LossHistory()
        app.chart.x_unit = "seconds"
        app.chart.show([series(history)], planned_epochs=10)
        axes = set()
        for first in range(0, 1000, 20):
            history.extend(first, falling(1000)[first : first + 20])
            history.add_running(first + 19, falling(1000)[first])
            history.add_seconds(first + 20, (first + 20) / 20)
            app.chart.refresh_data()
            axes.add(lines(app.chart)[-1])
        assert len(axes) == 6  # the axis ends at 1, 2, 5, 10, 20 and 50 s


@pytest.mark.parametrize("plain", [False, True])
async def test_multiply_accumulates_that_are_not_known_are_said_not_drawn(plain: bool) -> None:
    app = Charted(plain=plain)
    async with app.run_test(size=(84, 14)) as pilot:
        app.chart.x_unit = "macs"
        unknown = finished(history_of(falling(200)))
        app.chart.show([unknown], planned_epochs=2)
        await pilot.pause()
        assert "accumulates unknown" in "\n".join(lines(app.chart)[1:])
        assert not painted(app.chart, "#ff0000")
        known = finished(history_of(falling(200)), key="b", color="#00ff00", macs_per_epoch=1e9)
        app.chart.show([unknown, known], planned_epochs=2)
        await pilot.pause()
        assert "accumulates unknown)" in lines(app.chart)[0]
        assert "accumulates unknown" not in "\n".join(lines(app.chart)[1:])
        assert not painted(app.chart, "#ff0000")
        assert plain or painted(app.chart, "#00ff00")


# Several seeds of one network


async def test_seeds_are_drawn_as_their_mean_and_a_band_from_the_least_to_the_greatest() -> None:
    app = Charted()
    async with app.run_test(size=(107, 24)) as pilot:
        group = finished(*(history_of([loss] * 300) for loss in (1.0, 1.5, 3.5)), key="g")
        app.chart.show([group], planned_epochs=3)
        await pilot.pause()
        assert "━⣿ run g" in lines(app.chart)[0]
        rows = {float(line[:6]): y for y, line in enumerate(lines(app.chart)) if "." in line[:6]}
        assert {y for _x, y in painted(app.chart, "#ff0000")} == {rows[2.0]}
        band = band_color(app.chart)
        assert band != "#ff0000"
        filled = {y for _x, y in painted(app.chart, band)}
        assert filled == {*range(rows[3.5], rows[1.0] + 1)} - {rows[2.0]}


async def test_the_mean_of_seeds_is_whole_though_each_is_known_at_other_steps() -> None:
    app = Charted()
    async with app.run_test(size=(107, 14)) as pilot:
        histories = []
        for first in (3, 17, 29):
            history = LossHistory()
            history.extend(0, [1.0] * 300)
            for step in (0, *range(first, 299, 40), 299):
                history.add_running(step, 1.0 + first / 10)
            histories.append(history)
        app.chart.show([finished(*histories)], planned_epochs=3)
        await pilot.pause()
        for color in ("#ff0000", band_color(app.chart)):
            assert {x for x, _y in painted(app.chart, color)} == set(range(7, 107))


async def test_seeds_that_have_come_less_far_end_where_they_are() -> None:
    app = Charted()
    async with app.run_test(size=(107, 14)) as pilot:
        group = finished(history_of([1.0] * 300), history_of([2.0] * 150), LossHistory())
        app.chart.show([group], planned_epochs=3)
        await pilot.pause()
        heights = dict(painted(app.chart, "#ff0000"))
        assert heights[30] == heights[50] < heights[90] == heights[105]


# Validation


async def test_validation_of_overlaid_runs_is_told_apart_by_their_colours() -> None:
    app = Charted(decimal_mark=",")
    async with app.run_test(size=(107, 18)) as pilot:
        shown = []
        for number, color in enumerate(("#ff0000", "#00ff00", "#0000ff")):
            history = history_of([2.0 - number / 2] * 300)
            for epoch in (1, 2, 3):
                history.add_validation(100 * epoch - 1, 1.8 - number / 2, 0.9 + epoch / 100 + number / 1000)
            shown.append(finished(history, key=str(number), color=color, validates=True))
        app.chart.show(shown, planned_epochs=3)
        await pilot.pause()
        text = lines(app.chart)
        assert re.search("━━ run 0  ━━ run 1  ━━ run 2  ━◆ validation loss", text[0])
        assert text[1].split() == ["◆", "%", "91,0", "92,0", "93,0"]  # nobody could tell whose the others are
        dotted = [line for line in text[2:] if "◆" in line]
        assert [line.count("◆") for line in dotted] == [3, 3, 3]
        for color, expected in (("#00ff00", dotted[1]), ("#0000ff", dotted[2])):
            diamonds = [(x, y) for x, y in painted(app.chart, color) if y > 1 and text[y][x] == "◆"]
            assert {text[y] for _x, y in diamonds} == {expected}
            assert len(diamonds) == 3
        assert all(cell_len(line) == 107 for line in text)


async def test_the_newest_accuracies_are_shown_where_there_is_no_room_for_all() -> None:
    app = Charted()
    async with app.run_test(size=(60, 14)) as pilot:
        history = history_of([1.0] * 4000)
        for epoch in range(1, 41):
            history.add_validation(100 * epoch - 1, 1.0, 0.5 + epoch / 100)
        app.chart.show([finished(history, validates=True)], planned_epochs=40)
        await pilot.pause()
        figures = lines(app.chart)[1].split()[2:]
        assert figures[-1] == "90.0"
        assert 6 <= len(figures) <= 12
        assert [float(figure) for figure in figures] == sorted(float(figure) for figure in figures)


@pytest.mark.parametrize("size", [(78, 16), (82, 12)])
async def test_everything_at_once_is_ascii_where_there_is_no_more(size: tuple[int, int]) -> None:
    app = Charted(plain=True)
    async with app.run_test(size=size) as pilot:
        histories = [paced(history_of(loss + number for loss in falling(300)), 5.0 + number) for number in range(5)]
        for history in histories:
            history.add_validation(299, 1.0, 0.9)
        on_show = finished(histories[0], macs_per_epoch=1e9, validates=True)
        group = finished(*histories[1:4], key="g", color="#00ff00", macs_per_epoch=2e9, validates=True)
        app.chart.show([on_show, group, finished(histories[4], key="o")], planned_epochs=3)
        for unit in UNITS:
            app.chart.x_unit = unit
            await pilot.pause()
            text = lines(app.chart)
            assert "\n".join(text).isascii()
            assert "** run a  o' run g" in text[0]
            assert sum(line.count("*") for line in text[3:]) > 10
            assert sum(line.count("o") for line in text[3:]) > 10
            assert "90.0" in text[1]
