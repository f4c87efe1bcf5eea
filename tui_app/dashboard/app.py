"""The application: everything that does not belong to a single screen."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.command import CommandPalette
from textual.geometry import Size
from textual.screen import Screen

from core.messages import Message, reason
from core.runs.control import Request
from core.worker.at_end import AtEnd
from tui_app.charts import palette
from tui_app.dashboard.keys import bind, key_table
from tui_app.dashboard.screens.dashboard_screen import Dashboard
from tui_app.dashboard.screens.side_screen import SideScreen
from tui_app.dashboard.worker_link import Launch, StandbyProcess
from tui_app.i18n import _, say

TERMINAL_CHECK_S = 1.0
GC_DELAY_S = 1.0
SIZE_CHECK_S = 1.0
EXIT_TIMEOUT_S = 2.0
"""Maximum seconds to wait on exit for a terminal that has stopped reading."""


def _leave_without_terminal() -> None:
    while os.isatty(2):
        time.sleep(TERMINAL_CHECK_S)
    os._exit(128 + signal.SIGHUP)


class MnistTui(App[int]):
    """The dashboard for a folder of runs; `settings` fill its form, `run_id` is opened at once."""

    CSS_PATH = "app.tcss"
    TITLE = "mnist-tui"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]  # noqa: RUF012

    def __init__(
        self,
        runs_dir: Path,
        settings: dict[str, Any],
        run_id: str | None = None,
        *,
        resume: Request | None = None,
        at_end: AtEnd = AtEnd(),  # noqa: B008 - it is immutable
        launch: Launch | None = None,
    ) -> None:
        super().__init__()
        launch = launch or partial(StandbyProcess, at_end.command)
        self._dashboard = Dashboard(runs_dir, settings, run_id, launch, resume=resume, notifies=at_end.notifies)
        # Arranging the panels up front saves painting the first screen twice: a tenth of a second.
        self._dashboard.arrange_for(Size(*shutil.get_terminal_size()))
        bind(self._bindings, key_table())
        # Textual offers no other way to translate the text of its own key.
        self._bindings.key_to_bindings[self.COMMAND_PALETTE_BINDING] = [
            Binding(
                self.COMMAND_PALETTE_BINDING,
                "command_palette",
                _("palette"),
                show=False,
                priority=True,
                tooltip=_("Open the command palette"),
            )
        ]

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return palette.variables(dark=self.current_theme.dark)

    def get_default_screen(self) -> Screen[Any]:
        return self._dashboard

    def run_in_terminal(self) -> int:
        """Run in the terminal and return the exit code."""
        gc.disable()  # saves a tenth of the time to the first painting
        self.call_later(self.set_timer, GC_DELAY_S, gc.enable)
        self.call_later(self._watch_terminal)
        result = self.run()
        return result or self.return_code or 0

    def _watch_terminal(self) -> None:
        """Exit cleanly when the terminal closes or the system shuts down, as on a quit."""
        for number in (signal.SIGHUP, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._leave, 128 + number)
        # Not on the event loop: drawing to a terminal that is gone may block it forever.
        threading.Thread(target=_leave_without_terminal, daemon=True).start()

    def on_mount(self) -> None:
        self.set_interval(SIZE_CHECK_S, self._check_size)

    def _check_size(self) -> None:
        """Correct a stale size: after quick resizes Textual may report an older one last, to the app or a screen."""
        if tuple(self.size) != tuple(shutil.get_terminal_size()):
            signal.raise_signal(signal.SIGWINCH)  # makes Textual read the size again
        for screen in self.screen_stack:
            if screen.outer_size != self.size:
                screen.post_message(events.Resize(self.size, self.size))

    def _leave(self, code: int) -> None:
        """Exit at once: nothing is lost, since everything about a run is in its directory."""
        stalled = threading.Timer(EXIT_TIMEOUT_S, os._exit, (code,))
        stalled.daemon = True
        stalled.start()
        self.exit(code)

    async def action_quit(self) -> None:
        live, comparisons = self._dashboard.live_runs(), self._dashboard.live_comparisons()
        if not live and not comparisons:
            self.exit(0)
            return
        from tui_app.dashboard.screens.quit_screen import QuitScreen

        def quit_if_chosen(stop: bool | None) -> None:
            if stop:
                self._dashboard.stop_comparisons(comparisons)  # first: they would start their next runs
                self._dashboard.stop_runs(live)
            if stop is not None:
                self.exit(0)

        await self.push_screen(QuitScreen(live, is_comparing=bool(comparisons)), quit_if_chosen)

    def action_help(self) -> None:
        from tui_app.dashboard.screens.help_screen import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            keys = self.screen.keys if isinstance(self.screen, SideScreen) else None
            self.push_screen(HelpScreen(keys))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand(_("Theme"), _("Change the colours"), self.action_change_theme)
        for key in screen.keys if isinstance(screen, SideScreen) else key_table():
            yield SystemCommand(key.text, key.help, lambda action=key.action: self.call_later(self._run, action))
        yield SystemCommand(_("Screenshot"), _("Save a picture of the screen"), lambda: self.deliver_screenshot())

    async def _run(self, action: str) -> None:
        await self.run_action(action, self.screen)

    # Texts that Textual has only in English

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=_("Search for commands…")))

    def search_themes(self) -> None:
        from textual.theme import ThemeProvider

        self.push_screen(CommandPalette([ThemeProvider], placeholder=_("Search for themes…")))

    def action_help_quit(self) -> None:
        quit_key = next(key for key in key_table() if key.action == "app.quit")
        self.notify(_("{key} quits the program.").format(key=quit_key.names[0]))

    @on(events.DeliveryComplete)
    def _screenshot_saved(self, event: events.DeliveryComplete) -> None:
        event.prevent_default()
        self.notify(_("Screenshot saved to {path}.").format(path=event.path), markup=False)

    @on(events.DeliveryFailed)
    def _screenshot_not_saved(self, event: events.DeliveryFailed) -> None:
        event.prevent_default()
        text = say(Message("the screenshot could not be saved: {reason}", {"reason": reason(event.exception)}))
        self.notify(text, severity="error", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Block other actions until an open question is answered."""
        from tui_app.dashboard.screens.quit_screen import QuitScreen

        if action in ("quit", "help") and isinstance(self.screen, QuitScreen):
            return None
        return super().check_action(action, parameters)
