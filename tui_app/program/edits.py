"""Diffs of the exam's program: the errors that were mended, and prepared changes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.exam.program import MENDS, Change, DiffLine, diff, printed, program
from core.exam.steps import Outcome
from tui_app.i18n import _, number, percent, say

_STYLES = {"-": "$text-error", "+": "$text-success", " ": "$text-muted"}


def diff_text(places: Sequence[Sequence[DiffLine]]) -> Content:
    """Write a diff: removed lines, added ones, and what is around them."""
    lines = [
        Content.styled(f"{line.number:>4} {line.sign} {line.text}", _STYLES[line.sign])
        for place in places
        for line in place
    ]
    return Content("\n").join(lines)


def mended() -> Content:
    """Write the errors of the printed program, what was meant, and why."""
    parts = [Content(_("As the exam prints it (-), the program does not run. Four places were mended (+):"))]
    for mend, place in zip(MENDS, diff(printed(), program()), strict=True):
        parts += [diff_text([place]), Content(_(mend.why))]
    parts.append(Content.styled(_("Long lines are wrapped; nothing else was changed."), "$text-muted"))
    return Content("\n\n").join(parts)


def choice(changes: Sequence[Change], chosen: int) -> Content:
    """Write the list of the changes, one of them chosen."""
    return Content("\n").join(
        Content.styled(f"▸ {_(each.title)}", "bold $text-primary") if i == chosen else Content(f"  {_(each.title)}")
        for i, each in enumerate(changes)
    )


def change_text(change: Change, model: str) -> Content:
    """Write what a change is, and what to expect of it."""
    return Content("\n\n").join([diff_text(diff(*change.sources(model), around=0)), Content(_(change.expect))])


def names() -> tuple[str, str]:
    """Return the names of the two programs that are compared."""
    return _("original"), _("changed")


def results(*outcomes: Outcome) -> str:
    """Say what came of both programs."""
    return "\n".join(f"{name}: {_result(each)}" for name, each in zip(names(), outcomes, strict=True))


def _result(outcome: Outcome) -> str:
    if outcome.fault is not None:
        return say(outcome.fault)
    text = _("{correct} of {total} right in the test, {share}")
    share = percent(outcome.correct / outcome.total) if outcome.total else "–"
    return text.format(correct=number(outcome.correct), total=number(outcome.total), share=share)
