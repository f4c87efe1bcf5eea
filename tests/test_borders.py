"""The rules on imports, checked against the imports of every file and confirmed in a few fresh interpreters."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]

LEVELS: tuple[tuple[str, ...], ...] = (
    # Texts, files and the machine: these import nothing else here, nor one another.
    ("core.messages", "core.files", "core.machine", "core.randomness"),
    # The folders of data and runs.
    ("core.paths",),
    # The available data sets and built-in networks.
    ("core.catalogue",),
    # Everything that a run needs to be told.
    ("core.config",),
    # Files on disk, images, and networks.
    ("core.runs", "core.data", "core.networks"),
    # Training a network on images.
    ("core.training",),
    # A trained network looked into; the exam's sheet, its program and its questions.
    ("core.inspecting", "core.exam"),
    # The names for a notebook, and what there is on this machine.
    ("core.notebook", "core.doctor"),
    # The process that trains, and the protocol to talk to it.
    ("core.worker",),
    # Several runs, compared; runs in the formats of other tools.
    ("core.comparing", "core.exporting"),
    # From here on there is a user: the language, and the kind of terminal.
    ("tui_app.i18n", "tui_app.terminal"),
    # Words that both front ends use, and the description of each setting.
    ("tui_app.wording", "tui_app.settings", "tui_app.notification"),
    # The columns of a table of runs, and a comparison put into words.
    ("tui_app.run_columns", "tui_app.comparison_text"),
    # Which runs are shown, where they are trained, and tables as text.
    ("tui_app.run_selection", "tui_app.slot_text", "tui_app.tables"),
    # Curves in characters; the exam's questions as they are shown.
    ("tui_app.charts", "tui_app.question_text"),
    # What a look inside a network shows, as text and as pictures in characters; the exam's program, put into words.
    ("tui_app.inside", "tui_app.program"),
    # A comparison as a document.
    ("tui_app.report",),
    # The screens.
    ("tui_app.dashboard",),
    # The commands, each of which may open any of these.
    ("tui_app.console",),
    # The entry point.
    ("tui_app.cli",),
    ("tui_app.__main__",),
)
"""Levels of rooms, from the bottom up: a file imports its own room and lower levels, but no other room of its level."""

LOADING_TORCH = {
    "core.data.datasets",
    "core.data.distortions",
    "core.data.split_and_permute",
    "core.networks.build",
    "core.networks.describe",
    "core.networks.exam",
    "core.networks.macs",
    "core.networks.state",
    "core.networks.trail",
    "core.notebook",
    "core.randomness",
    "core.training.meter",
    "core.training.member",
    "core.training.stacked",
    "core.training.together",
    "core.training.trial",
    "core.networks.output_size",
    "core.networks.own",
    "core.networks.parts",
    "core.networks.rehearsal",
    "core.networks.tabulate",
    "core.networks.two_batches",
    "core.networks.variant",
    "core.training.acceleration",
    "core.training.batches",
    "core.training.steps.captured",
    "core.training.steps.chain",
    "core.training.steps.checked",
    "core.training.steps.choose",
    "core.training.steps.plain",
    "core.training.steps.straight",
    "core.training.steps.watched",
    "core.training.checkpoints",
    "core.training.devices",
    "core.training.evaluation",
    "core.training.load_trained",
    "core.training.loop",
    "core.training.optimizer",
    "core.training.recognition",
    "core.training.order",
    "core.training.robustness",
    "core.training.health",
    "core.training.settle",
    "core.training.snapshots",
    "core.training.steps.fused.convolutions",
    "core.training.steps.fused.flat",
    "core.training.steps.fused.step",
    "core.training.steps.fused.kernels",
    "core.training.testing",
    "core.training.weights",
    "core.inspecting.feature_maps",
    "core.inspecting.formulas",
    "core.inspecting.forward_pass",
    "core.inspecting.inspection",
    "core.inspecting.reasons",
    "core.inspecting.receptive_field",
    "core.inspecting.recording",
    "core.exam.program_data",
    "core.exam.seen",
    "core.exam.stepper",
    "core.exam.torch_state",
    "core.exam.trials",
    "core.worker.evaluations",
    "core.worker.group_stages",
    "core.worker.helm",
    "core.worker.insides",
    "core.worker.program_session",
    "core.worker.questions",
    "core.worker.stages",
    "core.worker.standby",
    "core.worker.threads",
}
"""Modules that load torch when they are imported; all others load quickly."""
LOADING_NUMPY = {"core.data.drawing", "core.data.own_pictures"}
"""Other modules that load numpy; they are imported only where a picture is prepared."""

LOADING_TENSORBOARD = {"core.exporting.tensorboard"}
"""Modules that load TensorBoard's, and with it numpy, but not torch."""

LOADING_TRITON = {"core.training.steps.fused.kernels", "core.training.steps.fused.convolutions"}
"""Modules that need Triton, which not every machine has: only a function imports them, where there is a GPU."""


class Import(NamedTuple):
    """An import of one of our modules, or of a library."""

    of: str
    at_once: bool
    """True if it runs when the file is loaded, not inside a function."""
    for_types: bool
    """True if it is for the type checker only."""


@cache
def modules() -> Mapping[str, Path]:
    """Return every file of the two packages by its module's name."""
    paths = [path for package in ("core", "tui_app") for path in sorted((ROOT / package).rglob("*.py"))]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return dict(zip(names, paths, strict=True))


def imports_in(nodes: list[ast.stmt], at_once: bool = True, for_types: bool = False) -> Iterator[Import]:
    """Yield the imports in these statements, including those inside functions and conditions."""
    for node in nodes:
        match node:
            case ast.Import():
                yield from (Import(alias.name, at_once, for_types) for alias in node.names)
            case ast.ImportFrom():
                assert node.level == 0, "imports name the whole way"
                for alias in node.names:
                    within = f"{node.module}.{alias.name}"
                    yield Import(within if within in modules() else str(node.module), at_once, for_types)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from imports_in(node.body, at_once, for_types=True)
                yield from imports_in(node.orelse, at_once, for_types)
            case _:
                is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                inner = [child for child in ast.walk(node) if child is not node and isinstance(child, ast.stmt)]
                direct = [child for child in inner if _holder(node, child)]
                yield from imports_in(direct, at_once and not is_function, for_types)


def _holder(node: ast.stmt, child: ast.stmt) -> bool:
    """Return whether `child` stands directly in `node`, with no statement in between."""
    blocks = [getattr(node, name, []) for name in ("body", "orelse", "finalbody")]
    blocks += [part.body for name in ("handlers", "cases") for part in getattr(node, name, [])]
    return any(child is statement for block in blocks for statement in block)


@cache
def imports() -> Mapping[str, tuple[Import, ...]]:
    return {name: tuple(imports_in(ast.parse(path.read_text()).body)) for name, path in modules().items()}


def level_and_room(name: str) -> tuple[int, str] | None:
    """Return the level of a module and its room; None if it has neither, like the two packages themselves."""
    for level, rooms in enumerate(LEVELS):
        for room in rooms:
            if name == room or name.startswith(room + "."):
                return level, room
    return None


def test_every_file_has_its_level_and_every_level_its_files() -> None:
    packages = {"core", "tui_app"}
    assert [name for name in modules() if name not in packages and level_and_room(name) is None] == []
    placed = {place[1] for name in modules() if (place := level_and_room(name))}
    assert placed == {room for rooms in LEVELS for room in rooms}
    assert {name: [one.of for one in imports()[name]] for name in packages} == {
        "core": [],
        "tui_app": ["sys", "pathlib", "core"],  # to find our `core`, not the user's
    }


def test_the_architecture_page_names_every_room_on_its_level() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = [tuple(re.findall(r"`(\w+)`", row)) for row in re.findall(r"^\| ((?:`\w+` )+)\|", page, re.M)]
    levels = [tuple(room.partition(".")[2] for room in rooms) for rooms in LEVELS]
    assert rows == [level for level in levels if level != ("__main__",)]


def test_no_import_runs_upward() -> None:
    upward = []
    for name, found in imports().items():
        for one in found:
            here, there = level_and_room(name), level_and_room(one.of)
            if here and there and here[1] != there[1] and there[0] >= here[0]:
                upward.append(f"{name} imports {one.of}")
    assert upward == []


def test_no_import_runs_in_a_circle() -> None:
    """No circle arises when files are loaded, nor with what functions import later."""
    at_once = {
        name: [one.of for one in found if one.at_once and not one.for_types] for name, found in imports().items()
    }
    ever = {name: [one.of for one in found if not one.for_types] for name, found in imports().items()}
    assert (circle(at_once), circle(ever)) == ([], [])


def test_a_circle_is_found() -> None:
    assert circle({"a": ["b"], "b": ["c", "d"], "c": [], "d": ["b"]}) == ["b", "d", "b"]


def circle(graph: Mapping[str, list[str]]) -> list[str]:
    """Return a path that leads back to its start, or an empty list."""
    clear: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in clear:
            for target in graph.get(name, []):
                if found := search(target, [*way, name]):
                    return found
            clear.add(name)
        return []

    return next((found for name in graph if (found := search(name, []))), [])


def test_no_class_has_the_name_of_another() -> None:
    names = Counter(
        node.name
        for path in modules().values()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


# Libraries


def loaded_at_once(name: str) -> set[str]:
    """Return everything imported along with this module: our own modules, and the libraries that they name."""
    found: set[str] = set()
    open_names = [name]
    while open_names:
        this = open_names.pop()
        if this not in found:
            found.add(this)
            open_names += [one.of for one in imports().get(this, ()) if one.at_once and not one.for_types]
    return {part for each in found for part in (each, each.split(".")[0])}


def test_what_needs_no_torch_does_not_load_it() -> None:
    assert {name for name in modules() if "torch" in loaded_at_once(name)} == LOADING_TORCH


def loaded_by(names: list[str]) -> set[str]:
    """Return all modules that a fresh interpreter has loaded after importing these."""
    program = f"import sys, importlib; [importlib.import_module(n) for n in {names!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)
    return set(done.stdout.split())


def of_package(package: str) -> list[str]:
    """Return the modules of a package that any machine can import, without the entry point, which would run."""
    left_out = LOADING_TRITON | {"tui_app.__main__"}
    return [name for name in modules() if name.split(".")[0] == package and name not in left_out]


def test_no_library_brings_torch_along() -> None:
    """Core's other modules load no numpy either: commands that only list things should start at once."""
    quick = [name for name in of_package("core") if name not in LOADING_TORCH | LOADING_NUMPY | LOADING_TENSORBOARD]
    assert not loaded_by(quick) & {"torch", "torchvision", "numpy", "tensorboard"}


def test_triton_is_loaded_by_functions_only() -> None:
    assert {name for name in modules() if "triton" in loaded_at_once(name)} == LOADING_TRITON


def test_an_export_loads_neither_torch_nor_tensorflow() -> None:
    loaded = loaded_by(sorted(LOADING_TENSORBOARD))
    assert "tensorboard" in loaded
    assert not loaded & {"torch", "torchvision", "tensorflow"}


@pytest.mark.slow
def test_core_knows_neither_the_dashboard_nor_its_libraries() -> None:
    loaded = loaded_by(of_package("core"))
    assert "torch" in loaded
    assert not loaded & {"textual", "plotext", "typer", "rich"}
    assert not [name for name in loaded if name.split(".")[0] == "tui_app"]


@pytest.mark.slow
def test_a_run_does_not_load_torch_s_compiler(tmp_path: Path) -> None:
    """It would add two seconds to every start. What looks at networks, and optimizers, tend to load it."""
    settings = "--no-ui --model RN_2 --width 0.1 --dropout 0.5 --batch-norm --validate --epochs 1 --dataset sample"
    command = [sys.executable, "-X", "importtime", "-m", "tui_app", *settings.split(), "--runs-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = {line.split()[-1] for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "torch.optim.adam" in loaded
    assert "torch._dynamo" not in loaded


def test_the_dashboard_never_loads_torch() -> None:
    loaded = loaded_by(of_package("tui_app"))
    assert "textual" in loaded
    assert not loaded & {"torch", "torchvision", "numpy", "plotext", "tensorboard"}


def test_one_file_knows_plotext() -> None:
    knowing = [name for name, found in imports().items() if any(one.of.split(".")[0] == "plotext" for one in found)]
    assert knowing == ["tui_app.charts.canvas"]
