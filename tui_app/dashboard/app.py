"""The application: everything that does not belong to a single screen."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from textual import events
from textual.app import App
from textual.command import CommandPalette, Provider
from textual.geometry import Size
from textual.screen import Screen

from core.messages import Problem
from core.runs.control import Request
from core.worker.at_end import AtEnd
from core.worker.protocol import AskedImage
from tui_app.charts import palette
from tui_app.dashboard import contrast
from tui_app.dashboard.keys import app_keys, bind
from tui_app.dashboard.screens.dashboard_screen import Dashboard
from tui_app.dashboard.screens.keyed_screen import KeyedScreen
from tui_app.dashboard.worker_link import Launch, StandbyProcess
from tui_app.i18n import _, printable, say

TERMINAL_CHECK_S = 1.0
GC_DELAY_S = 1.0
SIZE_CHECK_S = 1.0
EXIT_TIMEOUT_S = 2.0
"""Maximum seconds to wait on exit for a terminal that has stopped reading."""


def commands() -> type[Provider]:
    """Return the provider of the command palette, which the first painting need not wait for."""
    from tui_app.dashboard.commands import Commands

    return Commands


def _leave_without_terminal() -> None:
    while os.isatty(2):
        time.sleep(TERMINAL_CHECK_S)
    os._exit(128 + signal.SIGHUP)


class MnistTui(App[int]):
    """The dashboard for a folder of runs; `settings` fill its form, `run_id` is opened at once.

    `look` is a picture to follow through that run's network at once, or an empty one to draw, and if that network is
    trusted, whoever the run belongs to. With `exam`, the exam is opened at once.
    """

    COMMANDS = {commands}  # noqa: RUF012
    CSS_PATH = "app.tcss"
    TITLE = "mnist-tui"

    def __init__(
        self,
        runs_dir: Path,
        settings: dict[str, Any],
        run_id: str | None = None,
        *,
        resume: Request | None = None,
        at_end: AtEnd = AtEnd(),  # noqa: B008 - it is immutable
        launch: Launch | None = None,
        look: tuple[AskedImage, bool] | None = None,
        exam: bool = False,
    ) -> None:
        super().__init__()
        self._opens_exam = exam
        launch = launch or partial(StandbyProcess, at_end.command)
        self._dashboard = Dashboard(
            runs_dir, settings, run_id, launch, resume=resume, look=look, notifies=at_end.notifies
        )
        # Arranging the panels up front saves painting the first screen twice: a tenth of a second.
        self._dashboard.arrange_for(Size(*shutil.get_terminal_size()))
        del self._bindings.key_to_bindings[self.COMMAND_PALETTE_BINDING]  # Textual's own, which is not translated
        bind(self._bindings, app_keys())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return palette.variables(dark=self.current_theme.dark)

    def get_css_variables(self) -> dict[str, str]:
        self.theme_variables = contrast.legible(super().get_css_variables(), ansi=self.native_ansi_color)
        return self.theme_variables

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
        if self._opens_exam:
            self.call_after_refresh(self._dashboard.action_open_exam)

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
        live, comparisons = self._dashboard.control.live()
        if not live and not comparisons:
            self.exit(0)
            return
        from tui_app.dashboard.screens.quit_screen import QuitScreen

        def quit_if_chosen(stop: bool | None) -> None:
            if stop:
                self._dashboard.control.stop_all(live, comparisons)
            if stop is not None:
                self.exit(0)

        def is_moot() -> bool:
            return not any(self._dashboard.control.live())

        question = QuitScreen(live, is_comparing=bool(comparisons), is_moot=is_moot)
        await self.push_screen(question, quit_if_chosen)

    def action_help(self) -> None:
        from tui_app.dashboard.screens.help_screen import HelpScreen

        if isinstance(self.screen, KeyedScreen):
            self.push_screen(HelpScreen(self.screen))

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        """Save a picture of the screen in the first folder that takes it, and say where."""
        from tui_app.dashboard.screenshot import save

        try:
            saved = save(self.export_screenshot())
        except Problem as problem:
            self.notify(say(problem), severity="error", markup=False)
        else:
            self.notify(_("Screenshot saved to {path}.").format(path=printable(str(saved))), timeout=10, markup=False)

    # Texts that Textual has only in English

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette(placeholder=_("Search for commands…")))

    def search_themes(self) -> None:
        from tui_app.dashboard.themes import Themes

        self.push_screen(CommandPalette([Themes], placeholder=_("Search for themes…")))

    def action_help_quit(self) -> None:
        quit_key = next(key for key in app_keys() if key.action == "app.quit")
        self.notify(_("{key} quits the program.").format(key=quit_key.names[0]))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Block other actions until an open question is answered."""
        from tui_app.dashboard.screens.quit_screen import QuitScreen

        if action in ("quit", "help") and isinstance(self.screen, QuitScreen):
            return None
        return super().check_action(action, parameters)
