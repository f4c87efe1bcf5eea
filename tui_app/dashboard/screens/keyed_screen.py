"""A screen with keys of its own, which its footer, its help and the command palette list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from core.messages import Problem
from tui_app.dashboard.keys import Key, app_keys, bind
from tui_app.i18n import say

Result = TypeVar("Result")


class KeyedScreen(Screen[Result]):
    """A screen whose keys tell why they can do nothing, where that is so."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__()
        self.keys = (*keys, *app_keys())
        """Keys that can be used on this screen."""
        bind(self._bindings, keys)

    @property
    def in_focus(self) -> Widget:
        """Widget whose help is wanted."""
        return self.focused or self

    def why_not(self, verb: str) -> str:
        """Return why an action can do nothing now, and what to do first; nothing if it can."""
        return ""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable an action that can do nothing: it is dimmed in the footer, and its key comes to `on_key`."""
        if self.why_not(action):
            return None
        return super().check_action(action, parameters)

    def _trying(self, act: Callable[[], object]) -> None:
        """Do something, and notify the user of a problem."""
        try:
            act()
        except Problem as problem:
            self._complain(problem)

    def _complain(self, problem: Problem, seconds: float = 10) -> None:
        self.notify(say(problem), severity="error", timeout=seconds, markup=False)

    # Keys that can do nothing

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        self.refresh_bindings()  # what is possible may have changed under a dialog

    def on_key(self, event: events.Key) -> None:
        """Answer a key that no action has taken."""
        for key in self.keys:
            if event.key in key.each:
                self.say_why_not(key)

    def say_why_not(self, key: Key) -> None:
        if why := self.why_not(key.verb):
            self.notify(why, title=key.text, severity="warning", markup=False)
