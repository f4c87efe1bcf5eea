"""A few rounds of the torture test; run more by hand with `python -m tests.end_to_end.torture --rounds 50`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.forks import ForkServer
from tests.end_to_end.torture import torture

pytestmark = pytest.mark.slow


def test_nothing_is_lost(tmp_path: Path, forks: Callable[[], ForkServer], capsys: pytest.CaptureFixture[str]) -> None:
    assert torture(2, 1, tmp_path / "place", forks(), flips=1) == []
    said = capsys.readouterr().out
    assert "runs that came back: 2 of 2" in said
    faults = re.search(r"2 rounds, (\d+) faults", said)
    assert faults is not None
    assert int(faults[1]) >= 2
