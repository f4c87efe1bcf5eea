"""`mnist-tui exam` for a teacher: sheets handed out, copies marked, exercises made."""

from __future__ import annotations

import csv
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.exam import copies_written
from tests.core.exam.copies_written import HANDWRITTEN, RN_1
from tests.json_checks import check_json
from tui_app import cli, i18n
from tui_app.console import exam_command

FORGOTTEN = {**RN_1, "fc1": ("linear", "784→512", "512", "784×512")}
KEY = ("401,920", "401\u202f920", "784×512 + 512", "784→512", "131,328")
"""Right answers of RN_1."""


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


def exam(*arguments: object, code: int = 0, lang: str = "en") -> None:
    assert cli.run(["exam", *map(str, arguments), "--lang", lang]) == code


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=";" if ";" in path.read_text("utf-8-sig").split("\n")[0] else ","))


def write_class(folder: Path) -> dict[str, int]:
    """Write thirty copies in several formats, and return how many biases each student forgets."""
    forgotten = {}
    draw = random.Random(1)
    for number in range(30):
        name = f"Student{number:02}"
        missed = draw.sample(("fc1", "fc2", "fc3", "fc4"), number % 5)
        answers = {
            layer: (*cells[:3], cells[3].partition(" +")[0] if layer in missed else cells[3])
            for layer, cells in RN_1.items()
        }
        forgotten[name] = len(missed)
        if number % 3:
            (folder / f"{name}.md").write_text(copies_written.markdown(answers, name), encoding="utf-8")
        else:
            text = copies_written.comma_separated(answers, ";", name)
            (folder / f"{name}.csv").write_text(text, encoding="cp1252", errors="replace")
    return forgotten


def test_thirty_copies_in_one_command(copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forgotten = write_class(copies)
    output = tmp_path / "marked"
    exam("--mark", copies, "--model", "RN_1", "--output", output)
    marks = {row["Name"]: float(row["Mark out of 20"]) for row in rows(output / "marks.csv")}
    assert marks == {name: round(20 * (28 - missed / 2) / 28, 2) for name, missed in forgotten.items()}
    (mistake,) = rows(output / "mistakes.csv")
    assert int(mistake["Times"]) == sum(forgotten.values())
    assert int(mistake["Copies"]) == sum(missed > 0 for missed in forgotten.values())
    written = check_json((output / "marks.json").read_text(encoding="utf-8"), "exam")
    assert {copy["student"]: round(copy["mark"], 2) for copy in written["copies"]} == marks
    assert len(list(output.glob("Student*-feedback.html"))) == 30
    printed = capsys.readouterr().out
    assert all(name in printed for name in marks)
    assert "the bias is forgotten" in printed


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_in_a_spreadsheet_the_numbers_of_mistakes_are_numbers(lang: str, copies: Path, tmp_path: Path) -> None:
    for number in range(30):
        text = copies_written.markdown({"fc1": ("linear", "", "", "784×512 + 784")}, f"Student{number}")
        (copies / f"{number}.md").write_text(text, encoding="utf-8")
    exam("--mark", copies, "--output", tmp_path / "out", lang=lang)
    times, counted = ("Fois", "Copies") if lang == "fr" else ("Times", "Copies")
    found = [(int(row[times]), row[counted]) for row in rows(tmp_path / "out" / "mistakes.csv")]
    assert found[0] == (30, "30")
    assert found[-1][0] > 1000


def test_a_page_in_french(copies: Path, tmp_path: Path) -> None:
    wrong = {"fc1": ("linear", "784→512", "512", "784×521 + 784")}
    (copies / "a.md").write_text(copies_written.markdown(wrong), encoding="utf-8")
    exam("--mark", copies, "--model", "RN_1", "--output", tmp_path, lang="fr")
    page = (tmp_path / "a-feedback.html").read_text(encoding="utf-8")
    assert "\u202f; un chiffre faux\u202f: 521" in page
    assert "≈ juste à la forme près, – vide" in page


def test_as_json(copies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copies / "scan.txt").write_text(HANDWRITTEN, encoding="utf-8")
    (copies / "photo.png").write_bytes(b"\x89PNG\0")
    exam("--mark", copies, "--json", code=1)
    found = check_json(capsys.readouterr().out, "exam")
    (copy,) = found["copies"]
    cells = {
        (sheet["network"], mark["layer"], mark["column"]): mark for sheet in copy["networks"] for mark in sheet["cells"]
    }
    assert [each["kind"] for each in cells["RN_1", "fc1", "parameters"]["reasons"]] == ["bias_forgotten", "slip"]
    bias = next(each for each in found["mistakes"] if each["kind"] == "bias_forgotten")
    assert (bias["message"]["sentence"], bias["times"], bias["copies"]) == ("the bias is forgotten", 3, 1)
    assert [(each["file"], each["message"]["sentence"]) for each in found["unread"]] == [
        ("photo.png", "it is no text: save it as Markdown, CSV or plain text")
    ]


def test_copies_that_cannot_be_read_get_a_line_and_the_others_are_marked(
    copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copies / "good.md").write_text(copies_written.markdown(RN_1), encoding="utf-8")
    (copies / "other.md").write_text(copies_written.markdown(RN_1, network="RN_5"), encoding="utf-8")
    (copies / "link.md").symlink_to(copies / "nowhere")
    os.mkfifo(copies / "pipe.md")
    (copies / "empty").mkdir()
    exam("--mark", *copies.iterdir(), copies / "none.md", code=1)
    said = capsys.readouterr()
    assert sorted(said.err.splitlines()) == [
        f"{copies}/empty: there is no file in it",
        "good.md: RN_2 is not in the copy: its cells count as empty",
        "link.md: it is a link: name the file that it leads to",
        "none.md: No such file or directory",
        "other.md: RN_5 is not among the networks that are marked here",
        "pipe.md: it is not a regular file",
    ]
    assert "good.md" in said.out


def test_what_is_in_a_copy_is_never_executed_nor_loaded(
    copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "evil.py"
    program.write_text(f"open({str(tmp_path / 'done')!r}, 'w')\n")
    (copies / "a.md").write_text(copies_written.markdown(RN_1, network=f"{program}:Net"), encoding="utf-8")
    exam("--mark", copies, code=1)
    assert not (tmp_path / "done").exists()
    assert "is not among the networks" in capsys.readouterr().err


HOSTILE = "=cmd|' /C calc'!A0 <script>alert(1)</script> [x](http://evil.example) \u202e"


@pytest.mark.parametrize("page_format", ["html", "md"])
def test_what_is_in_a_copy_stays_text(
    page_format: str, copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"fc1": ("linear", HOSTILE, "=1+1", "</td>"), "=fc2": ("x", "", "", "")}
    (copies / "a.md").write_text(copies_written.markdown(answers, "=HYPERLINK(1) <b>x</b> \u202e"), encoding="utf-8")
    exam("--mark", copies, "--output", tmp_path / "out", "--format", page_format)
    page = (tmp_path / "out" / f"a-feedback.{page_format}").read_text(encoding="utf-8")
    assert "<script" not in page.replace("\\<script", "")
    assert "<b>" not in page.replace("\\<b", "")
    assert "](http" not in page.replace("\\]", "") or page_format == "html"
    (row,) = rows(tmp_path / "out" / "marks.csv")
    assert row["Name"].startswith("'=HYPERLINK")
    printed = capsys.readouterr()
    assert "\u202e" not in page + printed.out + printed.err + (tmp_path / "out" / "marks.json").read_text("utf-8")


def test_pages_stay_in_their_folder_under_names_of_their_own(copies: Path, tmp_path: Path) -> None:
    names = ("a.md", "a.csv", "A.txt", "marks.md", "-x & 'y'.md", "é" * 80 + ".md", "é" * 80 + "2.md", "~~.md")
    for name in names:
        (copies / name).write_text(copies_written.markdown(RN_1, name.partition(".")[0]), encoding="utf-8")
    output = tmp_path / "out"
    exam("--mark", copies, "--output", output)
    assert len(list(output.iterdir())) == len(names) + 3
    assert {path.name for path in tmp_path.iterdir()} == {"copies", "out"}
    assert {path.name for path in copies.iterdir()} == set(names)


def test_what_is_there_already_is_not_replaced(
    copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copies / "a.md").write_text(copies_written.markdown(RN_1), encoding="utf-8")
    output = tmp_path / "out"
    exam("--mark", copies, "--output", output)
    (output / "marks.csv").write_text("mine")
    exam("--mark", copies, "--output", output, code=1)
    assert "exists already" in capsys.readouterr().err
    assert (output / "marks.csv").read_text() == "mine"
    exam("--mark", copies, "--output", output, "--overwrite")
    assert (output / "marks.csv").read_text() != "mine"
    exam("--mark", copies, "--output", copies, "--overwrite", code=1)
    assert "among the copies" in capsys.readouterr().err


@pytest.mark.parametrize("page_format", ["html", "md"])
def test_a_page_has_the_key_unless_it_is_kept_back_and_nothing_of_others(
    page_format: str, copies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"fc1": ("linear", "784→572", "572", "28x28x572"), "fc2": ("pooling", "7→7", "17", "4711")}
    (copies / "a.md").write_text(copies_written.markdown(wrong, "Durand"), encoding="utf-8")
    (copies / "b.md").write_text(copies_written.markdown(FORGOTTEN, "Dupont"), encoding="utf-8")
    exam("--mark", copies, "--output", tmp_path / "key", "--format", page_format)
    page = (tmp_path / "key" / f"a-feedback.{page_format}").read_text(encoding="utf-8")
    assert ("784×512 + 512 = 401,920" in page, "Durand" in page, "Dupont" in page) == (True, True, False)
    capsys.readouterr()
    (copies / "b.md").unlink()
    exam("--mark", copies, "--output", tmp_path / "none", "--format", page_format, "--no-key", "--json")
    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "none").iterdir()]
    assert [key for key in KEY for text in (*texts, capsys.readouterr().out) if key in text] == []
    assert "4711" in "".join(texts)


def test_without_the_key_what_is_said_of_a_mistake_was_written_by_the_student(
    copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The number of another layer is that layer's right answer: its sum would be a cell's key."""
    rows = {
        "conv1": ("pooling", "", "", "1×32×3 + 32"),
        "conv2": ("convolution", "", "", "320"),
        "fc1": ("linear", "3126→128", "10", "1290"),
    }
    (copies / "a.md").write_text(copies_written.markdown(rows, network="RN_2"), encoding="utf-8")
    exam("--mark", copies, "--model", "RN_2", "--no-key", "--json")
    (copy,) = json.loads(capsys.readouterr().out)["copies"]
    marks = copy["networks"][0]["cells"]
    reasons = [reason for mark in marks for reason in mark.get("reasons", ())]
    assert {"other_layer", "slip"} <= {reason["kind"] for reason in reasons}
    answers = " ".join(cell for cells in rows.values() for cell in cells)
    assert [reason for reason in reasons if reason.get("written", "") not in answers or reason.get("expected")] == []


@pytest.mark.parametrize("ending", ["md", "csv"])
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_sheet_is_written_filled_in_and_marked(
    ending: str, lang: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / f"sheet.{ending}"
    exam("--new", sheet, lang=lang)
    lines = sheet.read_text(encoding="utf-8-sig").splitlines()
    for name, cells in RN_1.items():
        if ending == "csv":
            separator = ";" if lang == "fr" else ","
            filled, empty = separator.join(("RN_1", name, *cells)), f"RN_1{separator}{name}{separator * 4}"
        else:
            filled, empty = f"| {name} | {' | '.join(cells)} |", f"| {name} |  |  |  |  |"
        lines[lines.index(empty)] = filled  # the first one is RN_1's
    place = next(place for place, line in enumerate(lines) if line.startswith(("Name:", "Nom")))
    lines[place] = lines[place].replace(":;", ":;Ada").replace(":,", ":,Ada") + ("" if ending == "csv" else " Ada")
    sheet.write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    exam("--mark", sheet, "--json", lang=lang)
    (copy,) = check_json(capsys.readouterr().out, "exam")["copies"]
    assert copy["student"] == "Ada"
    assert [(each["network"], each["points"]) for each in copy["networks"]] == [("RN_1", 28), ("RN_2", 0)]


def test_a_new_sheet_replaces_no_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet = tmp_path / "sheet.md"
    sheet.write_text("an hour's work")
    exam("--new", sheet, code=1)
    assert (sheet.read_text(), "exists already" in capsys.readouterr().err) == ("an hour's work", True)
    exam("--new", sheet, "--model", "RN_2", "--overwrite")
    assert ("## RN_2" in sheet.read_text(), "## RN_1" in sheet.read_text()) == (True, False)


def test_without_a_terminal_the_empty_sheet_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    exam(lang="fr")
    printed = capsys.readouterr()
    assert "| Nom | Type de couche | Spécifications | Dimension de la sortie | Nombre de paramètres |" in printed.out
    assert "self.conv1 = nn.Conv2d(1, 32, kernel_size=3, padding=1)" in printed.out
    assert printed.err == "Pas de terminal\u202f: voici la feuille vide.\n"


def test_with_a_terminal_the_dashboard_opens_on_the_exam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def open_dashboard(*given: object, **named: object) -> int:
        opened.append((given, named))
        return 0

    monkeypatch.setattr(exam_command, "no_dashboard", lambda _instead: False)
    monkeypatch.setattr(exam_command, "open_dashboard", open_dashboard)
    exam("--model", "RN_2", "--runs-dir", tmp_path)
    assert opened == [((tmp_path, {"model": "RN_2"}), {"exam": True})]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("--new a.md --mark b.md", "choose one of --new, --mark and --make"),
        ("--mark", "name the copies to mark after --mark"),
        ("a.md", "a.md is marked with --mark"),
        ("--new a.txt", "a sheet must end in .md or .csv"),
        ("--new a.md --seed 3", "--seed only goes with --mark, --make"),
        ("--make 3 --model RN_1", "--model only goes with --new, --mark"),
        ("--make x", "the number of exercises must be from 1 to 200"),
        ("--make 3 --seed x", "the seed must be"),
        ("--mark a.md --format pdf", "the format must be html or md"),
        ("--mark a.md --format md", "name the folder for the pages with --output"),
        ("--mark a.md --model RN_9", "unknown network RN_9"),
        ("--json", "--json only goes with --mark"),
    ],
)
def test_bad_usage(typed: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    exam(*typed.split(), code=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mnist-tui: {said}")


def test_a_name_that_is_no_utf8_stops_nobody(copies: Path, tmp_path: Path) -> None:
    text = copies_written.markdown(RN_1)
    (copies / "a.md").write_text(text, encoding="utf-8")
    Path(os.fsdecode(os.fsencode(copies) + b"/D\xe9\xe7u.md")).write_text(text, encoding="utf-8")
    exam("--mark", copies, "--output", tmp_path / "out")
    assert len(rows(tmp_path / "out" / "marks.csv")) == 2
