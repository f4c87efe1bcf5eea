"""A canvas of 28×28 pixels to draw a digit on, with the mouse or the keyboard."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from core.catalogue import SIDE
from tui_app import terminal
from tui_app.dashboard.keys import ARROWS, bind, canvas_keys
from tui_app.dashboard.widgets.pixels import Pixels

_BRUSH = ((0, 0, 255), (0, 1, 255), (1, 0, 255), (1, 1, 255), (-1, 0, 110), (0, -1, 110), (2, 0, 110), (0, 2, 110))
"""Row and column offsets from the tip of the pen, with their ink: strokes as thick as MNIST's."""


class DrawingCanvas(Pixels):
    """A canvas to draw on: press and drag, or move the pen with the arrows; Space lowers and lifts it."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [*ARROWS]

    class Changed(Message):
        """Sent when the drawing has changed."""

        def __init__(self, pixels: bytes) -> None:
            super().__init__()
            self.pixels = pixels

    def __init__(self, **arguments: Any) -> None:
        super().__init__(plain=not terminal.has_grey(), **arguments)
        bind(self._bindings, canvas_keys())
        self._ink = bytearray(SIDE * SIDE)
        self._pen = (SIDE // 2, SIDE // 2)
        self._pen_is_down = False

    def on_focus(self) -> None:
        self._show()

    def on_blur(self) -> None:
        self._show()

    # With the keyboard

    def action_move(self, rows: int, columns: int) -> None:
        self._move_to(self._pen[0] + rows, self._pen[1] + columns, draw=self._pen_is_down)

    def action_toggle_pen(self) -> None:
        self._pen_is_down = not self._pen_is_down
        self._move_to(*self._pen, draw=self._pen_is_down)

    def action_clear(self) -> None:
        self._ink[:] = bytes(SIDE * SIDE)
        self._pen_is_down = False
        self._changed()

    def put(self, pixels: bytes) -> None:
        """Replace the drawing, as by a picture; nothing is sent."""
        self._ink[:] = pixels
        self._pen_is_down = False
        self._show()

    # With the mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._pen_is_down = False
        self._move_to(*self._pixel_at(event), draw=False)
        self._move_to(*self._pixel_at(event), draw=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if event.button:
            self._move_to(*self._pixel_at(event), draw=True)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _pixel_at(self, event: events.MouseEvent) -> tuple[int, int]:
        """Return the row and the column of the pixel under the mouse."""
        return 2 * event.y // self.zoom, event.x // self.zoom

    def _move_to(self, row: int, column: int, *, draw: bool) -> None:
        """Move the pen in a straight line, since a fast mouse skips pixels."""
        row, column = (min(max(0, value), SIDE - 1) for value in (row, column))
        from_row, from_column = self._pen
        steps = max(abs(row - from_row), abs(column - from_column), 1)
        self._pen = (row, column)
        if not draw:
            self._show()
            return
        for step in range(steps + 1):
            share = step / steps
            self._stamp(round(from_row + share * (row - from_row)), round(from_column + share * (column - from_column)))
        self._changed()

    def _stamp(self, row: int, column: int) -> None:
        for down, right, ink in _BRUSH:
            if 0 <= row + down < SIDE and 0 <= column + right < SIDE:
                at = (row + down) * SIDE + column + right
                self._ink[at] = max(self._ink[at], ink)

    def _changed(self) -> None:
        self._show()
        self.post_message(self.Changed(bytes(self._ink)))

    def _show(self) -> None:
        self.show(bytes(self._ink), self._pen if self.has_focus else None)
