"""Every text has a French translation with the same placeholders; numbers look as each language writes them."""

from __future__ import annotations

import ast
import gettext
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import Catalog
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from rich.console import Console
from rich.measure import Measurement

import core
import tui_app
from core.catalogue import NETWORKS
from core.config import Architecture
from core.messages import N_, Message, Problem
from tests.tui_app import recorded
from tests.tui_app.driving import NARROW
from tui_app import i18n, tables
from tui_app.dashboard.keys import app_keys, key_table
from tui_app.dashboard.widgets.key_footer import FooterKey, chosen

PO = i18n.LOCALES / "fr" / "LC_MESSAGES" / "mnist_tui.po"
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2), "Message": None, "Problem": None, "InvalidSetting": (2,)}
FILES = sorted(
    path for package in (core, tui_app) for folder in package.__path__ for path in Path(folder).rglob("*.py")
)


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


@pytest.fixture(scope="module")
def french() -> Catalog:
    with PO.open("rb") as file:
        return read_po(file)


# Completeness of the catalogue


def test_every_text_is_translated_and_nothing_else(french: Catalog) -> None:
    texts = set()
    for path in FILES:
        with path.open("rb") as file:
            texts |= {text for _line, text, _comments, _context in extract("python", file, KEYWORDS)}
    assert len(texts) > 250
    assert {message.id for message in french if message.id} == texts
    assert not french.obsolete


def test_translations_are_finished(french: Catalog) -> None:
    unfinished = [message.id for message in french if message.fuzzy or not all(_strings(message.string))]
    assert not unfinished


def test_translations_have_the_same_places(french: Catalog) -> None:
    for message in french:
        if not message.id:
            continue
        for form in _strings(message.string):
            assert set(_places(form)) == set(_places(_strings(message.id)[-1])), message.id
            assert form.count("\n") == _strings(message.id)[-1].count("\n"), message.id
        assert not list(message.check(french)), message.id


def test_compiled_catalogue_is_the_written_one(french: Catalog) -> None:
    compiled = io.BytesIO()
    write_mo(compiled, french)
    compiled.seek(0)
    with PO.with_suffix(".mo").open("rb") as file:
        assert _contents(read_mo(file)) == _contents(read_mo(compiled))


def _contents(catalog: Catalog) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {_strings(message.id): _strings(message.string) for message in catalog if message.id}


def _strings(text: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text or ("",))


def _places(text: str) -> list[str]:
    return re.findall(r"\{(\w*)\}", text)


# Every text that reaches the user is in the catalogue, whatever way it takes


class _Texts(ast.NodeVisitor):
    """A visitor that traces each text shown back to its literals."""

    def __init__(self, tree: ast.Module) -> None:
        self.literals: set[str] = set()
        self.unmarked: list[str] = []
        self._tree = tree
        self._functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = []
        self._problems = {"Problem", "Message", "InvalidSetting"}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(_name(base) == "Problem" for base in node.bases):
                self._problems.add(node.name)
        self.visit(tree)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._functions.append(node)
        self.generic_visit(node)
        self._functions.pop()

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node.func)
        if name in ("_", "N_", "ngettext"):
            for text in node.args[: 2 if name == "ngettext" else 1]:
                if isinstance(text, ast.Constant):
                    self._literal(text)
                elif name == "N_":
                    self.unmarked.append(ast.unparse(node))
        elif name in self._problems:
            position = 1 if name == "InvalidSetting" else 0
            said = [*node.args[position : position + 1], *(k.value for k in node.keywords if k.arg == "advice")]
            for text in said:
                # A keyword search finds literals here, but not in the advice, nor in a class derived in the file.
                direct = name in KEYWORDS and text in node.args
                self._follow(text, direct)
        self.generic_visit(node)

    def _follow(self, node: ast.expr, direct: bool = False) -> None:
        """Trace `node`, a text that is shown: it must come from a marked literal."""
        match node:
            case ast.Constant(value=""):
                pass
            case ast.Constant() if direct:
                self._literal(node)
            case ast.Call(func=ast.Name(id="N_")):
                pass  # visited on its own
            case ast.Call(func=ast.Attribute(value=ast.Name() as table, attr="get"), args=[_, default]):
                self._follow(table)
                self._follow(default)
            case ast.Subscript(value=ast.Name() as table):
                self._follow(table)
            case ast.Dict():
                for value in node.values:
                    self._follow(value)
            case ast.IfExp():
                self._follow(node.body, direct)
                self._follow(node.orelse, direct)
            case ast.Attribute(attr="text"):
                pass  # of another message, which has been traced already
            case ast.Name():
                self._follow_name(node.id)
            case _:
                self.unmarked.append(ast.unparse(node))

    def _follow_name(self, name: str) -> None:
        for function in reversed(self._functions):
            parameters = [argument.arg for argument in function.args.args if argument.arg != "self"]
            if name in parameters:
                self._follow_argument(function.name, parameters.index(name))
                return
        values = [
            node.value
            for node in ast.walk(self._functions[-1] if self._functions else self._tree)
            if (isinstance(node, ast.Assign) and any(_name(target) == name for target in node.targets))
            or (isinstance(node, ast.AnnAssign) and node.value is not None and _name(node.target) == name)
        ]
        if not values and self._functions:
            inside, self._functions = self._functions, self._functions[:-1]
            self._follow_name(name)
            self._functions = inside
        elif not values:
            self.unmarked.append(name)
        for value in filter(None, values):
            self._follow(value)

    def _follow_argument(self, function: str, position: int) -> None:
        calls = [n for n in ast.walk(self._tree) if isinstance(n, ast.Call) and _name(n.func) == function]
        for call in calls:
            argument = call.args[position]
            # Passed on under a name: traced where that call stands.
            if isinstance(argument, ast.Name):
                self._follow_name_in(call, argument.id)
            else:
                self._follow(argument)
        if not calls:
            self.unmarked.append(f"{function}, never called")

    def _follow_name_in(self, call: ast.Call, name: str) -> None:
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        around = [n for n in ast.walk(self._tree) if isinstance(n, functions) and call in ast.walk(n)]
        inside, self._functions = self._functions, around
        self._follow_name(name)
        self._functions = inside

    def _literal(self, node: ast.Constant) -> None:
        if node.value:
            self.literals.add(str(node.value))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_text_said_is_marked(path: Path, french: Catalog) -> None:
    if path.name == "messages.py":
        return  # where the messages themselves are defined
    texts = _Texts(ast.parse(path.read_text(encoding="utf-8")))
    known = {text for message in french if message.id for text in _strings(message.id)}
    assert texts.literals <= known
    assert not texts.unmarked


def test_a_text_that_is_not_marked_is_found() -> None:
    source = """
class Gone(Problem): pass
TEXT = "at the top"
def say_it(text, other): raise Problem(text, other="not said")
def ask():
    say_it("handed over", "not said")
    raise Problem(N_("fine") if 1 else TEXT, advice="in a keyword")
raise Gone("of another class")
"""
    assert set(_Texts(ast.parse(source)).unmarked) == {
        "'at the top'", "'handed over'", "'in a keyword'", "'of another class'"
    }  # fmt: skip


# Formats


def test_exam_lines() -> None:
    i18n.use("fr")
    line = i18n._("Epoch {epoch}/{epochs}, Loss: {loss}").format(epoch=1, epochs=5, loss="0.2258")
    assert line == "Époque 1/5, Perte: 0.2258"
    assert i18n._("Result: {accuracy}%").format(accuracy="97.51") == "Résultat: 97.51%"


@pytest.mark.parametrize("language", ["en", "fr"])
def test_numbers(language: str) -> None:
    i18n.use(language)
    expected = {
        "en": ("567,434", "12,345.68", "-3.2", "97.51%", "100%"),
        "fr": ("567\u202f434", "12\u202f345,68", "-3,2", "97,51\u202f%", "100\u202f%"),
    }[language]
    found = (i18n.number(567434), i18n.number(12345.678, 2), i18n.number(-3.2, 1), i18n.percent(0.9751))
    assert (*found, i18n.percent(1, 0)) == expected
    assert [i18n.duration(s) for s in (0.4, 59.6, 185, 7620)] == ["0 s", "1 min 00 s", "3 min 05 s", "2 h 07 min"]


def test_less_than_all_is_never_100_percent() -> None:
    assert [i18n.percent(0.99996, decimals) for decimals in (0, 1, 2, 3)] == ["99%", "99.9%", "99.99%", "99.996%"]
    assert [i18n.percent(value, 0) for value in (0.994, 0.996, 1 - 2e-16, 1)] == ["99%", "99%", "100%", "100%"]


@pytest.mark.parametrize("value", [1e308, 10**4200, 5e-324, 0.1 + 0.2])
def test_no_number_is_too_long(value: float) -> None:
    assert i18n.number(value, 2)


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "fr"),
        ({"LANG": "fr"}, "fr"),
        ({"LANG": "xx_XX.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "fr_CA.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_MESSAGES": "fr_BE"}, "fr"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": ""}, "fr"),
    ],
)
def test_locale_decides(environment: dict[str, str], language: str) -> None:
    assert i18n.from_locale(environment) == language


def test_sentences() -> None:
    i18n.use("fr")
    problem = Problem("cannot read {path}: {reason}", path="a\x1b[2J", reason="Permission denied")
    assert i18n.say(problem) == "impossible de lire a�[2J\u202f: accès refusé"
    advice = Problem("the checkpoint {path} is damaged", advice=N_("See the run's log for the details."), path="x")
    assert i18n.say(advice) == (
        "le point de reprise x est endommagé. Le journal de l'entraînement contient les détails."
    )
    assert i18n.say(Message("")) == ""
    assert i18n.say(Message("a text of another version: {n}", {"n": 12345})) == "a text of another version: 12\u202f345"


def test_plurals() -> None:
    i18n.use("fr")
    said = [i18n.ngettext("{count} run", "{count} runs", count).format(count=count) for count in (0, 1, 2)]
    assert said == ["0 entraînement", "1 entraînement", "2 entraînements"]


def test_english_needs_no_catalogue() -> None:
    i18n.use("en")
    assert i18n._("Train") == "Train"
    with pytest.raises(FileNotFoundError):
        gettext.translation(i18n.DOMAIN, i18n.LOCALES, ["en"])


# Limits that translations must fit


@pytest.mark.parametrize("language", i18n.LANGUAGES)
@pytest.mark.parametrize("model", NETWORKS)
def test_layer_table_fits_its_panel(language: str, model: str) -> None:
    i18n.use(language)
    console = Console(width=200)
    grid = tables.layers(recorded.layer_tables()[Architecture(model=model)])
    assert Measurement.get(console, console.options, grid).maximum <= 74


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_keys_fit_the_footer(language: str) -> None:
    i18n.use(language)
    keys = [FooterKey(key, min(key.each, key=len), key.verb != "stop") for key in (*key_table(), *app_keys())]
    shown = {entry.key.verb for entry in chosen(keys, NARROW[0] - 2)}
    assert shown >= {"train", "show_digits", "draw", "test", "compare", "help", "quit"}


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_words_fit_their_columns(language: str) -> None:
    i18n.use(language)
    labels = ("Device", "Epochs", "Batch size", "Learning rate", "Seed", "Data set", "Precision", "Threads")
    assert max(len(i18n._(label)) for label in (*labels, "Data folder")) <= 13
    states = ("starting", "running", "done", "stopped", "diverged", "failed", "crashed", "unreadable")
    assert max(len(i18n._(state)) for state in states) <= 10
    tabs = ("Settings", "Layers", "Loss", "Progress", "Result", "Runs")
    assert sum(len(i18n._(tab)) + 2 for tab in tabs) <= 80
