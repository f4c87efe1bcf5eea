"""Layer tables as text."""

from __future__ import annotations

import io

from rich.console import Console

from core.messages import Message
from core.networks.layer_table import Layer, LayerTable
from tui_app import tables

CELL = Layer(
    name="rows.first",
    type="LSTMCell",
    kind=Message("recurrent layer"),
    specification=Message("{inputs}→{outputs}", {"inputs": 28, "outputs": 32}),
    output_shape=(32,),
    parameters=7936,
    parameter_sum="128×28 + 128×32 + 2×128",
    output_derivation="",
    calls=28,
)
UP = Layer(
    name="up",
    type="ConvTranspose2d",
    kind=Message("transposed convolution"),
    specification=Message("{inputs}→{outputs}, {window}", {"inputs": 8, "outputs": 4, "window": "3×3, s 2, op 1"}),
    output_shape=(4, 28, 28),
    parameters=0,
    parameter_sum="",
    output_derivation="(13 − 1)·2 + 3 + 1 = 28",
    shared=True,
    calls=2,
)


def lines(width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(tables.layers(LayerTable("own.py:Net", (CELL, UP), 7936, 7936)))
    return capture.get().splitlines()


def test_a_row_says_how_often_its_layer_is_called(language: str) -> None:
    cell, up = lines(160)[2:]
    french = language == "fr"
    assert ("(appelée 28 fois) 128×28" if french else "(called 28 times) 128×28") in cell
    assert ("pas 2, marge sortie 1" if french else "s 2, op 1") in up
    remarks = "(appelée 2 fois, paramètres déjà comptés)" if french else "(called 2 times, parameters counted above)"
    assert f"{remarks} 0" in up


def test_a_table_wraps_its_cells_rather_than_cut_them(language: str) -> None:
    narrow = lines(74)
    assert max(map(len, narrow)) <= 74
    assert "…" not in "".join(narrow)
    assert sorted("".join(narrow).replace(" ", "")) == sorted("".join(lines(160)).replace(" ", ""))
