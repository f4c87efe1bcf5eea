"""Custom networks from the user's files, and what can go wrong in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from core.catalogue import NETWORKS
from core.messages import Problem
from core.networks import exam
from tests.built import built

Write = Callable[..., str]

HEADER = "import torch\nfrom torch import nn\n"
NET = HEADER + (
    "class Net(nn.Module):\n"
    "    def __init__(self):\n"
    "        super().__init__()\n"
    "        self.flatten = nn.Flatten()\n"
    "        self.fc = nn.Linear(784, 10)\n"
    "    def forward(self, x):\n"
    "        return self.fc(self.flatten(x))\n"
)


def with_forward(body: str) -> str:
    return NET.replace("self.fc(self.flatten(x))", body)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a file and returns the name of the class `Net` in it."""

    def write(source: str | bytes, name: str = "net.py", class_name: str = "Net") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        return f"{path}:{class_name}"

    return write


def problem(model: str) -> str:
    """Return the message that the user gets about `model`, which must fit on one line."""
    with pytest.raises(Problem) as caught:
        built(model)
    text = str(caught.value)
    assert "\n" not in text
    assert "{" not in text
    return text


# The exam's networks


@pytest.mark.parametrize("model", ["RN_1", "RN_2", "own"])
def test_the_parameters_come_from_the_caller_s_seed_and_from_nothing_else(model: str, write: Write) -> None:
    if model == "own":
        noisy = "self.fc(self.flatten(nn.functional.dropout(x + torch.rand_like(x), 0.5)))"
        model = write("import torch\ntorch.manual_seed(7)\ntorch.rand(5)\n" + with_forward(noisy))
    torch.manual_seed(3)
    network = built(model)
    after = torch.get_rng_state()

    torch.manual_seed(3)
    expected = {"RN_1": exam.RN_1, "RN_2": exam.RN_2}.get(model, lambda: nn.Linear(784, 10))()
    assert torch.equal(after, torch.get_rng_state())
    assert all(map(torch.equal, network.parameters(), expected.parameters()))


# Custom networks


def test_a_network_of_one_s_own_is_built_ready_to_train(write: Write) -> None:
    source = NET.replace("nn.Flatten()", "nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784), nn.Dropout(0.5))")
    network = built(write(source))
    assert type(network).__name__ == "Net"
    assert all(module.training for module in network.modules())
    statistics = network.get_submodule("flatten.1")
    assert isinstance(statistics, nn.BatchNorm1d)
    assert statistics.num_batches_tracked == 0
    assert statistics.running_var is not None
    assert torch.equal(statistics.running_var, torch.ones(784))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_check_leaves_a_network_that_cannot_be_copied_as_it_was(write: Write) -> None:
    source = NET.replace(
        "nn.Flatten()",
        "nn.Sequential(nn.Flatten(), nn.BatchNorm1d(784))\n        self.kept = nn.Parameter(torch.ones(1)) * 2",
    )
    network = built(write(source))
    statistics = network.get_submodule("flatten.1")
    assert isinstance(statistics, nn.BatchNorm1d)
    assert statistics.num_batches_tracked == 0
    assert statistics.running_var is not None
    assert torch.equal(statistics.running_var, torch.ones(784))
    assert all(module.training for module in network.modules())


def test_the_check_leaves_no_trace_in_what_the_network_counts_itself(write: Write) -> None:
    counting = NET.replace("self.flatten =", "self.calls = 0\n        self.flatten =")
    counting = counting.replace("        return", "        self.calls += 1\n        return")
    assert built(write(counting)).calls == 0


def test_lazy_layers_are_drawn_by_the_seed(write: Write) -> None:
    lazy = write(NET.replace("nn.Linear(784, 10)", "nn.Sequential(nn.LazyLinear(10), nn.LazyBatchNorm1d())"))
    torch.manual_seed(1)
    first = built(lazy)
    torch.manual_seed(1)
    second = built(lazy)
    assert [tuple(parameter.shape) for parameter in first.parameters()] == [(10, 784), (10,), (10,), (10,)]
    assert all(map(torch.equal, first.parameters(), second.parameters()))
    assert all(module.training for module in first.modules())


def test_a_file_imports_its_neighbours_and_edits_of_both_are_seen(write: Write) -> None:
    write("WIDTH = 3\n", "widths_of_mine.py")
    model = write("from widths_of_mine import WIDTH\n" + NET.replace("784, 10)", "784, 10); self.width = WIDTH"))
    search_path = list(sys.path)
    assert built(model).width == 3
    write("WIDTH = 40\n", "widths_of_mine.py")
    assert built(model).width == 40
    write(NET.replace("784, 10)", "784, 10); self.width = 5"))
    assert built(model).width == 5
    assert sys.path == search_path


def test_a_file_may_define_data_classes_and_postponed_annotations(write: Write) -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Sizes:\n    width: int = 10\n"
    )
    built(write(source + NET.replace("784, 10", "784, Sizes().width")))


def test_a_file_s_annotations_are_its_own_affair(write: Write) -> None:
    built(write(NET + "def f(x: int): ...\nassert f.__annotations__['x'] is int\n"))


def test_the_path_ends_at_the_last_colon_and_may_begin_at_home(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(write(NET, "C:odd:name.py"))
    monkeypatch.setenv("HOME", str(tmp_path))
    built("~/C:odd:name.py:Net")


# What can go wrong before there is a module


def test_an_unknown_name_says_what_there_is() -> None:
    known = ", ".join(NETWORKS)
    assert problem("RN_9") == f"there is no network RN_9: choose {known} or path/to/file.py:ClassName"


@pytest.mark.parametrize("model", ["net.py", "net.py:", ":Net", "C:\\nets\\net.py", "net.py:not a name"])
def test_a_name_without_a_class_says_how_to_write_it(model: str) -> None:
    assert problem(model) == f"{model} names no class: write path/to/file.py:ClassName"


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    missing = tmp_path / "missing.py"
    assert problem(f"{missing}:Net") == f"there is no network file {missing}"
    assert problem(f"{tmp_path}:Net") == f"{tmp_path} is a folder, not a Python file"
    assert "cannot be read" in problem("a\0b.py:Net")
    assert "cannot be read" in problem("~no-such-user-here/net.py:Net")
    assert "cannot be read: File name too long" in problem("x" * 5000 + ".py:Net")

    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    model = write(NET)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert problem(model).endswith("net.py cannot be read: Permission denied")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "net.py")
    monkeypatch.setattr(Path, "read_bytes", lambda _path: pytest.fail("would wait for a writer"))
    assert "is not a regular file" in problem(f"{tmp_path / 'net.py'}:Net")


# What the user's code can do


@pytest.mark.parametrize(
    ("source", "line", "reason"),
    [
        ("x = 1\nraise ValueError('two\\nlines.')\n", 2, "ValueError: two lines"),
        ("def f():\n    return missing\nf()\n", 2, "NameError: name 'missing' is not defined"),
        ("x = 1\n\nclass Net(\n", 3, "SyntaxError: '(' was never closed"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("raise SystemExit\n", 1, "SystemExit"),
        ("import asyncio\nraise asyncio.CancelledError\n", 2, "CancelledError"),
        ("import no_such_library_anywhere\n", 1, "ModuleNotFoundError: No module named 'no_such_library_anywhere'"),
        ("class E(Exception):\n    def __str__(self):\n        return 1 / 0\nraise E\n", 4, "E"),
    ],
)
def test_a_file_that_raises_on_import(write: Write, source: str, line: int, reason: str) -> None:
    model = write(source)
    assert problem(model) == f"{model.removesuffix(':Net')}:{line}: the import fails: {reason}"


def test_bytes_that_are_no_python(write: Write) -> None:
    assert "the import fails: SyntaxError: " in problem(write(b"\xff\xfe\x00rubbish"))
    assert "the import fails: S" in problem(write(b"x = '\xff'\n"))


def test_a_long_message_is_cut(write: Write) -> None:
    assert len(problem(write("raise ValueError('x' * 100_000)\n"))) < 500


def test_ctrl_c_during_the_import_stays_ctrl_c(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        built(write("raise KeyboardInterrupt\n"))


def test_a_missing_class_lists_those_that_there_are(write: Write) -> None:
    source = (
        HEADER + "from torch.nn import Linear\nclass Small(nn.Module): ...\nclass Big(Small): ...\nclass Other: ...\n"
    )
    assert problem(write(source)).endswith("net.py has no class Net: choose from Small, Big")
    assert problem(write("class Other: ...\n")).endswith("net.py has no class derived from torch.nn.Module")


@pytest.mark.parametrize("source", ["class Net: ...", "def Net(): ...", HEADER + "Net = nn.Linear(784, 10)", "Net = 3"])
def test_what_is_not_a_network_class(write: Write, source: str) -> None:
    text = problem(write(source))
    assert text.startswith("Net in ")
    assert text.endswith("net.py is not a class derived from torch.nn.Module")


def test_a_class_that_needs_arguments_names_them(write: Write) -> None:
    model = write(NET.replace("__init__(self)", "__init__(self, width, depth=2, *rest, size, **more)"))
    assert problem(model).endswith("must be built without arguments: give a default to width, size")


@pytest.mark.parametrize(
    ("fault", "mended", "line", "reason"),
    [
        ("super(MLP, self)", "super()", 5, "NameError: name 'MLP' is not defined"),
        ("pass", "super().__init__()", 6, "AttributeError: cannot assign module before Module.__init__() call"),
        ("nn.Linear(784)", "nn.Linear(784, 10)", 7, "TypeError: "),
        ("exit(2)", "nn.Linear(784, 10)", 7, "SystemExit: 2"),
    ],
)
def test_a_constructor_that_raises(write: Write, fault: str, mended: str, line: int, reason: str) -> None:
    model = write(NET.replace(mended, fault))
    assert problem(model).startswith(f"{model.removesuffix(':Net')}:{line}: building Net fails: {reason}")


def test_a_constructor_that_forgets_its_parent_s(write: Write) -> None:
    source = HEADER + "class Net(nn.Module):\n    def __init__(self): ...\n"
    assert "building Net fails: AttributeError: " in problem(write(source))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("self.fc(x)", ": fc was given 28 values, and takes 784"),
        ("self.fc(self.flatten(x[:, :, :7, :8]))", ": fc was given 56 values"),
        ("self.fc(self.flatten(x).long())", " on images of 1×28×28: RuntimeError: "),
        ("self.no_such_layer(x)", " on images of 1×28×28: AttributeError: 'Net' object has no attribute 'no_such"),
        ("exit()", " on images of 1×28×28: SystemExit"),
        ("self.fc(self.flatten(x)) if not self.training else 1 / 0", " on images of 1×28×28: ZeroDivisionError: "),
        ("self.fc(self.flatten(x)) if self.training else 1 / 0", " on images of 1×28×28: ZeroDivisionError: "),
    ],
)
def test_a_forward_that_raises(write: Write, body: str, reason: str) -> None:
    model = write(with_forward(body))
    place = f"{model.removesuffix(':Net')}:9"
    assert problem(model).startswith(f"{place}: Net fails{reason}")


def test_a_network_without_a_forward(write: Write) -> None:
    text = problem(write(NET.split("    def forward")[0]))
    assert "net.py: Net fails on images of 1×28×28: NotImplementedError: Module [Net] is missing the required" in text


@pytest.mark.parametrize(
    ("body", "came"),
    [
        ("self.fc(self.flatten(x))[:, :5]", "2×5"),
        ("self.fc(self.flatten(x)).sum()", "()"),
        ("x", "2×1×28×28"),
        ("self.fc(self.flatten(x)).argmax(1)", "2"),
        ("self.fc(self.flatten(x)).long()", "int64"),
        ("(self.fc(self.flatten(x)), x)", "tuple"),
        ("None", "NoneType"),
    ],
)
def test_an_output_that_is_not_ten_logits_per_image(write: Write, body: str, came: str) -> None:
    text = problem(write(with_forward(body)))
    assert text.endswith(f" gives {came} for 2 images: expected floating-point logits of shape 2×10")


def test_a_network_with_nothing_to_train(write: Write) -> None:
    frozen = NET.replace("784, 10)", "784, 10).requires_grad_(False)")
    assert problem(write(frozen)).endswith("net.py has no trainable parameters")
    assert "does not depend on any trainable parameter" in problem(
        write(with_forward("self.fc(self.flatten(x)).detach()"))
    )
