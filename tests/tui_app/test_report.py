"""Reports: nothing in a run's texts is taken for HTML, Markdown or SVG; a path that cannot be written is refused."""

from __future__ import annotations

import re
import xml.etree.ElementTree
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.comparing import statistics
from core.data.conditions import Condition, Robustness, UnderCondition
from core.messages import Problem
from tests.core.test_comparison import config_of, finished, record
from tui_app import i18n
from tui_app.i18n import number
from tui_app.report import compose, pictures

HOSTILE = "/x/<b>|`$(x)`\x1b[31m&.py:Net"


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


@pytest.fixture
def content(tmp_path: Path) -> compose.Content:
    made = [
        finished(tmp_path, config_of(model, seed), range(10 + 5 * seed + extra))
        for model, extra in (("RN_1", 0), (HOSTILE, 7))
        for seed in (0, 1)
    ]
    results = statistics.summarise([record(run) for run in made])
    tested = Robustness(
        run="rn1-0001",
        config=config_of("RN_1", 0),
        dataset="sample",
        dataset_title="MNIST",
        tested=(UnderCondition(None, 0.9), UnderCondition(Condition("shift", 1), 0.5)),
    )
    robustness = [(network.name, [tested]) for network in results.networks]
    return compose.Content(results, "mnist-tui compare --models '```'", 2, robustness)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_html_holds_only_our_tags(language: str, content: compose.Content, tmp_path: Path) -> None:
    i18n.use(language)
    assert compose.write(tmp_path / "r.html", content) == [tmp_path / "r.html"]
    text = (tmp_path / "r.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert "svg" in tags.found
    assert not tags.found & {"b", "script", "img"}
    assert "\x1b" not in text
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        xml.etree.ElementTree.fromstring(picture)
    assert number(98.75, 2) in text


def test_markdown_has_its_pictures_beside_it(content: compose.Content, tmp_path: Path) -> None:
    written = compose.write(tmp_path / "r.md", content)
    assert [path.name for path in written] == ["r.md", "r-loss.svg", "r-accuracy.svg", "r-shift.svg"]
    text = written[0].read_text()
    assert "<b>" not in text
    assert "\x1b" not in text
    assert "````sh\nmnist-tui" in text
    for picture in written[1:]:
        xml.etree.ElementTree.parse(picture)
        assert f"(<{picture.name}>)" in text


@pytest.mark.parametrize("start", ["- ", "1. ", "+ ", "=== ", "12) "])
def test_a_name_at_the_start_of_a_line_makes_no_list(start: str) -> None:
    page = compose._Markdown("r")
    page.paragraph(start + "net.py:Net is more accurate")
    assert not page.text().startswith(start)
    assert page.text().replace("\\", "") == start + "net.py:Net is more accurate\n"


def test_one_seed_claims_no_spread(tmp_path: Path) -> None:
    made = [finished(tmp_path, config_of(model, 0), range(10 + extra)) for model, extra in (("RN_1", 0), ("RN_2", 7))]
    results = statistics.summarise([record(run) for run in made])
    compose.write(tmp_path / "one.html", compose.Content(results, "mnist-tui compare", 1))
    text = (tmp_path / "one.html").read_text()
    assert "One run of each proves nothing" in text
    assert "mean" not in text
    assert "<td>10</td>" in text


def test_long_names_keep_their_end_in_a_picture() -> None:
    long = [pictures.Group("a" * 80 + f":Net{i}", [0.5], 0.5) for i in range(5)]
    picture = pictures.dots("t", "y", long, str)
    for group in long:
        assert group.name not in picture
        assert f":{group.name.rpartition(':')[2]}<" in picture


@pytest.mark.parametrize("name", ["r.pdf", "r", "folder.md", "missing/r.md", "file/r.html"])
def test_a_path_that_cannot_be_written_is_refused_before_the_training(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match=re.escape(name)):
        compose.check(tmp_path / name)
    compose.check(tmp_path / "good.md")
    assert not (tmp_path / "good.md").exists()


@pytest.mark.parametrize("values", [[0.0], [1.0, 1.0], [-5.0, 1e12], [1e-9, 2e-9], [float("nan"), 1.0], [0.5] * 3])
def test_any_values_make_a_picture(values: list[float]) -> None:
    finite = [value for value in values if value == value]
    series = [pictures.Series("a", list(range(len(finite))), finite)]
    xml.etree.ElementTree.fromstring(pictures.curves("t", "x", "y", series, str, str))
    xml.etree.ElementTree.fromstring(pictures.dots("t", "y", [pictures.Group("a", finite, finite[0])], str))
    assert len(pictures._ticks(values)) < 12
