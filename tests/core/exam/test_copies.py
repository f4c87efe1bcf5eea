"""Copies are read whatever program they were filled in with, and nothing in them does any harm."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.exam import copies
from core.exam.copies import Copy
from core.messages import Problem
from tests.core.exam import copies_written
from tests.core.exam.copies_written import FRENCH, HANDWRITTEN, HEADINGS, RN_1


def cells(copy: Copy, table: int = 0) -> dict[str, tuple[str, ...]]:
    columns = ("type", "specification", "output", "parameters")
    return {row.name: tuple(row.cells.get(each, "") for each in columns) for row in copy.tables[table].rows}  # type: ignore[call-overload]


def test_the_exam_s_own_copy() -> None:
    copy = copies.parse(HANDWRITTEN)
    assert copy.student == ""
    first, second = copy.tables
    assert (first.network, second.network) == ("Réseau de neurones n°1 (RN 1)", "Réseau de neurones n°2 (RN 2)")
    assert [row.name for row in first.rows] == ["flatten", "fc1", "relu1", "fc2"]
    assert cells(copy)["fc1"] == (
        "régrenon linéaire",
        "Entrée: Image 28x28 Sortie: 572 neurones",
        "572",
        "28x28x572",
    )
    assert cells(copy, 1)["conv1"][3] == "1x32x3x3+32= 320"
    assert cells(copy, 1)["pool1"] == ("max pooling", "", "", "")


@pytest.mark.parametrize(
    "text",
    [
        copies_written.markdown(RN_1),
        copies_written.comma_separated(RN_1, ","),
        copies_written.comma_separated(RN_1, ";"),
        copies_written.comma_separated(RN_1, "\t"),
        copies_written.markdown(RN_1).replace("\n", "\r\n"),
        # An editor has aligned the columns and left the outer pipes out.
        "\n".join(
            " | ".join(cell.strip().ljust(14) for cell in line.strip("| ").split("|")) if "|" in line else line
            for line in copies_written.markdown(RN_1).splitlines()
        ),
        copies_written.markdown(RN_1).replace("| fc1 |", "| **fc1** |").replace("| linear |", "| `linear` |"),
    ],
    ids=["markdown", "comma", "semicolon", "tab", "crlf", "aligned", "emphasis"],
)
def test_formats(text: str) -> None:
    copy = copies.parse(text)
    assert (copy.student, len(copy.tables), copy.tables[0].network) == ("Dupont", 1, "RN_1")
    assert cells(copy) == RN_1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    rows = {"fc1": ("régression linéaire", "entrée 784", "512", "784×512 + 512")}
    path = tmp_path / "élève.md"
    path.write_bytes(copies_written.markdown(rows, "Éloïse Ça").encode(encoding))
    copy = copies.read(path)
    assert (copy.student, cells(copy)) == ("Éloïse Ça", rows)


def test_columns_in_another_order_with_other_headings() -> None:
    order = (0, 4, 1, 3, 2)
    shuffled = {name: tuple((name, *row)[place] for place in order[1:]) for name, row in RN_1.items()}
    for headings in (HEADINGS, FRENCH, ("COUCHE", "type", "specifications", "taille de sortie", "nb de parametres")):
        text = copies_written.table(shuffled, tuple(headings[place] for place in order))
        assert cells(copies.parse(text)) == RN_1


def test_rows_without_headings_left_out_and_empty() -> None:
    copy = copies.parse("| fc2 | linear | | 256 |\n| fc1 | linear | 784→512 |\n| relu1 | | | | |\n")
    assert cells(copy) == {"fc2": ("linear", "", "256", ""), "fc1": ("linear", "784→512", "", ""), "relu1": ("",) * 4}


def test_escaped_pipes_and_signs_of_editors() -> None:
    copy = copies.parse(copies_written.table({"fc1": (r"a \| b", r"784 \* 512", "3×3", "2&times;3<br>+ 1")}))
    assert cells(copy)["fc1"] == ("a | b", "784 * 512", "3×3", "2×3 + 1")


def test_a_cell_of_several_lines_in_csv() -> None:
    text = 'network,name,type,specification,output,parameters\nRN_1,fc1,"linear\nlayer","784, 512",512,"a ""b"""\n'
    assert cells(copies.parse(text))["fc1"] == ("linear layer", "784, 512", "512", 'a "b"')


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("Nom : Dupont\nPrénom : Jean", "Dupont Jean"),
        ("**Name:** Ada\n\nFirst name:\nGrace", "Ada Grace"),
        ("Nom / Prénom : Dupont Jean", "Dupont Jean"),
        ("Nom : Dupont   Prénom : Jean", "Dupont Jean"),
        ("Nom : ______\n\nPrénom : …", ""),
        ("Étudiante : Zoé", "Zoé"),
        ("The names of the layers are given.", ""),
    ],
)
def test_names(lines: str, name: str) -> None:
    assert copies.parse(f"{lines}\n\n## RN_1\n\n{copies_written.table(RN_1)}").student == name


def test_the_code_on_a_sheet_is_not_taken_for_answers() -> None:
    code = "```python\n# Réseau de neurones n°2\nclass RN_1:\n\tx = a | b | c\n| fc9 | x | y | z | 1 |\n```\n"
    before, after = copies_written.markdown(RN_1).split("| Name", 1)
    copy = copies.parse(f"{before}{code}\n| Name{after}")
    assert (copy.tables[0].network, cells(copy)) == ("RN_1", RN_1)


def make_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (os.mkfifo, "it is not a regular file"),
        (Path.mkdir, "it is a folder"),
        (make_link, "it is a link"),
        (lambda path: None, "No such file or directory"),
        (write(b""), "there is no filled-in table"),
        (write(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 9), "it is no text"),
        (write(b"%PDF-1.7\n\x80\x81\x9d\xff stream \x01\x02"), "it is no text"),
        (write(b"I was ill, sorry. |"), "there is no filled-in table"),
        (write(copies_written.markdown(RN_1).encode() + b"x" * copies.MAX_BYTES), "it is larger than 1 MB"),
        (write(b"| fc1 | a | b | c | d |\n" * 600), "it has more than 500 rows"),
        (write(b"".join(b"## RN_%d\n\n| fc1 | a | b |\n" % n for n in range(30))), "it has more than 20 tables"),
        (write(b'a,b,c\n"' + b"x" * 500_000), "there is no filled-in table"),
    ],
    ids=["fifo", "folder", "link", "none", "empty", "png", "pdf", "prose", "large", "rows", "tables", "open-quote"],
)
def test_what_is_no_copy(make: Callable[[Path], object], why: str, tmp_path: Path) -> None:
    path = tmp_path / "copy.md"
    make(path)
    with pytest.raises(Problem) as caught:
        copies.read(path)
    assert str(caught.value).startswith(why)


def test_long_answers_are_cut_and_no_longer_than_the_marker_reads() -> None:
    copy = copies.parse(copies_written.table({"fc1": ("x" * 100_000, "", "", "")}))
    assert 300 <= len(cells(copy)["fc1"][0]) <= 301


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Zoé_1").mkdir()
    for name in ("b.md", "a.csv", ".DS_Store", "Zoé_1/copy.md"):
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in copies.files_in(tmp_path)]
    assert found == ["a.csv", "b.md", "Zoé_1/copy.md"]
    with pytest.raises(Problem):
        copies.files_in(tmp_path, limit=2)


def test_an_empty_cell_means_the_network_above() -> None:
    rows = "network,name,type,specification,output,parameters\nRN_2,conv1,convolution,,,320\n,relu1,activation,,,0\n"
    (table,) = copies.parse(rows).tables
    assert [(row.name, table.network) for row in table.rows] == [("conv1", "RN_2"), ("relu1", "RN_2")]
