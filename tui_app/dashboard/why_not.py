"""Why an action of the dashboard can do nothing now, and what to do first."""

from __future__ import annotations

from core.runs.record import LIVE, RESUMABLE, State
from tui_app import wording
from tui_app.dashboard.run_book import RunBook, ShownRun
from tui_app.i18n import _

_APPLIES_TO: dict[str, frozenset[State]] = {
    "stop": LIVE,
    "resume": RESUMABLE | {"paused"},
    "pause": LIVE,
    "steer": LIVE | RESUMABLE | {"done"},
}
"""States in which a run can be controlled so."""
_NEED_A_RESULT_OF_IT = ("show_digits", "moment", "play")
_NEED_A_RUN = (*_APPLIES_TO, *_NEED_A_RESULT_OF_IT, "show_log", "take_settings", "look_inside")
_NEED_A_RESULT = ("draw", "test")
VERBS = (*_NEED_A_RUN, *_NEED_A_RESULT, "toggle_overlay", "show_alone")
"""Actions that are not always possible."""


def why_not(verb: str, book: RunBook) -> str:
    """Return a sentence; an empty one if the action can do something."""
    current = book.current
    if verb == "toggle_overlay" and not book.summaries:
        return _("There is no run yet: F5 starts one.")
    if verb == "show_alone" and not book.overlaid:
        return _("No run is overlaid: o overlays the one under the cursor of the list.")
    if verb in _NEED_A_RUN:
        return _no_run(book) if current is None else _why_not_with(current, verb)
    if verb in _NEED_A_RESULT and not any(each.record.evaluated for each in book.shown):
        return _("No trained network yet: pick a finished run in the list, or train one with F5.")
    return ""


def no_snapshots() -> str:
    """Return that a run kept nothing of its training, and how another does."""
    return _("This run kept no snapshots: train one with --snapshots, or from the dashboard.")


def _no_run(book: RunBook) -> str:
    if book.summaries:
        return _("No run is shown: pick one in the list with Enter or a click.")
    return _("There is no run yet: F5 starts one.")


def _why_not_with(current: ShownRun, verb: str) -> str:
    values = {"run": current.run.id, "state": wording.state_name(current.state)}
    if verb in _NEED_A_RESULT_OF_IT and current.record.evaluated is None:
        if verb != "show_digits":
            return _("{run} ({state}) has no result yet, whose earlier moments could be shown.").format(**values)
        if current.state in LIVE:
            return _("{run} has no result yet: its images come when it has been tested.").format(**values)
        return _("{run} ({state}) has no result: F7 resumes it, or pick another run.").format(**values)
    if verb == "look_inside" and current.record.started is None:
        return _("{run} ({state}) has not started: there is no network to look into yet.").format(**values)
    started = current.record.started
    if verb in ("moment", "play") and (started is None or started.config.snapshots < 2):  # the last: trained network
        return no_snapshots()
    if verb not in _APPLIES_TO or current.state in _APPLIES_TO[verb]:
        return ""
    if verb == "resume":
        if current.state == "done":
            return _("{run} is done: press e to train it for more epochs.").format(**values)
        if current.state in LIVE:
            return _("{run} ({state}) is in progress already; F6 stops it.").format(**values)
        return _("{run} ({state}) cannot be resumed: pick another run.").format(**values)
    if verb == "steer":
        return _("{run} ({state}) cannot be changed: pick another run.").format(**values)
    return _("{run} ({state}) is not in progress: F5 starts a new run, F7 resumes a stopped one.").format(**values)
