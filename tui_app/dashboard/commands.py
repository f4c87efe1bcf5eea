"""The command palette: every action, setting and theme, and every run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape

from core.runs.directory import Summary
from tui_app import wording
from tui_app.dashboard.keys import Key
from tui_app.dashboard.screens.dashboard_screen import Dashboard
from tui_app.dashboard.screens.keyed_screen import KeyedScreen
from tui_app.i18n import _, percent, printable
from tui_app.settings import all_settings

_MOST_RUNS = 20
"""Number of runs that are offered at most, the newest first: typing more finds the others."""


@dataclass(frozen=True)
class Command:
    """A command as the palette shows it."""

    text: str
    help: str
    act: Callable[[], Awaitable[Any] | None]


class Commands(Provider):
    """The commands of a screen, searched as they are typed; before that, its actions."""

    async def discover(self) -> Hits:
        for command in self._actions():
            yield DiscoveryHit(command.text, self._later(command), help=escape(command.help))

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in (*self._actions(), *self._settings(), *self._themes()):
            if (score := matcher.match(command.text)) > 0:
                yield Hit(score, matcher.highlight(command.text), self._later(command), help=escape(command.help))
        for command in islice(self._runs(query.casefold().split()), 2 * _MOST_RUNS):
            yield Hit(1, escape(command.text), self._later(command), help=escape(command.help))

    def _later(self, command: Command) -> Callable[[], object]:
        """Return a function that gives a command once the palette is closed."""
        return partial(self.app.call_later, command.act)

    def _actions(self) -> Iterator[Command]:
        screen = self.screen
        for key in screen.keys if isinstance(screen, KeyedScreen) else ():
            if hasattr(screen, f"action_{key.verb}") or (key.action.startswith("app.") and "palette" not in key.verb):
                yield Command(f"{key.text} ({key.names[0]})", key.help, partial(self._press, key))
        app: Any = self.app
        yield Command(_("Screenshot"), _("Save a picture of the screen"), app.action_screenshot)
        yield Command(_("Theme"), _("Change the colours"), app.action_change_theme)

    async def _press(self, key: Key) -> None:
        screen = self.screen
        if not await self.app.run_action(key.action, screen) and isinstance(screen, KeyedScreen):
            screen.say_why_not(key)

    def _themes(self) -> Iterator[Command]:
        for name in self.app.available_themes:
            yield Command(_("Theme: {name}").format(name=name), "", partial(setattr, self.app, "theme", name))

    def _settings(self) -> Iterator[Command]:
        if isinstance(self.screen, Dashboard):
            for setting in all_settings():
                text = _("Set {setting}…").format(setting=setting.label)
                yield Command(text, setting.help, partial(self.screen.go_to_setting, setting.field))

    def _runs(self, words: Iterable[str]) -> Iterator[Command]:
        """Yield the runs that have each of these words in their command, name, tags or network, the newest first."""
        dashboard = self.screen
        if not isinstance(dashboard, Dashboard):
            return
        acts = (_("Show {run}"), dashboard.show_run), (_("Overlay {run}"), dashboard.toggle_overlay)
        for summary in reversed(dashboard.summaries):
            model = summary.config.model if summary.config is not None else ""
            known = " ".join((summary.name, *summary.tags, model))
            for text, act in acts:
                command = text.format(run=printable(summary.id))
                found = f"{command} {known}".casefold()
                if all(word in found for word in words):
                    yield Command(command, _described(summary), partial(act, summary.id))


def _described(summary: Summary) -> str:
    """Return what a run is: `base · RN_2, dropout 0.5 · lr 0.001 · batch 64 · done · 97.51%`."""
    parts = [printable(summary.name)]
    if summary.config is not None:
        parts.append(wording.settings_line(summary.config, 0))
    parts += [wording.state_of(summary), "" if summary.accuracy is None else percent(summary.accuracy)]
    return " · ".join(filter(None, parts))
