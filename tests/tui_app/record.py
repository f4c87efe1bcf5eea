"""Record what the dashboard's tests need of torch: `python -m tests.tui_app.record`, which takes half a minute.

It records two finished runs, with regular times and without the name of this machine, and some layer tables. Those of
the built-in networks come with the program.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy

from core import files
from core.catalogue import NETWORKS
from core.config import Architecture, RunConfig
from core.networks import kept_tables, tabulate
from core.networks.build import build_network
from core.networks.layer_table import LayerTable
from core.runs import directory
from core.runs.events import EpochEnded, Event, Progress, RunStarted, encode
from core.worker.carry_out import carry_out
from tests.tui_app.recorded import FOLDER, TABLES, VARIANTS, Recorded

_BEGAN = 1_700_000_000.0
_STEP_S = 0.01
_IMAGES_PER_S = 64 / _STEP_S


def built_in_tables() -> list[LayerTable]:
    """Return the layer tables of the built-in networks that the current code produces."""
    return [_table(Architecture(model=name)) for name in NETWORKS]


def variants() -> list[Recorded]:
    """Return those of the variants that the tests show."""
    return [Recorded(architecture, _table(architecture)) for architecture in VARIANTS]


def _table(architecture: Architecture) -> LayerTable:
    return tabulate.layer_table(build_network(architecture), architecture.model)


def _record_run(config: RunConfig, place: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = directory.create(Path(folder), config)
        carry_out(run, lambda _event: None, lambda: False)
        lines = b"".join(encode(event) for event in _even(run.reader().read_new()))
        with numpy.load(run.result_paths("predictions", ".npz")[0]) as arrays:
            predictions = dict(arrays)
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_bytes(msgspec.json.format(msgspec.json.encode(config), indent=2) + b"\n")
    (place / "events.jsonl").write_bytes(lines)
    content = io.BytesIO()
    numpy.savez_compressed(content, allow_pickle=False, **predictions)
    files.replace(place / "predictions.npz", content.getvalue())


def _even(events: Iterable[Event]) -> Iterable[Event]:
    """Yield events as an anonymous machine would have written them, with every step taking equally long."""
    steps = elapsed_s = 0.0
    for event in events:
        changes: dict[str, object] = {}
        if isinstance(event, RunStarted):
            steps = event.steps_per_epoch
            changes = {"device_name": "A processor", "torch_version": "2.9"}
        elif isinstance(event, Progress):
            elapsed_s = round(_STEP_S * (steps * (event.epoch - 1) + event.step), 6)
            changes = {"elapsed_s": elapsed_s, "images_per_s": _IMAGES_PER_S}
        elif isinstance(event, EpochEnded):
            changes = {"seconds": round(_STEP_S * steps, 6)}
        yield msgspec.structs.replace(event, time=_BEGAN + elapsed_s, **changes)


def main() -> None:
    for path, tables in ((kept_tables.BUILT_IN, built_in_tables()), (TABLES, variants())):
        path.write_bytes(msgspec.json.format(msgspec.json.encode(tables), indent=2) + b"\n")
    for number, model in enumerate(("RN_1", "RN_2"), start=1):
        config = RunConfig(model=model, dataset="sample", epochs=2, threads=1, seed=1, data_dir="/nowhere")
        _record_run(config, FOLDER / f"rn{number}-{number:04d}")


if __name__ == "__main__":
    main()
