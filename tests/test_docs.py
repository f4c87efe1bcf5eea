"""The pages for people name files that exist, and every file of the program has its line in the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.exporting.csv import COLUMNS
from tests import events_page

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "README.fr.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"(?:core|tui_app|tests|docs|\.github)/[\w/.-]+\.(?:py|md|tcss|svg|po|yml)", text))
    named.update(re.findall(r"\]\(([\w/.-]+)", text))
    missing = [name for name in named if not ((ROOT / name).exists() or (page.parent / name).exists())]
    assert sorted(missing) == ["core/networks/NAME.py", "tui_app/dashboard/widgets/NAME.py"] * (
        page.stem == "CONTRIBUTING"
    )


def test_every_file_has_its_line_in_the_tree() -> None:
    tree = (ROOT / "docs" / "TREE.md").read_text(encoding="utf-8")
    files = [path for room in ("core", "tui_app") for path in (ROOT / room).rglob("*.py") if path.stem != "__init__"]
    assert len(files) > 80
    assert [path.name for path in files if not re.search(rf"\b{re.escape(path.name)}", tree)] == []


def test_the_readme_is_for_a_newcomer() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_event_is_documented_as_it_is() -> None:
    assert events_page.PAGE.read_text(encoding="utf-8") == events_page.page(), "run python -m tests.events_page"


def test_the_columns_of_exported_files_are_documented() -> None:
    rows = re.findall(r"^\| `(\w+\.csv)` \|[^|]*\| ([^|]*) \|$", (ROOT / "docs" / "EXPORT.md").read_text("utf-8"), re.M)
    assert {name: tuple(columns.split(", ")) for name, columns in rows} == COLUMNS


def test_the_french_readme_has_the_same_commands() -> None:
    """Their comments, and what they print, are translated."""

    def blocks(name: str) -> list[list[str]]:
        text = (ROOT / name).read_text(encoding="utf-8")
        found = re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
        return [[line.partition("  #")[0].rstrip() for line in block.splitlines()] for block in found]

    assert blocks("README.fr.md") == blocks("README.md")
