"""The question asked before quitting while runs or comparisons are in progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Label

from tui_app.i18n import _, ngettext

_LOOK_S = 0.5


class QuitScreen(ModalScreen[bool | None]):
    """A dialog dismissed with True to stop the runs, False to leave them running, None to stay.

    When nothing is in progress any more, there is nothing to ask: it is dismissed with False.
    """

    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss(None)", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, run_ids: Sequence[str], *, is_comparing: bool, is_moot: Callable[[], bool]) -> None:
        super().__init__()
        self._is_moot = is_moot
        self._run_ids = run_ids
        self._is_comparing = is_comparing

    def compose(self) -> ComposeResult:
        text = ngettext("{runs} is in progress.", "{runs} are in progress.", len(self._run_ids))
        with Vertical(id="question", classes="dialog"):
            if self._run_ids:
                yield Label(text.format(runs=", ".join(self._run_ids)))
            if self._is_comparing:
                yield Label(_("A comparison is in progress; its other runs will follow, one after another."))
            yield Label(_("Runs continue without the dashboard; mnist-tui shows them again."), classes="muted")
            with Horizontal(classes="buttons"):
                yield Button(_("Leave running"), id="leave", variant="primary")
                yield Button(_("Stop"), id="stop", variant="warning")
                yield Button(_("Stay"), id="stay")

    def on_mount(self) -> None:
        self.set_interval(_LOOK_S, self._look)

    def _look(self) -> None:
        if self.is_current and self._is_moot():
            self.dismiss(False)

    @on(Button.Pressed)
    def choose(self, event: Button.Pressed) -> None:
        self.dismiss({"leave": False, "stop": True}.get(event.button.id or ""))
