"""What is the same in two documents of one comparison, carried out in two places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.comparing.stored import StoredComparison
from core.runs.directory import Run
from tests.end_to_end.terminal import Place

_TIMES = {"seconds_per_epoch", "images_per_s", "at_once"}


def without_times(document: Any) -> Any:
    """Return a document without what differs from one training to another."""
    if isinstance(document, dict):
        return {name: without_times(each) for name, each in document.items() if name not in _TIMES}
    return [without_times(each) for each in document] if isinstance(document, list) else document


def command(place: Place, *options: str) -> tuple[str, ...]:
    """Return a comparison of RN_1 and a slow network, six runs in all."""
    common = ("--seeds", "3", "--epochs", "3", "--dataset", "sample", "--threads", "1", "--lang", "en")
    return ("compare", "RN_1", place.slow, *common, *options)


def comparison(place: Place) -> StoredComparison:
    """Return the only comparison in a place."""
    (folder,) = (place.runs_dir / ".comparisons").iterdir()
    return StoredComparison(folder)


def training(place: Place) -> list[Run]:
    """Return the runs of the slow network that are being trained."""
    runs = map(Run, sorted(place.runs_dir.glob("slow-*")))
    return [run for run in runs if run.state() == "running" and run.summary().loss]


def log(place: Place) -> str:
    """Return what the process that carries the comparison out has said."""
    return "\n".join(path.read_text() for path in Path(place.runs_dir).glob(".comparisons/*/log.txt"))
