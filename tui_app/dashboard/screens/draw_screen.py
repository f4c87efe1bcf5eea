"""The screen to draw a digit on, with the answers of trained networks as it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Footer, Header, Static

from core.catalogue import NUM_CLASSES
from core.worker.protocol import Recognise, Recognised
from tui_app import terminal
from tui_app.dashboard.keys import draw_keys
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.drawing_canvas import DrawingCanvas
from tui_app.dashboard.widgets.pixels import Pixels
from tui_app.i18n import _, percent

_BAR_WIDTH = 12


class DrawScreen(AskingScreen[None]):
    """A canvas and the answers to it. `run_dirs` are finished runs by id; `ask` sends a request, answered in `show`."""

    ASKS = Recognise
    AUTO_FOCUS = "DrawingCanvas"

    def __init__(self, run_dirs: dict[str, str], names: dict[str, str], ask: Callable[[Recognise], None]) -> None:
        super().__init__(draw_keys())
        self._run_dirs = run_dirs
        self._names = names
        self._ask = ask
        self._waiting = False
        self._next: bytes | None = None

    def compose(self) -> ComposeResult:
        yield Header()
        with Horizontal(id="drawing"):
            with Vertical(classes="panel") as canvas_panel:
                canvas_panel.border_title = _("Draw a digit")
                yield DrawingCanvas()
            with Vertical(classes="panel", id="preview-panel") as preview_panel:
                preview_panel.border_title = _("As the networks see it")
                yield Pixels(plain=not terminal.has_grey(), id="preview")
            for run_id in self._run_dirs:
                with Vertical(classes="panel") as answers:
                    answers.border_title = f"{run_id} {self._names[run_id]}"
                    yield Static(_bars(()), id=f"answers-{run_id}")
        yield Static(
            _("Mouse: press and drag. Keyboard: the arrows move the pen, Space lowers and lifts it."),
            classes="muted",
        )
        yield Footer(compact=True)

    @on(DrawingCanvas.Changed)
    def _drawn(self, event: DrawingCanvas.Changed) -> None:
        """Keep the newest drawing for the next question: only one is asked at a time."""
        self._next = event.pixels
        self._ask_next()

    def _ask_next(self) -> None:
        if self._next is not None and not self._waiting:
            self._waiting = True
            pixels, self._next = self._next, None
            self._ask(Recognise(tuple(self._run_dirs.values()), pixels))

    def show(self, answer: Recognised) -> None:
        self._waiting = False
        self.query_one("#preview", Pixels).show(answer.pixels)
        for run_id in self._run_dirs:
            self.query_one(f"#answers-{run_id}", Static).update(_bars(answer.probabilities.get(run_id, ())))
        self._ask_next()

    def give_up(self) -> None:
        self._waiting = False


def _bars(probabilities: Sequence[float]) -> Content:
    best = (
        max(range(NUM_CLASSES), key=lambda digit: probabilities[digit]) if len(probabilities) == NUM_CLASSES else None
    )
    full = "█" if terminal.has_utf8() else "#"
    lines = []
    for digit in range(NUM_CLASSES):
        share = probabilities[digit] if best is not None else 0.0
        bar = (full * round(share * _BAR_WIDTH)).ljust(_BAR_WIDTH)
        line = f"{digit} {bar} {percent(share, 0) if best is not None else '':>5}"
        lines.append(Content.styled(line, "bold $text-success") if digit == best else Content(line))
    return Content("\n").join(lines)
