"""Fixtures for a place with runs, whose processes end with the test."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.end_to_end.forks import ForkServer
from tests.end_to_end.terminal import Place


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Restore SIGINT: a shell's background jobs ignore it, and so would every command started from here."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def forks() -> Iterator[Callable[[], ForkServer]]:
    """Return a function that starts the fork server when a test first needs it."""
    servers: list[ForkServer] = []

    def get() -> ForkServer:
        if not servers:
            servers.append(ForkServer())
        return servers[0]

    yield get
    for server in servers:
        server.close()


@pytest.fixture
def place(tmp_path: Path, forks: Callable[[], ForkServer]) -> Iterator[Place]:
    made = Place(tmp_path, forks)
    yield made
    made.end_all()


@pytest.fixture(scope="module")
def shared_place(tmp_path_factory: pytest.TempPathFactory, forks: Callable[[], ForkServer]) -> Iterator[Place]:
    """Create a place that a module's tests share, for tests that only look at runs."""
    made = Place(tmp_path_factory.mktemp("place"), forks)
    yield made
    made.end_all()
