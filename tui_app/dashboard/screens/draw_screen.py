"""The screen to draw a digit on, or to open a picture of one in, with the answers of trained networks."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from itertools import starmap

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.events import Resize
from textual.widgets import Header, Input, Label, Static

from core import paths
from core.catalogue import SIDE
from core.messages import N_, Problem
from core.worker.protocol import AskedImage, InsideQuestion, Inspect, Inspected, Recognise, Recognised, Refused
from tui_app import terminal
from tui_app.charts import answer as answers
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.keys import canvas_keys, draw_keys
from tui_app.dashboard.screens.side_screen import AskedRun, AskingScreen
from tui_app.dashboard.widgets.drawing_canvas import DrawingCanvas
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.pixels import Pixels
from tui_app.dashboard.widgets.tile_wall import TileWall
from tui_app.i18n import _, say
from tui_app.inside import bands

_BAR_WIDTH = 13
"""Columns of a class's name and its bar."""
_FRAME = 4
"""Columns of a panel's border and padding."""
_ANSWER_COLUMNS = _BAR_WIDTH + 6 + _FRAME
_OTHER_ROWS = 6
"""Rows of the screen that are neither the canvas, its border included, nor the way through the network below."""
_WAY_ROWS = SIDE // 2 + 2
_FEWEST_WAY_ROWS = 8
"""Rows of the drawing's way through the network: what its pictures need, and below which it is not shown."""


class DrawScreen(AskingScreen[None]):
    """A canvas and the answers of `subjects` to it; `ask` sends a request, answered in `show`."""

    ASKS = (Recognise, Inspect)
    AUTO_FOCUS = "DrawingCanvas"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012
    HELP = N_(
        "Draw a digit with the mouse or the keyboard, or open a picture of one: it is centred and scaled as MNIST's"
        " digits are, and up to three runs of the chart say what they see."
    )

    def __init__(
        self,
        subjects: Sequence[AskedRun],
        ask: Callable[[Recognise], None],
        ask_inside: Callable[[InsideQuestion], None],
        look: Callable[[AskedImage, str, str], None],
    ) -> None:
        super().__init__(draw_keys())
        self.keys = (*canvas_keys(), *self.keys)
        self._subjects = subjects
        self._enquiries: Enquiries[Recognise] = Enquiries(ask)
        self._insides: Enquiries[InsideQuestion] = Enquiries(ask_inside)
        self._look = look
        self._picture = AskedImage()

    def compose(self) -> ComposeResult:
        yield Header()
        with Horizontal(id="drawing"):
            with Vertical(classes="panel") as canvas_panel:
                canvas_panel.border_title = _("Draw a digit")
                yield DrawingCanvas()
            with Container(id="seen-and-said"):
                with Vertical(classes="panel", id="preview-panel") as preview_panel:
                    preview_panel.border_title = _("As the networks see it")
                    yield Pixels(plain=not terminal.has_grey(), id="preview")
                with Horizontal(id="all-answers"):
                    for subject in self._subjects:
                        with Vertical(classes="panel") as panel:
                            panel.border_title = f"{subject.run_id} {subject.network}"
                            yield Static(_bars((), subject), id=f"answers-{subject.run_id}")
        with Horizontal(id="picture-row"):
            yield Label(_("Picture"))
            yield Input(id="picture", compact=True, placeholder=_("a file with a photograph or scan of a digit; F3"))
        yield TileWall(id="drawn-way")
        yield Static(
            _("Mouse: press and drag. Keyboard: the arrows move the pen, Space lowers and lifts it."),
            classes="muted",
        )
        yield KeyFooter(self.keys)

    def on_resize(self, event: Resize) -> None:
        """Draw as large as there is room for, beside the answers and above the way through the network."""
        columns = event.size.width - max(_ANSWER_COLUMNS * len(self._subjects), SIDE + _FRAME)
        rows = event.size.height - _OTHER_ROWS
        zoom = max(1, min((columns - _FRAME) // SIDE, (rows - _WAY_ROWS) // (SIDE // 2)))
        self.set_class(zoom > 1, "-large")
        self.query_one(DrawingCanvas).zoom = zoom
        self.query_one("#drawn-way").display = rows - zoom * SIDE // 2 >= _FEWEST_WAY_ROWS

    def action_open(self) -> None:
        self.query_one("#picture").focus()

    @on(Input.Submitted, "#picture")
    def _open(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            return
        try:
            self._ask_for(path=str(paths.absolute(_typed_path(event.value))))
        except Problem as problem:
            self._complain(problem)

    @on(DrawingCanvas.Changed)
    def _drawn(self, event: DrawingCanvas.Changed) -> None:
        self._ask_for(pixels=event.pixels)

    def _ask_for(self, pixels: bytes = b"", path: str = "") -> None:
        self._picture = AskedImage(pixels=pixels, path=path)
        self._enquiries.ask(Recognise(tuple(subject.run_dir for subject in self._subjects), pixels, path))
        if self.query_one("#drawn-way").display:
            self._insides.ask(Inspect(self._subjects[0].run_dir, self._picture))

    def action_look_inside(self) -> None:
        self._look(self._picture, self._subjects[0].run_id, "")

    def show(self, answer: Recognised | Inspected) -> None:
        if isinstance(answer, Inspected):
            if self._insides.take(answer.request):
                wall = self.query_one("#drawn-way", TileWall)
                wall.show([bands.summary(answer, wall.size.height)], None)
            return
        is_newest = not self._enquiries.are_pending
        self._enquiries.take(answer.request)
        if answer.request.path and is_newest:
            canvas = self.query_one(DrawingCanvas)
            canvas.put(answer.pixels)  # where there is no room for two, it is seen here
            canvas.focus()
            for doubt in answer.doubts:
                self.notify(say(doubt), severity="warning", timeout=10, markup=False)
        self.query_one("#preview", Pixels).show(answer.pixels)
        for subject in self._subjects:
            probabilities = answer.probabilities.get(subject.run_id, ())
            self.query_one(f"#answers-{subject.run_id}", Static).update(_bars(probabilities, subject))

    def refuse(self, refused: Refused) -> None:
        waiting = self._insides.take if isinstance(refused.request, Inspect) else self._enquiries.take
        if waiting(refused.request):  # type: ignore[arg-type]
            self._complain(Problem.of(refused.message, refused.advice))

    def give_up(self) -> None:
        self._enquiries.forget()
        self._insides.forget()


def _typed_path(text: str) -> str:
    """Return a path as it was typed, or as a terminal pastes that of a file dropped on it: quoted for a shell."""
    try:
        parts = shlex.split(text)
    except ValueError:
        parts = []
    return parts[0] if len(parts) == 1 else text.strip()


def _bars(probabilities: Sequence[float], subject: AskedRun) -> Content:
    lines, best = answers.bars(probabilities, subject.class_names, _BAR_WIDTH, plain=not terminal.has_utf8())

    def styled(number: int, line: str) -> Content:
        return Content.styled(line, "bold $text-success") if number == best else Content(line)

    return Content("\n").join(starmap(styled, enumerate(lines)))
