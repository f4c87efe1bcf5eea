"""Recordings written by `tests.tui_app.record`, read without torch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy

from core.config import Architecture
from core.networks import kept_tables
from core.networks.layer_table import LayerTable
from core.runs.directory import Run

FOLDER = Path(__file__).parent
TABLES = FOLDER / "layer_tables.json"
RUN_IDS = ("rn1-0001", "rn2-0002")

VARIANTS = (
    Architecture(model="RN_2", dropout=0.5),
    Architecture(model="RN_2", dropout=0.5, width=0.5),
    Architecture(model="RN_2", dropout=0.5, width=0.5, batch_norm=True),
    Architecture(model="RN_2", width=0.5, batch_norm=True),
    Architecture(model="RN_2", batch_norm=True),
    Architecture(model="RN_1", dropout=0.25, width=0.25),
)


class Recorded(msgspec.Struct, frozen=True):
    """A variant of a built-in network, and its layer table."""

    architecture: Architecture
    table: LayerTable


def layer_tables() -> dict[Architecture, LayerTable]:
    """Return the layer tables that come with the program, and the recorded ones."""
    recorded = msgspec.json.decode(TABLES.read_bytes(), type=list[Recorded])
    return {**kept_tables.built_in(), **{each.architecture: each.table for each in recorded}}


def run_of(model: str) -> Run:
    """Return the recorded run of a built-in network; for a custom network, that of RN_1."""
    return Run(FOLDER / RUN_IDS[model == "RN_2"])


def predictions_of(model: str) -> dict[str, Any]:
    """Return the label, the predicted class and its probability for each test image."""
    with numpy.load(run_of(model).path / "predictions.npz") as arrays:
        return dict(arrays)


def copy_runs(runs_dir: Path) -> Path:
    """Copy the two finished runs, rn1-0001 and rn2-0002, into a folder: two epochs on the sample, seed 1."""
    for run_id in RUN_IDS:
        shutil.copytree(FOLDER / run_id, runs_dir / run_id)
    return runs_dir
