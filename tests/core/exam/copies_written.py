"""Copies as students and their programs write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

HANDWRITTEN = """\
Annexe 1 (à remettre)

Nom : …

Prénom :

…

Nom\tType de couche\tSpécifications\tDimension de la sortie\tNombre de paramètres
-----\t----------------\t----------------\t------------------------\t----------------------

Réseau de neurones n°1 (RN 1)

flatten\tappartinement\t\t\t
fc1\trégrenon linéaire\tEntrée: Image 28x28 Sortie: 572 neurones\t572\t28x28x572
relu1\tactivation\t\t\t
fc2\trégrenon linéaire\tEntrée: 572 neurones Sortie: 256\t256\t572x256

Réseau de neurones n°2 (RN 2)

conv1\tconvolution\t1 canal d'entrée, 32 filtres, de sortie 32x3x3\t32\t1x32x3x3+32= 320
pool1\tmax pooling\t\t\t
fc2\tcouché entièrement connecté\tEntrée: 128 neurones Sortie: 10 classes\t10\t128x10"""
"""Rows of the exam's own copy, as it was scanned."""

RN_1 = {
    "flatten": ("flatten", "", "784", "0"),
    "fc1": ("linear", "784→512", "512", "784×512 + 512"),
    "relu1": ("ReLU", "", "512", "0"),
    "fc2": ("linear", "512→256", "256", "512×256 + 256"),
    "relu2": ("ReLU", "", "256", "0"),
    "fc3": ("linear", "256→128", "128", "256×128 + 128"),
    "relu3": ("ReLU", "", "128", "0"),
    "fc4": ("linear", "128→10", "10", "128×10 + 10"),
}
"""The right answers, row by row."""
HEADINGS = ("Name", "Layer type", "Specification", "Output size", "Number of parameters")
FRENCH = ("Nom", "Type de couche", "Spécifications", "Dimension de la sortie", "Nombre de paramètres")


def table(rows: Mapping[str, tuple[str, ...]], headings: tuple[str, ...] = HEADINGS) -> str:
    """Return a pipe table."""
    lines = [headings, ("---",) * len(headings), *((name, *cells) for name, cells in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def markdown(rows: Mapping[str, tuple[str, ...]], name: str = "Dupont", network: str = "RN_1") -> str:
    """Return a filled-in sheet."""
    return f"# Annexe 1\n\nName: {name}\n\nFirst name:\n\n## {network}\n\n{table(rows)}"


def comma_separated(rows: Mapping[str, tuple[str, ...]], delimiter: str, name: str = "Dupont") -> str:
    """Return a filled-in sheet as a spreadsheet saves it."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow(("Nom :", name, "", "", "", ""))
    writer.writerow(("Réseau", "Couche", *FRENCH[1:]))
    writer.writerows(("RN_1", name, *cells) for name, cells in rows.items())
    return text.getvalue()
