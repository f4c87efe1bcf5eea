"""Events with the health of layers: what is kept of them, and what is refused."""

from __future__ import annotations

import json

import pytest

from core.config import RunConfig
from core.runs.events import LayersMeasured, decode, encode
from core.runs.layer_health import MAX_LAYERS, Histogram, LayerHealth
from core.runs.record import MAX_MEASURED, Record
from tests.recorded import started

HISTOGRAM = Histogram(low=-1.0, high=1.0, counts=(1, 0, 2))
LAYER = LayerHealth(name="relu1", gradient_norm=0.5, dead=0.25, weights=HISTOGRAM, activations=HISTOGRAM)


def after(epoch: int) -> LayersMeasured:
    return LayersMeasured(epoch=epoch, layers=(LAYER,))


def test_the_newest_epochs_are_kept_and_those_that_a_resumption_repeats_are_not() -> None:
    record = Record()
    begun = started(RunConfig(seed=0, health=True))
    record.apply([begun, *map(after, range(1, 101)), after(7)])
    assert [event.epoch for event in record.measured] == list(range(101 - MAX_MEASURED, 101))
    record.apply([started(begun.config, epoch=98, step=5), after(98)])
    assert [event.epoch for event in record.measured][-2:] == [97, 98]


@pytest.mark.parametrize(
    ("field", "value"),
    [("dead", 2), ("gradient_norm", -1), ("name", "x" * 2000), ("weights", {"low": 0, "high": 1, "counts": [0] * 200})],
)
def test_what_no_layer_can_have_is_passed_over(field: str, value: object) -> None:
    event = after(1)
    assert decode(encode(event)) == event
    raw = json.loads(encode(event))
    raw["layers"][0][field] = value
    assert decode(json.dumps(raw).encode()) is None


def test_more_layers_than_are_measured_are_passed_over() -> None:
    line = encode(LayersMeasured(epoch=1, layers=(LAYER,) * (MAX_LAYERS + 1)))
    assert decode(line) is None
