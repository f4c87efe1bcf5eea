"""Every value on the screen against plain torch, in double precision, for both networks and ten own ones."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.catalogue import DATA_SETS
from core.data import datasets
from core.runs.directory import Run
from core.training.batches import normalise
from core.training.load_trained import load_network
from tests.inside import own_networks
from tests.inside.same_process import inside, untrained_run
from tests.tui_app.driving import shown

VALUE = re.compile(r"^(\S+(?: \d+)?)\[([\d, ]*)\] ≈ (\S+)", re.MULTILINE)
FILE = Path(own_networks.__file__)


def values_by_plain_torch(run: Run, image: int) -> dict[str, list[Tensor]]:
    """Return what each layer gives for a test image, in each of its calls, with the batch."""
    dataset = datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _f: None, should_stop=lambda: False
    )
    network = load_network(run).double()
    found: dict[str, list[Tensor]] = {}

    def keep(name: str) -> Any:
        return lambda _module, _given, gave: found.setdefault(name, []).append(
            (gave[0] if isinstance(gave, tuple) else gave).detach().clone()
        )

    for name, module in network.named_modules():
        if name and not list(module.children()):
            module.register_forward_hook(keep(name))
    pixels = normalise(dataset.test_images[image : image + 1], DATA_SETS["sample"]).double()
    with torch.no_grad():
        network(pixels)
    return found


def numbers_in(text: str) -> list[Decimal]:
    return [Decimal(each.replace("−", "-")) for each in re.findall(r"−?\d+(?:\.\d+)?", text)]


def check_rounded(written: str, value: float) -> None:
    decimals = len(written.partition(".")[2])
    expected = f"{value:.{decimals}f}".replace("-", "−")
    assert written in (expected, expected.lstrip("−")), f"{written} is shown for {value!r}"


def check_sum(text: str) -> None:
    """Check that a formula gives what it says: exactly for `=`, up to the rounding of its numbers for `≈`."""
    left, sign, right = re.split(r" ([=≈]) ", text)
    python = left.replace("−", "-").replace("·", "*").replace("√", "math.sqrt").replace("e^", "math.exp")
    python = re.sub(r"math\.exp(-?[\d.]+)", r"math.exp(\1)", python)
    value = eval(python, {"__builtins__": {}, "math": math, "max": max, "log": math.log})
    written = float(right.replace("−", "-"))
    if sign == "=":
        assert value == pytest.approx(written, abs=1e-9)
    else:
        terms = numbers_in(left)
        ulp = 10.0 ** -min(len(str(number).partition(".")[2]) for number in terms)
        assert value == pytest.approx(written, abs=ulp * sum(map(abs, map(float, terms))) + 10 * ulp)


async def walk(run: Run) -> list[str]:
    """Look at values of every layer as a user does, and return the screens."""
    screens = []
    async with inside(run) as (app, pilot):
        await pilot.press("enter")
        await pilot.pause()
        while "Cross-entropy:" not in shown(app):
            await pilot.press("enter")
            for key in ("down", "left"):
                await pilot.press(key)
                await pilot.pause()
                screens.append(shown(app))
            await pilot.press("pagedown")
            await pilot.pause()
    return screens


def right_side(screen: str) -> str:
    """Return what is to the right of the image, with wrapped lines joined."""
    return "\n".join(line[29:].strip() for line in screen.splitlines())


def check_screens(screens: list[str], known: dict[str, list[Tensor]]) -> set[str]:
    """Check the values and the sums on screens, and return the layers that were seen with one."""
    seen = set()
    for screen in screens:
        text = right_side(screen)
        match = VALUE.search(text)
        if match is None:
            continue
        name, place, written = match.groups()
        indices = tuple(int(part) for part in place.split(",") if part.strip())
        if name in known:
            found = (value_at(tensor, indices) for tensor in known[name])
            candidates = [value for value in found if value is not None]
            assert candidates, f"{name}[{place}]"
            check_rounded(written, candidates[-1])
        below = text[match.end() :].split("\n\n")[0]
        formula = re.search(r"^(\(−?\d|max\(|e\^|−?\d).*?[=≈]\s+−?[\d.]+", below, re.DOTALL | re.MULTILINE)
        if formula is not None:
            check_sum(" ".join(formula[0].split()).replace(", …", ""))
        seen.add(name)
    return seen


def value_at(tensor: Tensor, indices: tuple[int, ...]) -> float | None:
    """Return a value of the first image, wherever a tensor has the batch."""
    for dimension in range(tensor.dim()):
        one = tensor.select(dimension, 0)
        if one.dim() == len(indices) and all(at < size for at, size in zip(indices, one.shape, strict=True)):
            return float(one[indices])
    return None


@pytest.mark.parametrize("run_id", ["rn1-0001", "rn2-0002"])
async def test_the_exams_networks(finished: Path, run_id: str) -> None:
    run = Run(finished / run_id)
    known = values_by_plain_torch(run, 0)
    assert check_screens(await walk(run), known) >= known.keys()


@pytest.mark.alike
async def test_their_variants(tmp_path: Path) -> None:
    run = untrained_run(tmp_path, "RN_2", dropout=0.3, batch_norm=True, width=0.25)
    known = values_by_plain_torch(run, 0)
    assert check_screens(await walk(run), known) >= known.keys()


DIFFERENT = (own_networks.Residual, own_networks.Tokens, own_networks.Shared)


@pytest.mark.parametrize(
    "network",
    [pytest.param(each, marks=[] if each in DIFFERENT else [pytest.mark.alike]) for each in own_networks.ALL],
    ids=lambda each: each.__name__,
)
async def test_own_networks(tmp_path: Path, network: type[nn.Module]) -> None:
    run = untrained_run(tmp_path, f"{FILE}:{network.__name__}")
    known = values_by_plain_torch(run, 0)
    seen = check_screens(await walk(run), known)
    assert known.keys() <= seen
