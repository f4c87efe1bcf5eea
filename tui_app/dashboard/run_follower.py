"""Tasks that read runs, and the list of runs, as they change, and post the news to the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from textual.dom import DOMNode
from textual.message import Message
from textual.worker import Worker as Task

from core.files import disk_is_full
from core.runs.directory import Listing, Summary
from core.runs.record import LIVE, UNENDED, State
from tui_app.dashboard.run_book import RunBook, ShownRun

LISTING_INTERVAL_S, BUSY_LISTING_INTERVAL_S = 2.0, 6.0


class News(Message):
    """Sent when a run has new events or may have changed its state."""

    def __init__(self, run_id: str, state: State, *, has_events: bool) -> None:
        super().__init__()
        self.run_id = run_id
        self.state = state
        self.has_events = has_events


class Listed(Message):
    """Sent with the current list of runs."""

    def __init__(self, summaries: Sequence[Summary], began_s: float, *, disk_is_full: bool) -> None:
        super().__init__()
        self.summaries = summaries
        self.began_s = began_s
        """Start of the reading by the monotonic clock."""
        self.disk_is_full = disk_is_full


class RunFollower:
    """Follower that keeps a book's runs up to date. `screen` receives `News`, `Listed` and the tasks' failures."""

    def __init__(self, book: RunBook, screen: DOMNode) -> None:
        self._book = book
        self._listing = Listing(book.runs_dir)
        self._screen = screen

    def list_runs(self) -> None:
        """Read the folder now, and every few seconds from now on."""
        self._run(self._list, "listing", exclusive=True)

    def follow(self, run_id: str) -> None:
        """Read a run until it ends, and again if another process has resumed it."""
        followed = self._book.follow(run_id)
        if not followed.is_read and (followed.state in LIVE or self._is_listed_otherwise(followed)):
            followed.is_read = True
            followed.state = "starting"
            self._run(partial(self._read, followed), "follow")

    def _run(self, task: Callable[[], Coroutine[Any, Any, None]], group: str, *, exclusive: bool = False) -> Task[None]:
        """Run a task, which is a function since a coroutine cancelled before its first step is never awaited."""
        return self._screen.run_worker(task, group=group, exclusive=exclusive, exit_on_error=False)

    def _is_listed_otherwise(self, followed: ShownRun) -> bool:
        state = self._book.listed_state(followed.run.id)
        return state is not None and (state in LIVE or state != followed.state)

    async def _list(self) -> None:
        while True:
            began_s = time.monotonic()
            summaries = await asyncio.to_thread(self._listing.read)
            is_full = await asyncio.to_thread(disk_is_full, self._book.runs_dir)
            self._screen.post_message(Listed(summaries, began_s, disk_is_full=is_full))
            await asyncio.sleep(BUSY_LISTING_INTERVAL_S if self._book.is_busy else LISTING_INTERVAL_S)

    async def _read(self, followed: ShownRun) -> None:
        is_first = True  # the panels may still show a run that this one has replaced
        try:
            while self._book.followed[followed.run.id] is followed:
                # Read the state first, so that everything written before the end is read.
                state = await asyncio.to_thread(followed.current_state)
                while events := await asyncio.to_thread(followed.read_chunk):
                    followed.record.apply(events)
                    self._screen.post_message(News(followed.run.id, state, has_events=True))
                self._screen.post_message(News(followed.run.id, state, has_events=is_first))
                is_first = False
                if state not in UNENDED:
                    return
                await asyncio.sleep(followed.interval_s)
        finally:
            followed.is_read = False
