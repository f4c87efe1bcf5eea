"""A chart of a run's losses with others overlaid: its view and its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive, var
from textual.strip import Strip

from tui_app.charts.axes import Unit, XWindow
from tui_app.charts.canvas import MOST_SERIES, CellSize, ChartCanvas
from tui_app.charts.curves import Reading
from tui_app.charts.drawing import Drawing
from tui_app.charts.picture import Picture
from tui_app.charts.series import Series
from tui_app.charts.view import View, Words
from tui_app.dashboard.widgets.cell_rows import CellRows

_WHEEL = 1.25
"""Factor by which a turn of the mouse's wheel zooms."""


class Scales(NamedTuple):
    """The scales of a chart as it is drawn."""

    is_log: bool
    zoom: float
    """How many times as close as the whole the view is."""


class LossChart(CellRows):
    """A chart of losses, or of accuracies.

    The current run has its batch losses as a band, its running loss as a line, a mark per epoch, its validation loss as
    a second line and its validation accuracies as figures; others have the running loss, a dotted validation loss and
    the figures. The mouse or the arrows move a cursor, which shows what the lines are at its place; the wheel zooms.
    """

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move_cursor(-1)", show=False),
        Binding("right", "move_cursor(1)", show=False),
        Binding("shift+left", "move_cursor(-10)", show=False),
        Binding("shift+right", "move_cursor(10)", show=False),
        Binding("escape", "hide_cursor", show=False),
    ]

    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 1;
    }
    """

    class Rescaled(Message):
        """Sent when the chart is drawn with other scales than before."""

    log_scale: reactive[bool | None] = reactive(None)
    """Whether the losses have a logarithmic scale; None: where a linear one would hide a line."""
    reading: reactive[Reading] = reactive(Reading())
    window: var[XWindow | None] = var(None)
    """Part of the x axis that is shown; None: the whole, which grows with a run."""
    cursor: var[float | None] = var(None)
    """Place on the x axis."""
    x_unit: reactive[Unit] = reactive[Unit]("epochs")
    placeholder: reactive[str] = reactive("")
    """Text shown while the chart is empty."""

    def __init__(
        self,
        words: Words,
        *,
        plain: bool = False,
        placeholder: str = "",
    ) -> None:
        super().__init__()
        self.set_reactive(LossChart.placeholder, placeholder)
        self._picture = Picture(words, plain=plain)
        self._series: tuple[Series, ...] = ()
        self._planned_epochs: float | None = None
        self._shown: object = None
        self._drawing: Drawing | None = None
        self._cursor_shown: float | None = None
        self._cursor_set: float | None = None
        """Cursor to return to when the mouse has left."""
        self._scales_said = self.scales
        self._is_to_read = False
        self._may_draw = False

    def on_mount(self) -> None:
        self.call_after_refresh(self._load_canvas)

    async def _load_canvas(self) -> None:
        """Load the canvas after the first painting: it takes 0.2 s, a third of what that would have to wait for."""
        with suppress(Exception):  # what is wrong will show when it draws
            await asyncio.to_thread(ChartCanvas.load)
        self._may_draw = True
        self._shown = None
        self.refresh_data()

    def show(self, series: Sequence[Series], planned_epochs: float | None = None) -> None:
        """Show series: the first is the current run's, planned for `planned_epochs`; the others are overlaid."""
        self._may_draw = True
        old, self._series = self._series, tuple(series[:MOST_SERIES])
        self._planned_epochs = planned_epochs
        if not _share_a_run(old[:1], self._series[:1]):
            self.show_whole()
        if self.show_colours([s.color for s in self._series]):
            self._shown = None
        self.refresh_data()

    @property
    def series(self) -> tuple[Series, ...]:
        return self._series

    @property
    def is_whole(self) -> bool:
        """Return whether the whole x axis is shown."""
        return self.scales.zoom <= 1

    @property
    def scales(self) -> Scales:
        drawing = self._drawing
        if drawing is None:
            return Scales(False, 1.0)
        return Scales(drawing.scale.log, drawing.whole / drawing.window.width if self.window else 1.0)

    def refresh_data(self) -> None:
        """Draw the new data, sending only changed cells to the terminal."""
        if not self.size:
            return
        view = View(
            CellSize(*self.size),
            self._series,
            self._planned_epochs,
            self.x_unit,
            self.log_scale,
            self.placeholder,
            self.reading,
            self.window,
        )
        state = view, [series.versions for series in self._series]
        if state != self._shown or self._drawing is None:
            self._shown = state
            self._drawing = self._picture.draw(view, may_draw=self._may_draw)
            if self._scales_said != self.scales:
                self._scales_said = self.scales
                self.post_message(self.Rescaled())
        elif self.cursor == self._cursor_shown:
            return
        self._cursor_shown = self.cursor
        self.show_rows(self._picture.rows(self._drawing, self.cursor))

    def render_lines(self, crop: Region) -> list[Strip]:
        self.refresh_data()
        return super().render_lines(crop)

    # The view, and the cursor

    def zoom(self, factor: float, about: float | None = None) -> None:
        """Zoom on a place, or else on the cursor or the middle; a `factor` below 1 shows more."""
        drawing = self._drawing
        if drawing is None or not drawing.drawn:
            return
        window = drawing.window
        about = self.cursor if about is None else about
        if about is None or not window.left <= about <= window.right:
            about = window.place(0.5)
        new = window.zoomed(factor, about, drawing.drawn[0].placed.least_view, drawing.whole)
        self.window = new if new.width < drawing.whole * (1 - 1e-9) else None

    def pan(self, share: float) -> None:
        """Move the view by a share of its width, as far as the axis goes."""
        drawing = self._drawing
        if drawing is not None and self.window is not None:
            self.window = drawing.window.moved(share * drawing.window.width, drawing.whole)

    def show_whole(self) -> None:
        """Show the whole x axis, without a cursor."""
        self.window = self.cursor = self._cursor_set = None

    def action_hide_cursor(self) -> None:
        self.cursor = self._cursor_set = None

    def read_off(self) -> None:
        """Show the cursor, and let the arrows move it, as soon as the chart is on the screen."""
        self._is_to_read = not self.size
        if self.size:
            self.focus()
            self.action_move_cursor(0)

    def action_move_cursor(self, cells: int) -> None:
        """Move the cursor, which begins at the end of the current line; the view follows it."""
        drawing = self._drawing
        if drawing is None or not drawing.has_begun or not drawing.layout.canvas.width:
            return
        window = drawing.window
        if self.cursor is None or not window.left <= self.cursor <= window.right:
            end = drawing.drawn[0].last_place
            place = window.place(0.5) if end is None or end < window.left else min(end, window.right)
        else:
            place = self.cursor + cells * window.width / drawing.layout.canvas.width
        place = min(max(place, 0.0), drawing.whole)
        if self.window is not None:
            self.window = window.moved(min(0.0, place - window.left) + max(0.0, place - window.right), drawing.whole)
        self.cursor = self._cursor_set = place

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self.cursor = self._place_under(event)

    def on_leave(self) -> None:
        self.cursor = self._cursor_set

    def on_click(self, event: events.Click) -> None:
        self.cursor = self._cursor_set = self._place_under(event)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._turn(event, _WHEEL)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._turn(event, 1 / _WHEEL)

    def _turn(self, event: events.MouseEvent, factor: float) -> None:
        """Zoom with the wheel about the mouse's place, or with Shift move the view."""
        event.stop()
        event.prevent_default()
        if event.shift:
            self.pan(1 - factor)
        else:
            self.zoom(factor, self._place_under(event))

    def _place_under(self, event: events.MouseEvent) -> float | None:
        return self._drawing.place_at(event.x) if self._drawing is not None else None

    def watch_window(self) -> None:
        self.refresh_data()

    def watch_cursor(self) -> None:
        self.refresh_data()

    def watch_reading(self) -> None:
        self.refresh_data()

    def watch_log_scale(self) -> None:
        self.refresh_data()

    def watch_x_unit(self) -> None:
        """Show the same share of the axis in another unit."""
        before = self._drawing if self.window is not None else None
        self.show_whole()
        self.refresh_data()
        if before is not None and self._drawing is not None and self._drawing.drawn:
            stretch = self._drawing.whole / before.whole
            self.window = XWindow(before.window.left * stretch, before.window.right * stretch)

    def watch_placeholder(self) -> None:
        self.refresh_data()

    def on_resize(self) -> None:
        self.refresh_data()
        if self._is_to_read:
            self.read_off()


def _share_a_run(old: Sequence[Series], new: Sequence[Series]) -> bool:
    """Return whether the same line, or a run of it, is among both."""
    keys, histories = {s.key for s in old}, {id(history) for s in old for history in s.histories}
    return any(s.key in keys or any(id(history) in histories for history in s.histories) for s in new)
