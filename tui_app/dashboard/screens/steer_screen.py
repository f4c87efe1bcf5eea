"""The dialog that changes a run's learning rate or number of epochs, while it trains or as it is resumed."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label

from core.config import RunConfig, setting_from_text
from core.messages import InvalidSetting
from core.runs.control import NOTHING, Request
from tui_app.i18n import _, say
from tui_app.settings import written

_FIELDS = ("lr", "epochs")


class SteerScreen(ModalScreen[Request | None]):
    """A dialog dismissed with what is to change, or None. `least` is the least number of epochs to ask for."""

    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]  # noqa: RUF012

    def __init__(self, run_id: str, config: RunConfig, least: int, *, resumes: bool) -> None:
        super().__init__()
        self._run_id = run_id
        self._config = config
        self._least = least
        self._resumes = resumes

    def compose(self) -> ComposeResult:
        title = _("Resume {run} with other settings") if self._resumes else _("Change {run} from its next batch on")
        with Vertical(id="steer", classes="dialog"):
            yield Label(title.format(run=self._run_id))
            for field, label in (("lr", _("Learning rate")), ("epochs", _("Epochs"))):
                with Horizontal(classes="steer-row"):
                    yield Label(label, classes="steer-label")
                    yield Input(written(getattr(self._config, field)), id=f"steer-{field}", compact=True)
            yield Label(_("Comparisons do not reuse a run that was changed."), classes="muted")
            yield Label("", id="steer-error")
            with Horizontal(classes="buttons"):
                yield Button(_("Resume") if self._resumes else _("Change"), id="do", variant="primary")
                yield Button(_("Cancel"), id="cancel")

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)

    @on(Input.Submitted)
    @on(Button.Pressed, "#do")
    def _change(self) -> None:
        try:
            request = self._request()
        except InvalidSetting as invalid:
            self.query_one("#steer-error", Label).update(Content(say(invalid)))
            return
        self.dismiss(request if request != NOTHING or self._resumes else None)

    def _request(self) -> Request:
        """Return what was typed that is not as it was. Raises `InvalidSetting`."""
        typed = {field: self.query_one(f"#steer-{field}", Input).value.strip() for field in _FIELDS}
        changed = {  # what is shown may have fewer digits than the setting
            field: setting_from_text(field, text)
            for field, text in typed.items()
            if text != written(getattr(self._config, field))
        }
        if changed.get("epochs", self._config.epochs) < self._least:
            raise InvalidSetting("epochs", "ask for at least {count} epochs", count=self._least)
        return Request(**changed)
