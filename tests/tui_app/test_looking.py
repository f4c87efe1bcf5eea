"""A dashboard that only looks at runs: it starts no worker, and shows the runs that are there, not those that were."""

from __future__ import annotations

import gc
import shutil
import warnings
from pathlib import Path

import msgspec
import pytest
from textual.app import App
from textual.widgets import RadioSet

from core.messages import Message
from core.networks.layer_table import Layer, LayerTable
from core.runs import directory
from tests.tui_app.driving import accuracy_on_show, chart_lines, dashboard, focus, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app.dashboard import run_follower, worker_link
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.run_follower import RunFollower


def copy(finished: Path, old: str, new: str, model: str = "") -> Path:
    """Copy a run under another id, with another name for its network."""
    folder = Path(shutil.copytree(finished / old, finished / new))
    for name in ("config.json", "events.jsonl") if model else ():
        text = (folder / name).read_text()
        for space in ("", " "):
            text = text.replace(f'"model":{space}"RN_2"', f'"model":{space}"{model}"')
        (folder / name).write_text(text)
    return folder


async def test_looking_starts_no_worker_until_the_form_is_used_and_it_ends_when_idle(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python file that a run names is neither there nor asked for, and its table may be damaged or hostile."""
    evil = Layer("[/]\x1b[2J", "X", Message("{kind}[/]"), Message("a"), (9,), 10**30, "[/b]\x1b[3m", "[/]\x1b[1m = 9")
    table = msgspec.json.encode(LayerTable("net.py:Net", (evil,), 10**30, 0))
    for run_id, kept in (("net-0003", table), ("net-0004", table[:-1])):
        (copy(finished, "rn2-0002", run_id, "/nowhere/net.py:Net") / "layers.json").write_bytes(kept)
    workers = FakeWorkers()
    async with dashboard(finished, run_id="rn2-0002", workers=workers) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–" and "421,642" in shown(app))
        assert "the best device here" in shown(app)
        await pilot.press("tab", "shift+tab", "f2", "f8")
        await focus(pilot, app.screen.query_one("#runs"))
        await pilot.press("home", "enter")  # the newest run comes first
        await until(pilot, lambda: "/nowhere/net.py:Net: the layer table was not" in shown(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "[/]�[2J" in shown(app) and "[/b]�[3m" in shown(app) and "[/]�[1m = 9" in shown(app))
        assert workers.started == []

        await focus(pilot, app.screen.query_one("#network", RadioSet))
        await pilot.press("down")
        await until(pilot, lambda: "A processor" in shown(app))
        assert len(workers.started) == 1
        monkeypatch.setattr(worker_link, "IDLE_S", 0.01)
        await pilot.click("#form")
        await until(pilot, lambda: not workers.newest.is_alive, 9)
        await pilot.press("f3")
        await until(pilot, lambda: "51 images" in shown(app) and len(workers.started) > 1)


async def test_a_run_that_has_taken_the_place_of_another_is_shown_as_it_is(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its id and its files are called the same."""
    monkeypatch.setattr(run_follower, "LISTING_INTERVAL_S", 0.05)
    monkeypatch.setattr(directory, "_START_GRACE_S", 0.5)
    place = finished / "rn1-0001"
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–" and "567,434" in shown(app))
        accuracy, curve = accuracy_on_show(app), chart_lines(app)
        shutil.rmtree(place)
        copy(finished, "rn2-0002", "rn1-0001")
        await until(pilot, lambda: accuracy_on_show(app) not in (accuracy, "–") and "421,642" in shown(app))
        await until(pilot, lambda: chart_lines(app) != curve and "Epoch 2/2" in shown(app))
        config = (place / "config.json").read_bytes()
        shutil.rmtree(place)
        place.mkdir()
        (place / "config.json").write_bytes(config)
        await until(pilot, lambda: accuracy_on_show(app) == "–" and "Epoch 2/2" not in shown(app))
        await until(pilot, lambda: "errors in" not in shown(app) and "once a run has started" in shown(app))
        shutil.rmtree(place)
        await until(pilot, lambda: "rn1-0001  " not in shown(app))
        shutil.rmtree(finished)
        await pilot.press("f5")  # its id is the first one again
        await until(pilot, lambda: accuracy_on_show(app) != "–" and "567,434" in shown(app))


async def test_a_listing_asked_for_twice_at_once_leaves_nothing_behind(tmp_path: Path) -> None:
    app: App[None] = App()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        async with app.run_test() as pilot:
            follower = RunFollower(RunBook(tmp_path), app.screen)
            follower.list_runs()
            follower.list_runs()
            await pilot.pause()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
