"""The footer: as many keys as fit, by importance, none cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import ActiveBinding
from textual.widget import Widget

from tui_app.dashboard.keys import ALWAYS, NEVER, Key, key_name

_RARE = 1
"""Importance up to which a key gives way even to those that can do nothing now."""
_GAP = 2
"""Minimum columns between the keys of the screen and those of every screen."""


class FooterKey(NamedTuple):
    """A key that can be pressed where the focus is."""

    key: Key
    press: str
    """Key as Textual spells it."""
    is_enabled: bool

    @property
    def name(self) -> str:
        return key_name(self.press).replace("Ctrl+", "^")

    @property
    def width(self) -> int:
        return cell_len(f"{self.name} {self.key.text} ")


class KeyFooter(Widget):
    """A line with the keys of its screen, which can be clicked.

    Textual's own has a widget for each key, is filled only after the first painting, and is cut off at its right end.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-footer--key", "key-footer--text", "key-footer--disabled"}

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__()
        self._keys = keys
        self._places: list[tuple[range, FooterKey]] = []
        self._entries: list[FooterKey] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self._look())
        self._look()

    def _look(self) -> None:
        if self.screen.is_active:  # else a dialog is over it, and Textual asks that one what is enabled
            found = entries(self._keys, self.screen.active_bindings)
            if found != self._entries:
                self._entries = found
                self.refresh()

    def render(self) -> Text:
        shown = chosen(self._entries, self.size.width - _GAP)
        left = [entry for entry in shown if not entry.key.is_everywhere]
        right = [entry for entry in shown if entry.key.is_everywhere]
        self._places = []
        line = Text(no_wrap=True, end="")
        for group in (left, right):
            if group is right:
                line.pad_right(max(0, self.size.width - line.cell_len - sum(entry.width for entry in right) + 1))
            for entry in group:
                self._places.append((range(line.cell_len, line.cell_len + entry.width - 1), entry))
                line.append(entry.name, self._style("key" if entry.is_enabled else "disabled"))
                line.append(f" {entry.key.text} ", self._style("text" if entry.is_enabled else "disabled"))
        line.right_crop(1)
        return line

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"key-footer--{part}")

    def _entry_at(self, column: int) -> FooterKey | None:
        return next((entry for place, entry in self._places if column in place), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        entry = self._entry_at(event.x)
        self.tooltip = entry.key.help if entry is not None else None

    def on_click(self, event: events.Click) -> None:
        if (entry := self._entry_at(event.x)) is not None:
            self.app.simulate_key(entry.press)


def entries(keys: Sequence[Key], active: Mapping[str, ActiveBinding]) -> list[FooterKey]:
    """Return the keys that can be pressed now, each by its shortest name; those of every screen by their first."""
    found = []
    for key in (each for each in keys if each.importance != NEVER):
        usable = [each for each in key.each if each in active and _is_for(active[each].binding.action, key)]
        if usable:
            press = usable[0] if key.importance == ALWAYS else min(usable, key=lambda each: len(key_name(each)))
            found.append(FooterKey(key, press, active[press].enabled))
    return found


def _is_for(action: str, key: Key) -> bool:
    return action.removeprefix("screen.") == key.action.removeprefix("screen.")


def chosen(found: Sequence[FooterKey], width: int) -> list[FooterKey]:
    """Return the entries that fit, in their order: the important ones, and those that can do something now."""

    def rank(entry: FooterKey) -> tuple[bool, bool, int]:
        importance = entry.key.importance
        return importance != ALWAYS, not entry.is_enabled or importance <= _RARE, -importance

    fitting: list[FooterKey] = []
    left_out: tuple[bool, bool, int] | None = None
    for entry in sorted(found, key=rank):
        if width - entry.width < -1:  # the last one needs no blank after it
            left_out = left_out or rank(entry)
        elif left_out in (None, rank(entry)):  # a shorter one that is as important fits still
            width -= entry.width
            fitting.append(entry)
    return [entry for entry in found if entry in fitting]
