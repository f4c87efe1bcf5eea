"""The answers that the program itself gives are right to its own marker, for networks of every shape."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from core.exam import copies, examined, exercises, marking
from core.exam.marked_copies import answers
from tui_app import i18n
from tui_app.report import exam_sheets
from tui_app.report.exam_sheets import Sheet


@pytest.fixture(params=["en", "fr"])
def _language(request: pytest.FixtureRequest) -> Iterator[None]:
    i18n.use(request.param)
    yield
    i18n.use("en")


@pytest.mark.usefixtures("_language")
def test_a_key_handed_in_as_a_copy_is_right() -> None:
    for exercise in exercises.exercises(11, 30):
        table = examined.exercise_table(exercise)
        key = copies.parse(exam_sheets.markdown([Sheet(exercise.label, table, "")], key=True).decode())
        (filled,) = key.tables
        found, remarks = answers(table, filled.rows)
        marks = marking.mark_sheet(table, found).marks
        assert [(exercise.number, mark) for mark in marks if mark.state != "right"] == []
        assert (filled.network, remarks) == (exercise.label, [])
