"""The help: the panels explained, and every key."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_app.dashboard.keys import Key, key_table
from tui_app.i18n import _


class HelpScreen(ModalScreen[None]):
    """The help in a dialog that scrolls and that Escape closes. `keys` are those of a side screen, if any."""

    BINDINGS = [Binding("escape,f1,question_mark,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, keys: tuple[Key, ...] | None = None) -> None:
        super().__init__()
        self._keys = keys

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="help") as dialog:
            dialog.border_title = _("Help")
            dialog.border_subtitle = _("Esc closes")
            if self._keys is not None:
                yield Static(_key_list(self._keys))
                return
            yield Static(
                _(
                    "Choose a network, a device and the number of epochs, then press Train. The run has a process of"
                    " its own: it continues when this dashboard, its terminal or its connection closes, and is shown"
                    " again next time."
                )
            )
            yield Static(_key_list(key_table()))
            yield Static(
                _(
                    "Tab and Shift+Tab move between fields, the arrows within one; Enter and Space choose. In the"
                    " list of runs, Enter shows a run and Space overlays it on the chart. Ctrl+P opens the command"
                    " palette, which includes the themes."
                )
            )
            yield Static(
                _(
                    "Overlaid runs that differ only in their seed are drawn as one: their mean with a band, from"
                    " the lowest to the highest or the 95% interval of the mean. The current run joins them if it is"
                    " overlaid too. ◆ is the validation loss; its figures are the validation accuracies in %. ▲ is the"
                    " lowest validation loss, once two epochs in a row were two percent higher while the training loss"
                    " fell: overfitting begins. Smoothed losses are debiased, and their weight counts batches."
                    " Multiply–accumulates count the forward passes only: the backward passes take about twice"
                    " as many."
                )
            )


def _key_list(keys: Iterable[Key]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for key in keys:
        table.add_row("  ".join(key.names), key.help)
    return table
