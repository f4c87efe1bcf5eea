"""The modules of a custom network: theirs in their code, ours in ours, and libraries before both."""

from __future__ import annotations

import copy
import inspect
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import fx, nn

import core.messages
from core.messages import Problem
from core.networks.own import source_of
from tests.built import built

Write = Callable[..., str]

HEAD = "import torch\nfrom torch import nn\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a network and files beside it, and returns the name of its class."""

    def write(
        imports: str, beside: dict[str, str], *, init: str = "0", forward: str = "0", name: str = "net.py"
    ) -> str:
        network = (
            f"{HEAD}{imports}\nclass Net(nn.Module):\n"
            f"    def __init__(self):\n        super().__init__()\n"
            f"        self.fc = nn.Linear(784, 10)\n        {init}\n"
            f"    def forward(self, x):\n        {forward}\n        return self.fc(x.flatten(1))\n"
        )
        for path, content in {**beside, name: network}.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(content)
        return f"{tmp_path / name}:Net"

    return write


def run(network: nn.Module) -> Any:
    return network(torch.zeros(3, 1, 28, 28))


def test_helpers_named_like_our_modules_are_theirs_in_their_code_and_ours_in_ours(write: Write) -> None:
    model = write(
        "import core.networks, tests.built, tui_app.cli, importlib\n"
        "import core.messages as m\nfrom core.networks import WHOSE\nfrom core import messages\n"
        "from importlib import import_module\nfrom utils_of_mine import *\n"
        "assert (WHOSE, m.WHOSE, messages, tests.built.WHOSE, tui_app.cli.WHOSE) == ('t', 't', m, 't', 't')\n"
        "assert import_module('core.networks') is importlib.import_module('.networks', 'core') is core.networks\n"
        "assert importlib.util.find_spec('torch') and importlib.import_module('torch') is torch\n",
        {
            "core/networks.py": "from .messages import WHOSE\nfrom . import messages\n",  # no __init__.py
            "core/messages.py": "WHOSE = 't'\n",
            "core/training/deep.py": "WHOSE = 't'\n",
            "tests/built.py": "WHOSE = 't'\n",
            "tui_app/cli.py": "from core.messages import WHOSE\n",
            "utils_of_mine.py": "def later():\n    from core.training.deep import WHOSE\n"
            "    import core.training, importlib, late_of_mine\n"
            "    others = core.training.deep.WHOSE, importlib.import_module('core.messages').WHOSE\n"
            "    return WHOSE, *others, late_of_mine.N\n",
            "late_of_mine.py": "N = 1\n",
        },
        forward="self.late = later()",
    )
    before, search_path = _plain_names(), list(sys.path)
    network: Any = built(model)
    run(network)
    assert network.late == ("t", "t", "t", 1)
    assert sys.modules["core.messages"] is core.messages
    assert _plain_names() - before <= sys.stdlib_module_names
    assert sys.path == search_path


def _plain_names() -> set[str]:
    return {name for name in sys.modules if "custom_network" not in name}


def test_ours_are_there_for_a_network_that_has_none_of_its_own(write: Write) -> None:
    built(write("from core.networks.exam import RN_1\nimport core.messages", {}, init="self.inner = RN_1()"))


def test_libraries_come_before_neighbours_of_their_names(write: Write) -> None:
    names = ("random", "time", "csv", "numpy", "safetensors", "wave")
    shadows = {f"{name}.py": "raise SystemError('a neighbour was taken for a library')\n" for name in names}
    built(write(f"import {', '.join(names)}\n", shadows, name="torch.py"))


def test_networks_with_helpers_of_one_name_keep_them_apart(write: Write) -> None:
    networks: list[Any] = []
    for number in (1, 2):
        model = write(
            "import helper",
            {f"{number}/{name}.py": f"N = {number}\n" for name in ("helper", "lazy")},
            forward="import lazy; self.seen = helper.N, lazy.N",
            name=f"{number}/net.py",
        )
        networks.append(built(model))
    for network in networks:
        run(network)
    assert [network.seen for network in networks] == [(1, 1), (2, 2)]


def test_its_classes_are_like_any_others(write: Write) -> None:
    """They can be copied, pickled, traced and read, by code that looks up their modules."""
    block = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from torch import nn\n@dataclass\nclass Sizes:\n    kind: ClassVar[str] = 's'\n    width: int = 10\n"
        "class Block(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.sizes = Sizes()\n"
        "    def forward(self, x):\n        return x * self.sizes.width\n"
    )
    network: Any = built(write("from core.models import Block", {"core/models.py": block}, init="self.block = Block()"))
    assert copy.deepcopy(network).block.sizes == network.block.sizes
    assert pickle.loads(pickle.dumps(network)).block.sizes == network.block.sizes
    assert inspect.getsource(type(network.block)).startswith("class Block(nn.Module):")
    assert fx.symbolic_trace(network.block)(torch.ones(1)) == 10


def test_a_library_finds_its_modules_by_name_while_it_is_built(write: Write) -> None:
    source = "import pydoc\nassert pydoc.locate('stored_by_me.N') == {}\n"
    for number in ("1", "2"):
        built(write(source.format(number), {"stored_by_me.py": f"N = {number}\n"}))
    assert "stored_by_me" not in sys.modules


def test_a_project_on_the_search_path_is_its_author_s_too(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with `PYTHONPATH=.`, and a network in a folder below."""
    model = write(
        "import shared_by_me\nfrom core.models import N",
        {"shared_by_me.py": "from core.models import N\n", "core/models.py": "N = 1\n"},
        name="nets/net.py",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    built(model)
    monkeypatch.undo()
    appended = f"import sys\nsys.path.append({str(tmp_path)!r})\n"
    lazy = write(appended + "from core.models import N", {}, forward="import shared_by_me", name="nets/net.py")
    run(built(lazy))
    assert "shared_by_me" not in sys.modules


def test_what_cannot_be_imported_has_the_name_its_author_knows(write: Write) -> None:
    model = write("import core.missing", {"core/models.py": ""})
    with pytest.raises(Problem, match=r"ModuleNotFoundError: No module named 'core.missing'"):
        built(model)
    with pytest.raises(Problem, match=r"cannot import name 'N' from 'core.models' \("):
        built(write("from core.models import N", {}))


def test_its_source_is_every_module_of_its_own_and_nothing_that_is_installed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an environment in its folder nor packages installed beside it count, and none of ours."""
    for name in ("env/lib/site-packages/library_a", "packages/library_b"):
        (tmp_path / f"{name}-1.dist-info").mkdir(parents=True)
        (tmp_path / f"{name}.py").write_text("")
        monkeypatch.syspath_prepend(str((tmp_path / name).parent))
    model = write(
        "import library_a, library_b, core.models\nfrom core import models\n",
        dict.fromkeys(("core/__init__.py", "core/models.py", "lazy_of_mine.py", "unused.py"), ""),
        forward="import lazy_of_mine",
    )
    source = source_of(built(model))
    assert source is not None
    assert set(source) == {"net.py", "core/__init__.py", "core/models.py", "lazy_of_mine.py"}
    assert source_of(built("RN_1")) is None
