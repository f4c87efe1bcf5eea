"""The command palette: every action, setting and theme, and every run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.markup import escape

from core.runs.directory import Summary
from tui_app import wording
from tui_app.dashboard.keys import Key
from tui_app.dashboard.screens.keyed_screen import KeyedScreen
from tui_app.dashboard.screens.panel_screen import PanelScreen
from tui_app.dashboard.widgets.run_form import RunForm
from tui_app.dashboard.widgets.runs_panel import RunsPanel
from tui_app.i18n import _, percent, printable
from tui_app.settings import all_settings

_IN_WORDS = 1000.0
"""Score of what has the words typed, and not only their letters somewhere in this order."""
_MOST_RUNS = 20
"""Number of runs that are offered at most, the newest first: typing more finds the others."""


_DO_SOMETHING = frozenset(
    {"train", "stop", "resume", "pause", "steer", "compare", "test", "delete", "prune", "quit", "leave"}
)
"""Actions that start, change or end something, and do not only show it."""


@dataclass(frozen=True)
class Offer:
    """A command that the palette offers."""

    text: str
    help: str
    act: Callable[[], Awaitable[Any] | None]


class Commands(Provider):
    """The commands of a screen, searched as they are typed; before that, its actions."""

    async def discover(self) -> Hits:
        for command in self._actions():
            yield DiscoveryHit(command.text, self._later(command), help=escape(command.help))

    async def search(self, query: str) -> Hits:
        matcher, words = self.matcher(query), query.casefold().split()
        for command in (*self._actions(), *self._settings(), *self._themes()):
            if (score := matcher.match(command.text)) > 0:
                score = _IN_WORDS + 1 if _has(command.text, words) else min(score, _IN_WORDS - 1)
                yield Hit(score, matcher.highlight(command.text), self._later(command), help=escape(command.help))
        for command in islice(self._runs(words), 2 * _MOST_RUNS):
            yield Hit(_IN_WORDS, escape(command.text), self._later(command), help=escape(command.help))

    def _later(self, command: Offer) -> Callable[[], object]:
        """Return a function that gives a command once the palette is closed."""
        return partial(self.app.call_later, command.act)

    def _actions(self) -> Iterator[Offer]:
        screen = self.screen
        keys = screen.keys if isinstance(screen, KeyedScreen) else ()
        for key in sorted(keys, key=lambda key: key.verb in _DO_SOMETHING):  # Enter takes the first one
            if hasattr(screen, f"action_{key.verb}") or (key.action.startswith("app.") and "palette" not in key.verb):
                yield Offer(key.text, f"{key.names[0]} · {key.help}", partial(self._press, key))
        app: Any = self.app
        yield Offer(_("Screenshot"), _("Save a picture of the screen"), app.action_screenshot)
        yield Offer(_("Theme"), _("Change the colours"), app.action_change_theme)

    async def _press(self, key: Key) -> None:
        screen = self.screen
        if not await self.app.run_action(key.action, screen) and isinstance(screen, KeyedScreen):
            screen.say_why_not(key)

    def _themes(self) -> Iterator[Offer]:
        for name in self.app.available_themes:
            yield Offer(_("Theme: {name}").format(name=name), "", partial(setattr, self.app, "theme", name))

    def _settings(self) -> Iterator[Offer]:
        for form in self.screen.query(RunForm):
            for setting in all_settings():
                act = partial(self._on_panel, "form", partial(form.go_to, setting.field))
                yield Offer(_("Set {setting}…").format(setting=setting.label), setting.help, act)

    def _runs(self, words: Sequence[str]) -> Iterator[Offer]:
        """Yield the runs that have each of these words in their command, name, tags or network, the newest first."""
        for panel in self.screen.query(RunsPanel):
            for summary in panel.newest_first:
                model = summary.config.model if summary.config is not None else ""
                known = " ".join((summary.name, *summary.tags, model))
                for text, message in ((_("Show {run}"), RunsPanel.Picked), (_("Overlay {run}"), RunsPanel.Ticked)):
                    command = text.format(run=printable(summary.id))
                    if _has(f"{command} {known}", words):
                        tell = partial(panel.post_message, message(summary.id))
                        yield Offer(command, _described(summary), partial(self._on_panel, "chart", tell))

    def _on_panel(self, panel: str, act: Callable[[], object]) -> None:
        """Do something once a panel is in front, where only some of them are to be seen."""
        screen = self.screen
        if isinstance(screen, PanelScreen):
            screen.turn_to(panel)
            screen.call_after_refresh(act)


def _has(text: str, words: Sequence[str]) -> bool:
    """Tell whether each of these words, in small letters, is in a text."""
    text = text.casefold()
    return all(word in text for word in words)


def _described(summary: Summary) -> str:
    """Return what a run is: `base · RN_2, dropout 0.5 · lr 0.001 · batch 64 · done · 97.51%`."""
    parts = [printable(summary.name)]
    if summary.config is not None:
        parts.append(wording.settings_line(summary.config, 0))
    parts += [wording.state_of(summary), "" if summary.accuracy is None else percent(summary.accuracy)]
    return " · ".join(filter(None, parts))
