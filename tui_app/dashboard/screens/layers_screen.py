"""The layer table of a built-in network, over the screen that asks about it."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.widgets import Header

from core.config import Architecture
from core.messages import N_
from tui_app.dashboard.keys import layers_keys
from tui_app.dashboard.screens.side_screen import SideScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.layer_panel import LayerPanel


class LayersScreen(SideScreen[None]):
    """A layer table that fills the screen; `look` opens a layer inside a trained network."""

    AUTO_FOCUS = "LayerPanel"
    HELP = N_("Annexe 1, filled in: the arrows choose a layer, and Enter looks inside it, in a trained run.")

    def __init__(self, model: str, look: Callable[[str], None]) -> None:
        super().__init__(layers_keys())
        self._model = model
        self._look = look

    def compose(self) -> ComposeResult:
        yield Header()
        yield LayerPanel(id="layers", classes="panel")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self.query_one(LayerPanel).show(Architecture(model=self._model))

    @on(LayerPanel.Picked)
    def _picked(self, message: LayerPanel.Picked) -> None:
        message.stop()
        self._look(message.layer)
