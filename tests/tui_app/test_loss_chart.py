"""The loss chart, in an application of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.geometry import Region

from core.history import LossHistory
from tui_app.widgets.chart_curves import Series
from tui_app.widgets.loss_chart import LossChart

EXTREMES = [1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.0, 1.0, 1e-300, math.nan, math.inf, -math.inf]
LOSSES = st.lists(st.one_of(st.sampled_from(EXTREMES), st.floats(), st.none()), max_size=30)


class Charted(App[None]):
    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.chart = LossChart(placeholder="nothing yet", **settings)

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
    return Series(key, f"run {key}", color, history, steps, live=True)


def lines(chart: LossChart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def braille(chart: LossChart) -> int:
    """Dots of the canvas, the legend's sign apart."""
    return sum("\u2800" < c <= "\u28ff" for line in lines(chart)[1:] for c in line)


async def test_an_empty_chart_has_its_axes_and_says_that_it_is_empty() -> None:
    app = Charted(x_label="Époque", y_label="Perte")
    async with app.run_test(size=(84, 11)):
        app.chart.show([], total_epochs=5)
        text = "\n".join(lines(app.chart))
        assert "nothing yet" in text
        assert "Époque 0" in text
        assert "Perte" in text
        assert braille(app.chart) == 0


async def test_losses_are_drawn_and_named_as_they_come() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        history = LossHistory()
        app.chart.show([series(history)], total_epochs=5)
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
        app.chart.show([series(history)], total_epochs=3)
        assert sum(line.count("●") for line in lines(app.chart)) == 2
        assert [word for word in lines(app.chart)[-1].split() if word.isdigit()] == ["0", "1", "2", "3"]


async def test_a_loss_that_is_not_finite_leaves_a_marker_and_a_gap() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        losses: list[float | None] = [*falling(250)]
        losses[120:140] = [math.nan] * 20
        app.chart.show([series(history_of(losses))], total_epochs=3)
        top = lines(app.chart)[1]
        assert 4 <= top.count("×") <= 7
        first, last = top.index("×"), top.rindex("×")
        assert all(line[first + 1 : last].strip("┊ ") == "" for line in lines(app.chart)[2:-2])
        assert braille(app.chart) > 20


async def test_a_run_of_nothing_but_nan_is_not_an_empty_one() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)):
        app.chart.show([series(history_of([None] * 5))], total_epochs=1)
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
        app.chart.show(shown, total_epochs=3)
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
        app.chart.show([Series(name, name, "red", history, 100) for name in names], total_epochs=1)
        assert all(cell_len(line) == 60 for line in lines(app.chart))
        assert all(c.isprintable() for line in lines(app.chart) for c in line)


async def test_the_log_scale_has_decades() -> None:
    app = Charted()
    async with app.run_test(size=(84, 12)) as pilot:
        app.chart.show([series(history_of(10 ** (-step / 100) for step in range(300)))], total_epochs=3)
        linear = lines(app.chart)
        app.chart.log_scale = True
        await pilot.pause()
        assert lines(app.chart) != linear
        assert {"1┤", "0.1┤", "0.01┤"} <= {line[:7].strip() for line in lines(app.chart)}


async def test_only_the_cells_that_changed_are_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Charted()
    async with app.run_test(size=(84, 20)) as pilot:
        history = history_of(falling(200))
        app.chart.show([series(history)], total_epochs=5)
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
        app.chart.show([series(history)], total_epochs=4)
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
        app.chart.show([series(history_of([*falling(100), math.nan]))], total_epochs=2)
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
        @given(LOSSES, LOSSES, st.booleans(), st.sampled_from([None, 1, 3, 1e9]), st.sampled_from([0, 1, 7, 1 << 62]))
        def draw(losses: list[float], others: list[float], log: bool, total: float | None, steps: int) -> None:
            app.chart.log_scale = log
            shown = [series(history_of(losses), steps=steps), series(history_of(others), "b")]
            app.chart.show(shown, total_epochs=total)
            text = "\n".join(lines(app.chart))
            assert app.chart.failure not in text
            assert "\u2800" not in text
            finite = any(loss is not None and math.isfinite(loss) for loss in losses)
            assert plain or not finite or braille(app.chart) > 0 or "×" in text  # which may cover a single point
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
        app.chart.show([series(history_of(falling(50)))], total_epochs=1)
        assert "no picture" in "\n".join(lines(app.chart))


async def test_colours_are_the_themes() -> None:
    app = Charted()
    async with app.run_test(size=(84, 11)) as pilot:

        def styles() -> set[str]:
            return {str(segment.style) for y in range(11) for segment in app.chart.render_line(y)}

        app.chart.show([series(history_of(falling(90)))], total_epochs=1)
        await pilot.pause()
        dark = styles()
        app.theme = "textual-light"
        await pilot.pause()
        assert styles().isdisjoint(dark)


async def test_numbers_take_the_decimal_mark_of_the_language() -> None:
    app = Charted(decimal_mark=",")
    async with app.run_test(size=(84, 14)):
        app.chart.show([series(history_of([1.0, 0.5]))], total_epochs=1)
        assert any(line.strip().startswith("0,5") for line in lines(app.chart))
