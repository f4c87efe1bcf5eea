"""Events as a worker would have written them."""

from __future__ import annotations

from typing import Any

import msgspec

from core.config import RunConfig
from core.runs.events import RunStarted


def started(config: RunConfig, **fields: Any) -> RunStarted:
    """Return the start of a run on the sample, on the CPU; `fields` override the rest."""
    known = RunStarted(
        config=config,
        device="cpu",
        device_name="A processor",
        torch_version="2.9",
        threads=config.threads or 2,
        dataset="sample",
        dataset_title="MNIST sample (5,000 images)",
        class_names=tuple("0123456789"),
        train_size=4000,
        test_size=1000,
        parameters=567_434,
        steps_per_epoch=63,
        macs=566_528,
    )
    return msgspec.structs.replace(known, **fields)
