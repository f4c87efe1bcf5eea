"""Reports: text in a run is never taken for HTML, Markdown or SVG, and a path that cannot be written is refused."""

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
from tests.core.comparing.finished_runs import config_of, finished, record
from tui_app import i18n
from tui_app.i18n import number
from tui_app.report import pages, pictures
from tui_app.report.compose import Content, Report, Section, compose

HOSTILE = "/x/<b>|`$(x)`\x1b[31m&.py:Net"
STRANGE = [
    HOSTILE,
    "_net.py:Net",
    "$x^2$",
    r"$\frac{$",
    "日本\uffff\ud800\u202e",
    "</svg><script>",
    "#0072b2 url(#a)",
    " ",
]
"""Names that matplotlib, XML or the page might interpret."""
EXTREMES = [1.7976931348623157e308, -1e308, 5e-324, 0.0, float("inf"), float("-inf"), float("nan")]


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


@pytest.fixture
def content(tmp_path: Path) -> Content:
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
    return Content(results, "mnist-tui compare --models '```'", robustness)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


@pytest.mark.parametrize("language", ["en", "fr"])
def test_html_holds_only_our_tags(language: str, content: Content, tmp_path: Path) -> None:
    i18n.use(language)
    assert pages.write(tmp_path / "r.html", content) == [tmp_path / "r.html"]
    text = (tmp_path / "r.html").read_text()
    tags = Tags()
    tags.feed(text)
    assert "svg" in tags.found
    assert not tags.found & {"b", "script", "img"}
    assert "//" not in re.sub(r"http://www\.w3\.org/\S*", "", text), "a page that needs nothing beside it"
    assert "\x1b" not in text
    for picture in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        xml.etree.ElementTree.fromstring(picture)
    assert number(98.75, 2) in text


def test_markdown_has_its_pictures_beside_it(content: Content, tmp_path: Path) -> None:
    written = pages.write(tmp_path / "r.md", content)
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
    text = pages.markdown(report_on(start + "net.py:Net is more accurate"), "r")
    assert not re.search("^" + re.escape(start), text, re.MULTILINE)
    assert start + "net.py:Net is more accurate\n" in text.replace("\\", "")


@pytest.mark.parametrize(
    "name", ["https://x.org", "www.x.org", "<b>", "*a*", "a|b", "`a`", "[a](b)", "![a](b)", "&lt;"]
)
def test_markdown_shows_a_name_as_it_is(name: str) -> None:
    text = pages.markdown(report_on(f"a {name}"), "r")
    assert f" {name}" not in text
    assert f"a {name}\n" in re.sub(r"\\(\W)", r"\1", text)


def report_on(sentence: str) -> Report:
    """Return a report whose only content is this sentence."""
    return Report("en", "t", [], [], [Section("s", notes=[sentence])], [], Section("again", command="c"))


def test_one_seed_claims_no_spread(tmp_path: Path) -> None:
    made = [finished(tmp_path, config_of(model, 0), range(10 + extra)) for model, extra in (("RN_1", 0), ("RN_2", 7))]
    results = statistics.summarise([record(run) for run in made])
    pages.write(tmp_path / "one.html", Content(results, "mnist-tui compare"))
    text = (tmp_path / "one.html").read_text()
    assert "One run of each proves nothing" in text
    assert "mean" not in text
    assert "<td>10</td>" in text


def test_long_names_keep_their_end_in_a_picture() -> None:
    long = [pictures.Group("a" * 80 + f":Net{i}", [0.5], 0.5) for i in range(5)]
    lines = [pictures.Trace(group.name, [0, 1], [0.5, 1]) for group in long]
    for picture in (pictures.dots("t", "y", long, number), pictures.curves("t", "x", "y", lines, str, number)):
        for group in long:
            assert group.name not in picture
            assert f":{group.name.rpartition(':')[2]}<" in picture


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", STRANGE)
def test_a_name_stands_in_a_picture_as_it_is(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    drawn = [
        pictures.curves(name, name, name, [pictures.Trace(name, [0, 1], [0.5, 1])], str, number),
        pictures.dots(name, name, [pictures.Group(name, [0.5, 1], 0.75, 0.25, 1)], number),
    ]
    same = "".join("�" if char in "\x1b\uffff\ud800\u202e" else char for char in name)
    plain = pictures.curves("t", "t", "t", [pictures.Trace("t", [0, 1], [0.5, 1])], str, number)
    for picture in (*drawn, *map(pictures.embedded, drawn)):
        root = xml.etree.ElementTree.fromstring(picture)
        texts = [element.text for element in root.iter() if element.tag.endswith("}text")]
        assert texts.count(same) == (3 if picture in (drawn[0], pictures.embedded(drawn[0])) else 2)
        assert {element.tag for element in root.iter()} == {
            element.tag for element in xml.etree.ElementTree.fromstring(plain).iter()
        }
    assert capfd.readouterr() == ("", "")


def test_a_picture_in_a_page_takes_its_colours_and_no_names_from_its_neighbours(content: Content) -> None:
    page = pages.html(compose(content))
    for colour in re.findall(r"var\((--[\w-]+)\)", page):
        assert f"{colour}: #" in page
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert not re.search("<(line|path|text|use|rect)[^>]*#[0-9a-f]{6}", page)


@pytest.mark.parametrize("name", ["r.pdf", "r", "folder.md", "missing/r.md", "file/r.html"])
def test_a_path_that_cannot_be_written_is_refused_before_the_training(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.md").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match=re.escape(name)):
        pages.check(tmp_path / name)
    pages.check(tmp_path / "good.md")
    assert not (tmp_path / "good.md").exists()


@pytest.mark.parametrize(
    "values", [[0.0], [1.0, 1.0], [-5.0, 1e12], [1e-9, 2e-9], [float("nan"), 1.0], [0.5] * 3, EXTREMES, EXTREMES[:2]]
)
def test_any_values_make_a_picture(values: list[float]) -> None:
    traces = [pictures.Trace("a", list(range(len(values))), values, values, values)]
    groups = [pictures.Group("a", values, values[0], values[0], values[-1])]
    for picture in (pictures.curves("t", "x", "y", traces, str, number), pictures.dots("t", "y", groups, number)):
        root = xml.etree.ElementTree.fromstring(picture)
        texts = [element.text or "" for element in root.iter() if element.tag.endswith("}text")]
        assert 4 <= len(texts) < 12 + 2 * len(values)
        assert "nan" not in picture
        assert "inf" not in picture
