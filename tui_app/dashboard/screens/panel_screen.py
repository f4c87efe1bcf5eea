"""A screen of panels: all at once if there is room, else one or two at a time, behind tabs."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Tab, Tabs

from tui_app.dashboard.screens.keyed_screen import KeyedScreen

Arrangement = Literal["too-small", "tabs", "pairs", "together", "columns"]
"""What a screen has room for: no panel, one, the two of a group, or all, then with the groups as columns."""


def arrangement(size: Size) -> Arrangement:
    """Return the arrangement for a terminal of this size."""
    if size.width < 80 or size.height < 24:
        return "too-small"
    if size.width >= 120 and size.height >= 40:
        return "columns" if size.width >= 160 else "together"
    return "pairs" if size.height >= 40 or (size.width >= 100 and size.height >= 28) else "tabs"


class PanelScreen(KeyedScreen[None]):
    """A screen of panels. `PANELS` are their ids in tab order; the style sheet decides which are visible."""

    PANELS: ClassVar[tuple[str, ...]]
    arrangement: Arrangement | None = None

    def arrange_for(self, size: Size) -> None:
        """Arrange the panels for a terminal of this size."""
        new = arrangement(size)
        if new != self.arrangement:
            self.update_classes({f"-{self.arrangement}": False, f"-{new}": True})
            self.arrangement = new

    def on_resize(self, event: Resize) -> None:
        self.arrange_for(event.size)
        if self.maximized is not None:
            if self.arrangement == "too-small":
                self.minimize()
            elif self.maximized.id:  # it fills the new size, too
                self.turn_to(self.maximized.id)

    def compose_panels(self, names: tuple[str, ...], groups: dict[str, tuple[Widget, Widget]]) -> ComposeResult:
        """Yield the tabs, titled by `names`, and the groups of panels by their ids."""
        tabs = Tabs(*(Tab(name, id=f"tab-{panel}") for name, panel in zip(names, self.PANELS, strict=True)), id="tabs")
        tabs.can_focus = False  # the arrows are for the panel in front
        yield tabs
        containers = (Vertical(*panels, id=group, classes="group") for group, panels in groups.items())
        yield Container(*containers, id="panels", classes=f"show-{self.PANELS[0]}")

    def turn_to(self, panel: str) -> None:
        """Switch to a panel's tab; a panel that fills the screen makes way for another."""
        self.query_one("#tabs", Tabs).active = f"tab-{panel}"
        if self.maximized is not None and self.maximized.id != panel:
            self.minimize()

    def bring_forward(self, panel: str) -> None:
        """Turn to a panel that is behind a tab, or behind another one that fills the screen."""
        if not self.query_one(f"#{panel}").size:
            self.turn_to(panel)

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
        if self.maximized is not None:
            self.minimize()
        if self.query_one("#tabs", Tabs).display:
            here = self.PANELS.index(self.panel_in_front)
            self.turn_to(self.PANELS[(here + offset) % len(self.PANELS)])
            return
        focusable = [panel for panel in self.PANELS if self._first_focusable(panel) is not None]
        here = next((i for i, panel in enumerate(focusable) if self.query_one(f"#{panel}").has_focus_within), -1)
        self.set_focus(self._first_focusable(focusable[(here + offset) % len(focusable)]))

    def action_fill(self) -> None:
        """Let the panel that is used fill the screen, or go back."""
        if self.maximized is not None:
            self.minimize()
        else:
            self.maximized = self.query_one(f"#{self._panel_in_use()}")

    def _panel_in_use(self) -> str:
        """Return the id of the panel with the focus, or else that of the tab in front."""
        focused = (panel for panel in self.PANELS if self.query_one(f"#{panel}").has_focus_within)
        return next(focused, self.panel_in_front)

    def _first_focusable(self, panel: str) -> Widget | None:
        widget = self.query_one(f"#{panel}")
        inside = [widget, *widget.query("*")]
        return next((w for w in self.focus_chain if w in inside), None)

    @on(Tabs.TabActivated, "#tabs")
    def _show_panel(self, event: Tabs.TabActivated) -> None:
        chosen = (event.tab.id or "").removeprefix("tab-")
        self.query_one("#panels").update_classes({f"show-{panel}": panel == chosen for panel in self.PANELS})
        if self.query_one("#tabs").display:
            self.call_after_refresh(self._focus_in, chosen)

    def _focus_in(self, panel: str) -> None:
        """Let the keys go to a panel that has come to the front."""
        first = None if self.query_one(f"#{panel}").has_focus_within else self._first_focusable(panel)
        if first is not None:
            first.focus()
