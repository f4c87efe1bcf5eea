"""Layer tables whose every sum is worked out again."""

from __future__ import annotations

import math

from torch import nn

from core.networks.layer_table import LayerTable
from core.networks.tabulate import layer_table

PYTHON = str.maketrans({"×": "*", "·": "*", "−": "-", "⌊": "floor(", "⌉": ")", "⌋": ")", "⌈": "ceil("})


def value(formula: str) -> float:
    result: float = eval(formula.translate(PYTHON), {"__builtins__": {}, "floor": math.floor, "ceil": math.ceil})
    return result


def table_of(*layers: nn.Module) -> LayerTable:
    return check(nn.Sequential(*layers))


def check(network: nn.Module) -> LayerTable:
    """Return the table of `network`; check every sum and derivation, and that nothing is missing or counted twice."""
    table = layer_table(network, "own")
    for layer in table.layers:
        assert (value(layer.parameter_sum) if layer.parameter_sum else 0) == layer.parameters
        for equation in filter(None, layer.output_derivation.split("; ")):
            left, equals, right = equation.partition(" = ") if " = " in equation else equation.partition(" → ")
            assert equals == " → " or value(left) == int(right)
            assert layer.output_shape is not None
            assert int(right) in layer.output_shape
    count = sum(parameter.numel() for parameter in network.parameters())
    assert table.total == count == sum(layer.parameters for layer in table.layers)
    return table


def rows(table: LayerTable, *fields: str) -> list[tuple[object, ...]]:
    return [tuple(getattr(layer, field) for field in fields) for layer in table.layers]
