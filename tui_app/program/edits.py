"""Diffs of the exam's program: the errors that were mended, and prepared changes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.exam.program import MENDS, Change, DiffLine, diff, printed, program
from core.exam.steps import Outcome
from tui_app.i18n import _, number, percent, say
from tui_app.program.wrapping import wrapped

_STYLES = {"-": "$text-error", "+": "$text-success", " ": "$text-muted"}


def diff_text(places: Sequence[Sequence[DiffLine]]) -> Content:
    """Write a diff: removed lines, added ones, and what is around them."""
    lines = [
        Content.styled(f"{line.number:>4} {line.sign} {line.text}", _STYLES[line.sign])
        for place in places
        for line in place
    ]
    return Content("\n").join(lines)


def mended(width: int) -> Content:
    """Write the errors of the printed program, what was meant, and why, in lines of this width."""
    head = _("As the exam prints it (-), the program does not run. Four places were mended (+):")
    parts = [Content(wrapped(head, width))]
    for mend, place in zip(MENDS, diff(printed(), program()), strict=True):
        parts += [diff_text([place]), Content(wrapped(_(mend.why), width))]
    parts.append(Content.styled(_("Long lines are wrapped; nothing else was changed."), "$text-muted"))
    return Content("\n\n").join(parts)


def change_text(changes: Sequence[Change], chosen: int, model: str, width: int, *, is_short: bool) -> Content:
    """Write the list of the changes, and what the chosen one is; if `is_short`, of the list only that one.

    Lines are as wide as that.
    """
    change = changes[chosen]
    edit, expect = diff_text(diff(*change.sources(model), around=0)), Content(wrapped(_(change.expect), width))
    if is_short:
        text = _("{title} ({number} of {count}; Up and Down choose)")
        title = text.format(title=_(change.title), number=chosen + 1, count=len(changes))
        return Content("\n").join([Content.styled(title, "bold $text-primary"), edit, expect])
    names = [
        Content.styled(f"▸ {_(each.title)}", "bold $text-primary") if each is change else Content(f"  {_(each.title)}")
        for each in changes
    ]
    return Content("\n").join([*names, Content(), edit, Content(), expect])


def names() -> tuple[str, str]:
    """Return the names of the two programs that are compared."""
    return _("original"), _("changed")


def results(*outcomes: Outcome) -> str:
    """Say what came of both programs."""
    pairs = zip(names(), outcomes, strict=True)
    return "\n".join(_("{place}: {value}").format(place=name, value=_result(each)) for name, each in pairs)


def _result(outcome: Outcome) -> str:
    if outcome.fault is not None:
        return say(outcome.fault)
    text = _("{correct} of {total} right in the test, {share}")
    share = percent(outcome.correct / outcome.total) if outcome.total else "–"
    return text.format(correct=number(outcome.correct), total=number(outcome.total), share=share)
