"""Every key of the dashboard, in one table for the bindings, the footer and the help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingsMap

from tui_app.i18n import _

ARROWS = (
    Binding("up", "move(-1, 0)", show=False),
    Binding("down", "move(1, 0)", show=False),
    Binding("left", "move(0, -1)", show=False),
    Binding("right", "move(0, 1)", show=False),
)
"""Arrow bindings for a widget with rows and columns."""


@dataclass(frozen=True)
class Key:
    """An action with its keys, in Textual's spelling; the first is displayed. `in_footer` marks the essential ones."""

    keys: str
    action: str
    text: str
    help: str
    in_footer: bool = True

    @property
    def names(self) -> list[str]:
        """Key names as printed on a keyboard."""
        return [_name(key) for key in self.keys.split(",")]


def _name(key: str) -> str:
    signs = {"question_mark": "?", "plus": "+", "minus": "-", "less_than_sign": "<", "greater_than_sign": ">"}
    if key in signs:
        return signs[key]
    words = {
        "shift": _("Shift"),
        "escape": _("Esc"),
        "space": _("Space"),
        "up": _("Up"),
        "down": _("Down"),
        "pageup": _("PgUp"),
        "pagedown": _("PgDn"),
    }
    return "+".join(words.get(part, part.capitalize() if len(part) > 1 else part) for part in key.split("+"))


def bind(bindings: BindingsMap, table: Iterable[Key]) -> None:
    """Bind the keys of a table; the footer shows the first key of each action."""
    for key in table:
        first, *others = key.keys.split(",")
        bindings.bind(first, key.action, key.text, show=key.in_footer, key_display=key.names[0])
        for other in others:
            bindings.bind(other, key.action, key.text, show=False)


def key_table() -> tuple[Key, ...]:
    """Return the dashboard's keys, with their texts in the current language."""
    return (
        Key("f5,ctrl+t", "screen.train", _("Train"), _("Start a run with the settings of the form")),
        Key("f6,s", "screen.stop", _("Stop"), _("Ask the current run to stop; it saves a checkpoint first")),
        Key("f7,r", "screen.resume", _("Resume"), _("Resume the current run from its checkpoint")),
        Key("p", "screen.pause", _("Pause"), _("Hold the current run, or let it go on"), False),
        Key(
            "e",
            "screen.steer",
            _("Change"),
            _("Change the learning rate or the epochs of the current run, or resume it with others"),
            False,
        ),
        Key(
            "f8,l",
            "screen.toggle_log_scale",
            _("Log scale"),
            _("Switch the loss scale: linear, logarithmic or automatic"),
        ),
        Key("f9,o", "screen.toggle_overlay", _("Overlay"), _("Overlay the selected run on the chart, or remove it")),
        Key(
            "f11,x",
            "screen.next_x_unit",
            _("x axis"),
            _("Plot losses by epoch, by seconds of training or by multiply–accumulates"),
            False,
        ),
        *_chart_keys(),
        Key(
            "shift+f5,c", "screen.compare", _("Compare"), _("Train networks on the same seeds, and compare them"), False
        ),
        Key("t", "screen.runs", _("Runs"), _("Find, sort, compare and delete runs in a table of all of them"), False),
        Key("f3,d", "screen.show_digits", _("Digits"), _("View the images that the current run gets wrong"), False),
        Key("f12,w", "screen.draw", _("Draw"), _("Draw a digit, and see how the runs in the chart classify it"), False),
        Key(
            "shift+f6,h",
            "screen.test",
            _("Conditions"),
            _("Test the runs in the chart on shifted, rotated and noisy digits"),
            False,
        ),
        Key("f4,v", "screen.show_log", _("Log"), _("Read the log of the current run, tracebacks included"), False),
        Key("u", "screen.take_settings", _("Settings"), _("Fill the form with the settings of the current run"), False),
        Key("z", "screen.fill", _("Full screen"), _("Let a panel fill the screen, and go back"), False),
        Key("f2", "screen.next_panel", _("Next panel"), _("Go to the next panel"), False),
        Key("shift+f2", "screen.previous_panel", _("Previous panel"), _("Go to the previous panel"), False),
        Key("f1,question_mark", "app.help", _("Help"), _("This help")),
        Key("f10,q", "app.quit", _("Quit"), _("Quit; runs in progress can continue")),
    )


def _chart_keys() -> tuple[Key, ...]:
    return (
        Key("a", "screen.next_metric", _("Accuracy"), _("Plot the accuracy after each epoch, or the losses"), False),
        Key(
            "m",
            "screen.next_smoothing",
            _("Smoothing"),
            _("Smooth the batch losses by an exponential moving mean of weight 0.6, 0.9, 0.97, 0.99, or not"),
            False,
        ),
        Key(
            "b",
            "screen.next_band",
            _("Band"),
            _("Draw seeds with their range, or with the 95% interval of their mean"),
            False,
        ),
        Key("plus,equals_sign", "screen.zoom(1)", _("Zoom in"), _("Zoom in on the cursor, as the wheel does"), False),
        Key("minus", "screen.zoom(-1)", _("Zoom out"), _("Zoom out"), False),
        Key("0", "screen.show_whole", _("Whole chart"), _("Show the whole chart, without its cursor"), False),
        Key("less_than_sign", "screen.pan(-1)", _("Earlier"), _("Move a zoomed chart to earlier epochs"), False),
        Key("greater_than_sign", "screen.pan(1)", _("Later"), _("Move a zoomed chart to later epochs"), False),
        Key(
            "i",
            "screen.read_chart",
            _("Read off"),
            _("Read values off the chart: the arrows move a cursor, with Shift ten times as far"),
            False,
        ),
    )


# Keys of the side screens


def _back() -> Key:
    return Key("escape", "leave", _("Back"), _("Back to the dashboard"))


def compare_keys() -> tuple[Key, ...]:
    return (
        Key("f5", "compare", _("Compare"), _("Train the missing runs, and compare")),
        Key("f6", "stop", _("Stop"), _("Stop the runs in progress; each saves a checkpoint first")),
        Key("f9", "overlay", _("Curves"), _("Show the curves of all these runs in the chart")),
        _back(),
    )


def runs_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "show", _("Open"), _("Show the run under the cursor")),
        Key("space", "select", _("Select"), _("Select the run under the cursor, or no longer")),
        Key("a", "select_all", _("All"), _("Select all runs of the table, or none"), False),
        Key("s", "sort", _("Sort"), _("Sort by the column under the cursor, again the other way round")),
        Key("x", "differing", _("Differences"), _("Show only the columns in which the runs differ, or all")),
        Key("k", "columns", _("Columns"), _("Choose the columns"), False),
        Key("f,slash", "filter", _("Filter"), _("Type which runs to show, by the words of mnist-tui runs --help")),
        Key("o,f9", "overlay", _("Overlay"), _("Show the curves of the selected runs in the chart"), False),
        Key("c,shift+f5", "compare", _("Compare"), _("Compare the configurations of the selected runs"), False),
        Key("t", "tag", _("Tag"), _("Give the selected runs tags, or take some away"), False),
        Key("r", "rename", _("Rename"), _("Give the run under the cursor a name"), False),
        Key("n", "note", _("Note"), _("Write a note on the selected runs"), False),
        Key("d,delete", "delete", _("Delete"), _("Delete the selected runs; none in progress")),
        Key(
            "p",
            "prune",
            _("Prune"),
            _("Delete the runs that failed, diverged or crashed before their first epoch was done, after a question"),
            False,
        ),
        _back(),
    )


def digits_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "enlarge", _("Enlarge"), _("Show the image under the cursor as large as the screen allows")),
        Key("pagedown", "turn(1)", _("Next page"), _("Go to the next page")),
        Key("pageup", "turn(-1)", _("Previous page"), _("Go to the previous page")),
        Key("left", "move(0, -1)", _("Left"), _("Go to the image before"), False),
        Key("right", "move(0, 1)", _("Right"), _("Go to the image after"), False),
        Key("up", "move(-1, 0)", _("Up"), _("Go to the image above"), False),
        Key("down", "move(1, 0)", _("Down"), _("Go to the image below"), False),
        _back(),
    )


def canvas_keys() -> tuple[Key, ...]:
    return (
        Key("space", "toggle_pen", _("Pen"), _("Lower or lift the pen; the arrows move it")),
        Key("c,delete,backspace", "clear", _("Clear"), _("Clear the drawing")),
    )


def draw_keys() -> tuple[Key, ...]:
    return (Key("f3", "open", _("Open"), _("Open a photograph or scan of a digit")), _back())


def conditions_keys() -> tuple[Key, ...]:
    return (Key("f5", "test", _("Test"), _("Test under the conditions entered")), _back())
