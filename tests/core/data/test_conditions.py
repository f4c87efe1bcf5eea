"""Conditions as typed by a user."""

from __future__ import annotations

import pytest

from core.data import conditions
from core.data.conditions import Condition
from core.messages import InvalidSetting


@pytest.mark.parametrize(
    ("kind", "text", "strengths"),
    [
        ("shift", "1,2,4", [1, 2, 4]),
        ("turn", " 5, 22.5 ", [5, 22.5]),
        ("noise", "0.1,1,0.1", [0.1, 1]),
        ("noise", "0,1,0,5", [0.1, 0.5]),
        ("turn", "7,5; 10", [7.5, 10]),
        ("noise", "0,1 0,3 0,5", [0.1, 0.3, 0.5]),
    ],
)
def test_strengths_that_can_be_typed(kind: conditions.Kind, text: str, strengths: list[float]) -> None:
    assert conditions.from_text(kind, text) == [Condition(kind, strength) for strength in strengths]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("shift", text) for text in ("", "0", "5", "-1", "1.5", "1,,2", "left", "nan")),
        *(("turn", text) for text in ("", "4.9", "46", "-15", "5:15", "inf")),
        *(("noise", text) for text in ("", "0", "1.1", "-0.1", "loud", "1e999")),
    ],
)
def test_strengths_that_cannot_are_refused(kind: conditions.Kind, text: str) -> None:
    with pytest.raises(InvalidSetting):
        conditions.from_text(kind, text)


def test_a_refused_strength_is_named_as_it_was_typed() -> None:
    with pytest.raises(InvalidSetting, match=r"not 0,7$"):
        conditions.from_text("shift", "1,2,0,7")
