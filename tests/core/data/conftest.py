"""Small data sets in the catalogue, and a network that is not there."""

from __future__ import annotations

from urllib.error import URLError

import pytest

from core import catalogue
from core.data import http


@pytest.fixture
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the catalogue's data sets by small ones."""
    from tests.core.data.small_sets import SMALL

    for name, entry in SMALL.items():
        monkeypatch.setitem(catalogue.DATA_SETS, name, entry)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(http, "urlopen", fail)
