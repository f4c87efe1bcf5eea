"""A screen of panels: all at once if there is room, else one at a time, as tabs."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Tab, Tabs

from tui_app.dashboard.screens.keyed_screen import KeyedScreen


class PanelScreen(KeyedScreen[None]):
    """A screen of panels. `PANELS` are their ids in tab order; the style sheet decides which are visible."""

    PANELS: ClassVar[tuple[str, ...]]

    def compose_panels(self, names: tuple[str, ...], panels: tuple[Widget, ...]) -> ComposeResult:
        """Yield the tabs, titled by `names`, and the container of the panels."""
        yield Tabs(*(Tab(name, id=f"tab-{panel}") for name, panel in zip(names, self.PANELS, strict=True)), id="tabs")
        yield Container(*panels, id="panels", classes=f"show-{self.PANELS[0]}")

    def turn_to(self, panel: str) -> None:
        """Switch to a panel's tab."""
        self.query_one("#tabs", Tabs).active = f"tab-{panel}"

    @property
    def panel_in_front(self) -> str:
        """Id of the panel whose tab is active."""
        return (self.query_one("#tabs", Tabs).active or f"tab-{self.PANELS[0]}").removeprefix("tab-")

    @property
    def in_focus(self) -> Widget:
        """Widget with the focus; where the panels are tabs, the panel in front if nothing in it has the focus."""
        panel = self.query_one(f"#{self.panel_in_front}")
        return super().in_focus if panel.has_focus_within or not self.query_one("#tabs").display else panel

    def action_next_panel(self) -> None:
        self._go_to_panel(1)

    def action_previous_panel(self) -> None:
        self._go_to_panel(-1)

    def _go_to_panel(self, offset: int) -> None:
        if self.query_one("#tabs", Tabs).display:
            here = self.PANELS.index(self.panel_in_front)
            self.turn_to(self.PANELS[(here + offset) % len(self.PANELS)])
            return
        focusable = [panel for panel in self.PANELS if self._first_focusable(panel) is not None]
        here = next((i for i, panel in enumerate(focusable) if self.query_one(f"#{panel}").has_focus_within), -1)
        self.set_focus(self._first_focusable(focusable[(here + offset) % len(focusable)]))

    def _first_focusable(self, panel: str) -> Widget | None:
        widget = self.query_one(f"#{panel}")
        inside = [widget, *widget.query("*")]
        return next((w for w in self.focus_chain if w in inside), None)

    @on(Tabs.TabActivated, "#tabs")
    def _show_panel(self, event: Tabs.TabActivated) -> None:
        chosen = (event.tab.id or "").removeprefix("tab-")
        panels = self.query_one("#panels")
        for panel in self.PANELS:
            panels.set_class(panel == chosen, f"show-{panel}")
