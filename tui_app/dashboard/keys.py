"""Every key of the dashboard, in one table for the bindings, the footer and the help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from textual.binding import Binding, BindingsMap

from tui_app.dashboard.widgets.chart_panel import SMOOTHINGS
from tui_app.i18n import _, short

ARROWS = (
    Binding("up", "move(-1, 0)", show=False),
    Binding("down", "move(1, 0)", show=False),
    Binding("left", "move(0, -1)", show=False),
    Binding("right", "move(0, 1)", show=False),
)
"""Arrow bindings for a widget with rows and columns."""


ALWAYS, NEVER = 9, -1
"""Importance of a key that the footer never leaves out, and of one that it never shows."""


@dataclass(frozen=True)
class Key:
    """An action with its keys, in Textual's spelling.

    `importance`, from 0 to `ALWAYS`, decides which keys the footer shows where there is no room for all.
    """

    keys: str
    action: str
    text: str
    help: str
    importance: int = 5

    @property
    def each(self) -> list[str]:
        return self.keys.split(",")

    @property
    def names(self) -> list[str]:
        """Key names as printed on a keyboard."""
        return [key_name(key) for key in self.each]

    @property
    def is_everywhere(self) -> bool:
        """True for a key that every screen has, or every side screen."""
        return self.action.startswith("app.") or self.action == "leave"

    @property
    def verb(self) -> str:
        """Name of the action without the node that has it."""
        return self.action.rpartition(".")[2].partition("(")[0]


def key_name(key: str) -> str:
    """Return the name of a key in Textual's spelling as it is printed on a keyboard."""
    names = {
        "question_mark": "?",
        "plus": "+",
        "minus": "-",
        "equals_sign": "=",
        "slash": "/",
        "comma": ",",
        "full_stop": ".",
        "less_than_sign": "<",
        "greater_than_sign": ">",
        "shift": _("Shift"),
        "escape": _("Esc"),
        "space": _("Space"),
        "enter": _("Enter"),
        "delete": _("Del"),
        "backspace": _("Backspace"),
        "up": _("Up"),
        "down": _("Down"),
        "left": _("Left"),
        "right": _("Right"),
        "pageup": _("PgUp"),
        "pagedown": _("PgDn"),
    }
    return "+".join(names.get(part, part.capitalize() if len(part) > 1 else part) for part in key.split("+"))


def bind(bindings: BindingsMap, table: Iterable[Key]) -> None:
    """Bind the keys of a table."""
    for key in table:
        for each in key.each:
            bindings.bind(each, key.action, key.text, show=False)


def key_table() -> tuple[Key, ...]:
    """Return the dashboard's own keys, with their texts in the current language."""
    return (
        Key("f5,ctrl+t", "screen.train", _("Train"), _("Start a run with the settings of the form"), 8),
        Key("f6,s", "screen.stop", _("Stop"), _("Ask the current run to stop; it saves a checkpoint first"), 8),
        Key("f7,r", "screen.resume", _("Resume"), _("Resume the current run from its checkpoint"), 6),
        Key("p", "screen.pause", _("Pause"), _("Hold the current run, or let it go on"), 3),
        Key(
            "e",
            "screen.steer",
            _("Change"),
            _("Change the learning rate or the epochs of the current run, or resume it with others"),
            2,
        ),
        Key("f3,d", "screen.show_digits", _("Digits"), _("View the images that the current run gets wrong"), 7),
        Key(
            "shift+f3,n",
            "screen.look_inside",
            _("Inside"),
            _("Look inside the current run's network: an image on its way through it, layer by layer"),
            6,
        ),
        *(replace(key, action=f"screen.{key.action}", importance=1) for key in moment_keys()),
        Key("f12,w", "screen.draw", _("Draw"), _("Draw a digit, and see how the runs in the chart classify it"), 7),
        Key(
            "shift+f6,h",
            "screen.test",
            _("Conditions"),
            _("Test the runs in the chart on shifted, rotated and noisy digits"),
            7,
        ),
        Key("shift+f5,c", "screen.compare", _("Compare"), _("Train networks on the same seeds, and compare them"), 7),
        Key(
            "g,shift+f1",
            "screen.open_exam",
            _("Exam"),
            _("The fourteen questions of the exam: guess, see for yourself, then read the answer"),
            5,
        ),
        Key(
            "y",
            "screen.open_program",
            _("Program"),
            _("Go through the exam's program line by line, and see what each line makes"),
            1,
        ),
        Key("t", "screen.runs", _("Runs"), _("Find, sort, compare and delete runs in a table of all of them"), 5),
        Key("f9,o", "screen.toggle_overlay", _("Overlay"), _("Overlay the selected run on the chart, or remove it"), 5),
        Key("O", "screen.show_alone", _("Alone"), _("Remove every overlaid run from the chart"), 0),
        Key(
            "f8,l",
            "screen.chart('toggle_log_scale')",
            _("Log scale"),
            _("Switch the loss scale: linear, logarithmic or automatic"),
            4,
        ),
        Key(
            "f11,x",
            "screen.chart('next_x_unit')",
            _("x axis"),
            _("Plot losses by epoch, by seconds of training or by multiply–accumulates"),
            1,
        ),
        *_chart_keys(),
        Key("f4,v", "screen.show_log", _("Log"), _("Read the log of the current run, tracebacks included"), 3),
        Key("u", "screen.take_settings", _("Settings"), _("Fill the form with the settings of the current run"), 2),
        Key("z", "screen.fill", _("Full screen"), _("Let a panel fill the screen, and go back"), 4),
        Key("f2", "screen.next_panel", _("Next panel"), _("Go to the next panel"), 1),
        Key("shift+f2", "screen.previous_panel", _("Previous panel"), _("Go to the previous panel"), 0),
    )


def app_keys() -> tuple[Key, ...]:
    """Return the keys that every screen has."""
    return (
        Key("f1,question_mark", "app.help", _("Help"), _("This help"), ALWAYS),
        Key("f10,q", "app.quit", _("Quit"), _("Quit; runs in progress can continue"), ALWAYS),
        Key("ctrl+p", "app.command_palette", _("Menu"), _("Find a command, run, setting or theme by typing"), 6),
    )


def _chart_keys() -> tuple[Key, ...]:
    return (
        Key(
            "a", "screen.chart('next_metric')", _("Accuracy"), _("Plot the accuracy after each epoch, or the losses"), 4
        ),
        Key(
            "m",
            "screen.chart('next_smoothing')",
            _("Smoothing"),
            _("Smooth the batch losses by an exponential moving mean of weight {weights}, or not").format(
                weights=", ".join(short(weight) for weight in SMOOTHINGS if weight)
            ),
            0,
        ),
        Key(
            "b",
            "screen.chart('next_band')",
            _("Band"),
            _("Draw seeds with their range, or with the 95% interval of their mean"),
            0,
        ),
        Key(
            "plus,equals_sign",
            "screen.chart('zoom', 1)",
            _("Zoom in"),
            _("Zoom in on the cursor, as the wheel does"),
            0,
        ),
        Key("minus", "screen.chart('zoom', -1)", _("Zoom out"), _("Zoom out"), 0),
        Key("0", "screen.chart('show_whole')", _("Whole chart"), _("Show the whole chart, without its cursor"), 0),
        Key("less_than_sign", "screen.chart('pan', -1)", _("Earlier"), _("Move a zoomed chart to earlier epochs"), 0),
        Key("greater_than_sign", "screen.chart('pan', 1)", _("Later"), _("Move a zoomed chart to later epochs"), 0),
        Key(
            "i",
            "screen.read_chart",
            _("Read off"),
            _("Read values off the chart: the arrows move a cursor, with Shift ten times as far"),
            0,
        ),
    )


# Keys of the side screens


def _back() -> Key:
    return Key("escape", "leave", _("Back"), _("Back to the dashboard"), ALWAYS)


def compare_keys() -> tuple[Key, ...]:
    return (
        Key("f5", "compare", _("Compare"), _("Train the missing runs, and compare")),
        Key("f6", "stop", _("Stop"), _("Stop the runs in progress; each saves a checkpoint first")),
        Key("f9", "overlay", _("Curves"), _("Show the curves of all these runs in the chart")),
        Key("pagedown", "turn(1)", _("Next page"), _("Scroll down the answer"), 0),
        Key("pageup", "turn(-1)", _("Previous page"), _("Scroll up the answer"), 0),
        _back(),
    )


def runs_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "show", _("Open"), _("Show the run under the cursor"), 8),
        Key("space", "select", _("Select"), _("Select or deselect the run under the cursor"), 8),
        Key("a", "select_all", _("All"), _("Select all runs of the table, or none"), 3),
        Key("f,slash", "filter", _("Filter"), _("Type which runs to show, by the words of mnist-tui runs --help"), 7),
        Key("s", "sort", _("Sort"), _("Sort by the column under the cursor, again the other way round"), 6),
        Key("o,f9", "overlay", _("Overlay"), _("Show the curves of the selected runs in the chart"), 6),
        Key("c,shift+f5", "compare", _("Compare"), _("Compare the configurations of the selected runs"), 6),
        Key("d,delete", "delete", _("Delete"), _("Delete the selected runs; none in progress"), 6),
        Key("x", "differing", _("Differences"), _("Show only the columns in which the runs differ, or all"), 5),
        Key("k", "columns", _("Columns"), _("Choose the columns"), 4),
        Key("t", "tag", _("Tag"), _("Give the selected runs tags, or take some away"), 4),
        Key("r", "rename", _("Rename"), _("Give the run under the cursor a name"), 3),
        Key("n", "note", _("Note"), _("Write a note on the selected runs"), 2),
        Key(
            "p",
            "prune",
            _("Prune"),
            _("Delete the runs that failed, diverged or crashed before their first epoch was done, after a question"),
            3,
        ),
        _back(),
    )


def digits_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "look_inside", _("Inside"), _("Follow the image under the cursor through the network"), 7),
        Key("z", "enlarge", _("Enlarge"), _("Show the image under the cursor as large as the screen allows")),
        *moment_keys(),
        Key("pagedown", "turn(1)", _("Next page"), _("Go to the next page")),
        Key("pageup", "turn(-1)", _("Previous page"), _("Go to the previous page")),
        Key("left", "move(0, -1)", _("Left"), _("Go to the image before"), NEVER),
        Key("right", "move(0, 1)", _("Right"), _("Go to the image after"), NEVER),
        Key("up", "move(-1, 0)", _("Up"), _("Go to the image above"), NEVER),
        Key("down", "move(1, 0)", _("Down"), _("Go to the image below"), NEVER),
        _back(),
    )


def moment_keys() -> tuple[Key, ...]:
    """Return the keys of whatever can be put at another moment of a training."""
    return (
        Key("comma", "moment(-1)", _("Earlier"), _("Go to an earlier moment of the training"), 5),
        Key("full_stop", "moment(1)", _("Later"), _("Go to a later moment of the training"), 3),
        Key("j", "play", _("Play"), _("Play the moments of the training one after another"), 4),
    )


def inside_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "deeper", _("Deeper"), _("Go down: from the way through to a layer, from there to a value"), 8),
        Key("pagedown", "turn(1)", _("Next layer"), _("Go to the next layer"), 4),
        Key("pageup", "turn(-1)", _("Previous layer"), _("Go to the layer before"), 3),
        Key("w", "why", _("Why"), _("Show what hiding each place of the image does to the answer, or not"), 7),
        Key("n", "nearest", _("Nearest"), _("Show the training images that the network sees most like this one"), 6),
        Key("b", "beside", _("Beside"), _("Show a second run beside this one, on the same image"), 4),
        *moment_keys(),
        Key("plus,equals_sign", "image(1)", _("Next image"), _("Go to the next test image"), 4),
        Key("minus", "image(-1)", _("Previous image"), _("Go to the test image before"), 2),
        *(
            Key(name, f"move({rows}, {columns})", text, help_text, NEVER)
            for name, rows, columns, text, help_text in (
                ("up", -1, 0, _("Up"), _("Go up: to a layer, a channel or a value")),
                ("down", 1, 0, _("Down"), _("Go down: to a layer, a channel or a value")),
                ("left", 0, -1, _("Left"), _("Go to the channel, or the value, before")),
                ("right", 0, 1, _("Right"), _("Go to the channel, or the value, after")),
            )
        ),
        Key("escape,backspace", "leave", _("Back"), _("Go up a level, and from the first one back"), ALWAYS),
    )


def program_keys() -> tuple[Key, ...]:
    return (
        Key("enter,n", "go", _("Next"), _("Execute the next line; run the chosen change beside the original"), 8),
        Key("b", "step('batch')", _("Batch"), _("Go on to the next batch"), 7),
        Key("e", "step('epoch')", _("Epoch"), _("Go on to the end of the epoch"), 7),
        Key("f", "step('end')", _("End"), _("Go on to the end of the program"), 5),
        Key("space", "stop", _("Stop"), _("Stop the program after the batch in progress"), 6),
        Key("r", "restart", _("Restart"), _("Begin the program anew"), 4),
        Key("m", "model", "RN_1/RN_2", _("Let the program train the other network"), 4),
        Key("up", "move(-1)", _("Up"), _("Go up: to a line that has made something, or to another change"), NEVER),
        Key("down", "move(1)", _("Down"), _("Go down: to a line that has made something, or to another change"), NEVER),
        Key("pagedown", "turn(1)", _("Next page"), _("Scroll down the text"), 0),
        Key("pageup", "turn(-1)", _("Previous page"), _("Scroll up the text"), 0),
        _back(),
    )


def canvas_keys() -> tuple[Key, ...]:
    return (
        Key("space", "toggle_pen", _("Pen"), _("Lower or lift the pen; the arrows move it")),
        Key("c,delete,backspace", "clear", _("Clear"), _("Clear the drawing")),
    )


def draw_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "look_inside", _("Inside"), _("Follow the drawing through the first run's network"), 7),
        Key("f3", "open", _("Open"), _("Open a photograph or scan of a digit")),
        _back(),
    )


def conditions_keys() -> tuple[Key, ...]:
    return (Key("f5", "test", _("Test"), _("Test under the conditions entered")), _back())


def exam_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "go_on", _("Go on"), _("Give the guess, then see for yourself, then go to the next question"), 8),
        Key("s,f5", "show_me", _("Show me"), _("Open a screen that shows the answer; again: the next one"), 8),
        Key("t,f6", "train", _("Train one"), _("Train the run that this question needs"), 7),
        Key("r,f7", "again", _("Again"), _("Guess again what was missed, or seen without a guess"), 6),
        Key("a,f8", "open_annexe", _("Annexe"), _("Fill in Annexe 1, and have it marked"), 6),
        Key("p,f9", "open_program", _("Program"), _("The exam's program, line by line"), 6),
        Key("right,ctrl+right", "turn(1)", _("Next"), _("Go to the next question"), 7),
        Key("left,ctrl+left", "turn(-1)", _("Previous"), _("Go to the question before"), 5),
        Key("pagedown", "page(1)", _("Page down"), _("Scroll down a page; at the end, go to the next question"), NEVER),
        Key("pageup", "page(-1)", _("Page up"), _("Scroll up a page; at the top, go to the question before"), NEVER),
        Key("down", "scroll(1)", _("Down"), _("Scroll down the answer"), NEVER),
        Key("up", "scroll(-1)", _("Up"), _("Scroll up the answer"), NEVER),
        _back(),
    )


def layers_keys() -> tuple[Key, ...]:
    return (
        Key("enter", "pick", _("Inside"), _("Look inside the layer under the cursor, in a trained run"), 7),
        Key("up", "move(-1)", _("Up"), _("Go to the layer above"), NEVER),
        Key("down", "move(1)", _("Down"), _("Go to the layer below"), NEVER),
        replace(_back(), help=_("Back to the question")),
    )


def annexe_keys() -> tuple[Key, ...]:
    return (
        Key("f2", "hint", _("Hint"), _("Give a hint for this cell: what to look at, the formula, its numbers"), 8),
        Key("f3", "network", _("Network"), _("Go to the next network's sheet"), 7),
        Key("f4", "exam", _("Exam"), _("Begin the exam, an hour with empty sheets, or put it away"), 6),
        Key("f5", "hand_in", _("Hand in"), _("End the exam, and see the marks"), 5),
        Key("f6", "code", _("Code"), _("Read the network's code"), 8),
        Key("f7", "key", _("Answers"), _("Show the right answers of this row, or not"), 4),
        Key("f8", "clear", _("Empty"), _("Empty this sheet"), 2),
        Key("enter", "enter", _("Mark"), _("Mark the cell, and go on if it is right; again, go on anyway"), NEVER),
        Key("tab", "move(0, 1)", _("Next cell"), _("Go to the next cell"), NEVER),
        Key("shift+tab", "move(0, -1)", _("Previous cell"), _("Go to the previous cell"), NEVER),
        Key("down", "move(1, 0)", _("Down"), _("Go to the cell below"), NEVER),
        Key("up", "move(-1, 0)", _("Up"), _("Go to the cell above"), NEVER),
        _back(),
    )
