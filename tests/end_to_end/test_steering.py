"""Runs that are paused and changed while they train, by the real commands."""

from __future__ import annotations

import json
import re

import pytest

from core.runs.directory import Run
from core.runs.events import Progress, SettingsChanged
from tests.end_to_end.terminal import Place, all_events, wait_for_event
from tests.json_checks import check_lines

pytestmark = pytest.mark.slow


def test_a_run_is_paused_changed_and_goes_on(place: Place) -> None:
    options = ("--dataset", "sample", "--threads", "1", "--epochs", "50", "--model", place.slow)
    started = place.command("--detach", *options, PAUSE="0.03")
    run = Run(place.runs_dir / started.out.strip())
    wait_for_event(run, Progress)
    paused = place.command("pause", "--json", "--lang", "en")
    (line,) = check_lines(paused.out)
    assert (paused.code, line["type"], line["paused"]) == (0, "settings_changed", True)
    at = re.search(rf"Run {run.id}: paused at epoch (\d+), batch ", paused.err)
    assert at is not None, paused.err
    epoch = int(at[1])
    (entry,) = json.loads(place.command("runs", "--json").out)
    assert entry["state"] == "paused"
    assert place.command("pause", "--lang", "en").err.endswith("is paused already.\n")
    changed = place.command("set", run.id, "--lr", "0,01", "--epochs", str(epoch + 1), "--lang", "en")
    assert changed.code == 0
    assert f"Run {run.id}: learning rate 0.01, {epoch + 1} epochs, after epoch {epoch}, batch " in changed.err
    assert place.command("set", run.id, "--lang", "en").code == 2
    assert place.command("set", run.id, "--epochs", "0", "--lang", "en").code == 2
    goes_on = place.command("resume", run.id, "--lang", "en")
    assert (goes_on.code, goes_on.err) == (0, f"Run {run.id}: goes on.\n")
    assert place.command("wait", run.id).code == 0
    told = [event for event in all_events(run) if isinstance(event, SettingsChanged)]
    assert [event.paused for event in told] == [True, None, False]
    assert len({(event.epoch, event.step) for event in told}) == 1
    assert "done, changed" in place.command("runs", "--lang", "en").out
    refused = place.command("resume", run.id, "--no-ui", "--lang", "en")
    assert refused.code == 1
    assert f"mnist-tui resume {run.id} --epochs N" in refused.err
    longer = place.fork("resume", "--epochs", str(epoch + 2), "--no-ui", "--lang", "en")
    assert longer.wait() == 0
    assert longer.out.startswith(f"Epoch {epoch + 2}/{epoch + 2}, Loss: ")
    assert place.command("set", "--lr", "1").code == 1  # nothing is in progress
