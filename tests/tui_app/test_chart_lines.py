"""Several curves in the dashboard: by epoch, seconds or multiply–accumulates, and a network's seeds as one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config import RunConfig
from core.runs.directory import Run
from core.runs.events import (
    EpochEnded,
    Evaluated,
    Event,
    Progress,
    RunEnded,
    SettingsChanged,
    Validated,
    WeightsRestored,
    encode,
)
from tests.recorded import started
from tests.tui_app.driving import NARROW, WIDE, chart_lines, dashboard, dot, show_chart, shown, tick, until
from tui_app.charts import palette
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.chart_lines import series as chart_lines_of
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.widgets.loss_chart import LossChart

STEPS = 50
MACS = {"RN_1": 566_528, "RN_2": 4_240_128}


def write(runs_dir: Path, number: int, seconds: float, *, macs: int | None = 0, **settings: Any) -> str:
    """Write a finished run of three epochs, as its worker would have, and return its id."""
    known: dict[str, Any] = {"epochs": 3, "dataset": "sample", "data_dir": "/nowhere", "validate": True}
    config = RunConfig(**known | settings)
    run = Run(runs_dir / f"{config.model.lower().replace('_', '')}-{number:04d}")
    run.path.mkdir(parents=True)
    (run.path / "config.json").write_bytes(msgspec.json.encode(config))
    num_macs = MACS[config.model] if macs == 0 else macs
    events: list[Event] = [
        started(config, train_size=3600, validation_size=400, steps_per_epoch=STEPS, macs=num_macs),
    ]
    for epoch in (1, 2, 3):
        for step in (10, 20, 30, 40, 50):
            done = STEPS * (epoch - 1) + step
            loss = 2 / epoch + config.seed / 10
            elapsed_s = seconds * done / (3 * STEPS)
            events.append(
                Progress(
                    epoch=epoch, step=step, loss=loss, losses=(loss,) * 10, images_per_s=9000.0, elapsed_s=elapsed_s
                )
            )
        events.append(EpochEnded(epoch=epoch, loss=2 / epoch, seconds=seconds / 3))
        events.append(Validated(epoch=epoch, loss=2.2 / epoch, accuracy=0.9 + epoch / 100 + config.seed / 1000))
    confusion = tuple(tuple(97 if row == column else 0 for column in range(10)) for row in range(10))
    events.append(Evaluated(correct=970, total=1000, accuracy=0.97, test_loss=0.1, confusion=confusion))
    events.append(RunEnded(status="done"))
    run.events_path.write_bytes(b"".join(map(encode, events)))
    return run.id


@pytest.fixture
def compared(tmp_path: Path) -> Path:
    """Write three seeds of both networks, RN_2 ten times as slow, and a run of RN_1 with another learning rate."""
    runs_dir = tmp_path / "runs"
    for seed in range(3):
        write(runs_dir, 2 * seed + 1, 6.0, model="RN_1", seed=seed)
        write(runs_dir, 2 * seed + 2, 60.0, model="RN_2", seed=seed)
    write(runs_dir, 7, 6.0, model="RN_1", seed=3, lr=0.01)
    return runs_dir


def legend(app: MnistTui) -> str:
    return chart_lines(app)[0]


@pytest.mark.parametrize(("language", "size"), [("en", WIDE), ("fr", NARROW)], indirect=["language"])
async def test_the_x_axis_is_changed_with_a_key_and_says_what_it_is(
    language: str, size: tuple[int, int], compared: Path
) -> None:
    async with dashboard(compared, size, "rn2-0002") as (app, pilot):
        await show_chart(app, pilot)
        await until(pilot, lambda: chart_lines(app)[-1].rstrip().endswith("3"))
        french = language == "fr"
        expected = [
            ("Époque 0" if french else "Epoch 0", "x\u202f: époques" if french else "x: epochs", "3"),
            ("Temps 0" if french else "Time 0", "secondes d'entraînement" if french else "seconds of training", "60 s"),
            ("MAC 0" if french else "MACs 0", "multiplications" if french else "multiply–accumulates (fo", "40 G"),
            ("Époque 0" if french else "Epoch 0", "x\u202f: époques" if french else "x: epochs", "3"),
        ]
        for (label, name, last), key in zip(expected, ("x", "f11", "x", ""), strict=True):
            axis = chart_lines(app)[-1]
            assert axis.strip().startswith(label)
            assert axis.strip().endswith(last)
            assert name in shown(app)
            if key:
                app.set_focus(None)
                await pilot.press(key)
                await until(pilot, lambda before=axis: chart_lines(app)[-1] != before)  # type: ignore[misc]


async def test_the_chart_is_read_and_changed_with_keys(language: str, compared: Path) -> None:
    """What the keys do shows in the border, also where the panels are tabs."""
    french = language == "fr"
    async with dashboard(compared, NARROW, "rn2-0002") as (app, pilot):
        app.set_focus(None)
        await until(pilot, lambda: "rn2-0002" in shown(app))
        await pilot.press("i")  # from another tab
        await until(pilot, lambda: ("époque 2" if french else "epoch 2") in legend(app))
        assert isinstance(app.focused, LossChart)
        await pilot.press("shift+left", "shift+left", "plus")
        await until(pilot, lambda: "zoom ×2" in shown(app))
        await pilot.press("less_than_sign", "0")
        await until(pilot, lambda: "zoom" not in shown(app) and "2." not in legend(app))
        await pilot.press("l")
        await until(pilot, lambda: ("échelle logarithmique" if french else "log scale") in shown(app))
        await pilot.press("l")
        await until(pilot, lambda: ("échelle linéaire" if french else "linear scale") in shown(app))
        await pilot.press("l")
        await until(pilot, lambda: "linéaire" not in shown(app) and "linear" not in shown(app))
        await pilot.press("m", "m")
        await until(pilot, lambda: ("lissage 0,9" if french else "smoothing 0.9") in shown(app))
        await pilot.press("a")
        await until(pilot, lambda: ("Exactitude" if french else "Accuracy of") in shown(app))
        assert sum(line.count("■") for line in chart_lines(app)) == 2  # in the legend, and at its end
        await pilot.press("a", "b")
        await until(pilot, lambda: ("Pertes par lot lissées" if french else "Smoothed batch losses of") in shown(app))


async def test_a_line_keeps_its_colour_and_has_one_for_light_backgrounds(compared: Path) -> None:
    async with dashboard(compared, run_id="rn2-0002") as (app, pilot):
        await tick(app, pilot, "rn1-0007")
        await until(pilot, lambda: bool(dot(app, "rn1-0007")))
        dark = dot(app, "rn2-0002"), dot(app, "rn1-0007")
        assert dark == palette.ON_DARK[:2]
        app.theme = "textual-light"
        await until(pilot, lambda: (dot(app, "rn2-0002"), dot(app, "rn1-0007")) == palette.ON_LIGHT[:2])


async def test_multiply_accumulates_that_a_run_does_not_know_are_said(tmp_path: Path) -> None:
    run_id = write(tmp_path, 1, 6.0, model="RN_1", seed=0, macs=None)
    async with dashboard(tmp_path, run_id=run_id) as (app, pilot):
        await until(pilot, lambda: bool(re.search("[\u2801-\u28ff]", "".join(chart_lines(app)[1:]))))
        app.set_focus(None)
        await pilot.press("x", "x")
        await until(pilot, lambda: "multiply–accumulates unknown" in "".join(chart_lines(app)[1:]))
        assert not re.search("[\u2801-\u28ff◆●]", "".join(chart_lines(app)[2:]))


async def test_ticked_seeds_of_one_network_are_one_line_with_one_lasting_colour(language: str, compared: Path) -> None:
    seeds = "graines" if language == "fr" else "seeds"
    async with dashboard(compared, run_id="rn2-0002") as (app, pilot):
        await tick(app, pilot, "rn1-0001")
        await until(pilot, lambda: "━━ rn2-0002  ━━ rn1-0001" in legend(app))
        await tick(app, pilot, "rn1-0003")
        await until(pilot, lambda: f"━━ rn2-0002  ━⣿ RN_1 ×2 {seeds}" in legend(app))
        await until(pilot, lambda: dot(app, "rn1-0001") == dot(app, "rn1-0003"))
        colour = dot(app, "rn1-0003")
        assert colour != dot(app, "rn2-0002")
        await tick(app, pilot, "rn1-0005")
        await until(pilot, lambda: f"━⣿ RN_1 ×3 {seeds}" in legend(app))
        await tick(app, pilot, "rn1-0007")  # with another learning rate
        await until(pilot, lambda: f"━⣿ RN_1 ×3 {seeds}  ━━ rn1-0007" in legend(app))
        assert dot(app, "rn1-0007") not in (colour, dot(app, "rn2-0002"))
        await tick(app, pilot, "rn1-0005", "rn1-0003", "rn1-0007")
        await until(pilot, lambda: "━━ rn2-0002  ━━ rn1-0001" in legend(app) and seeds not in legend(app))
        await tick(app, pilot, "rn1-0005")
        await until(pilot, lambda: f"━⣿ RN_1 ×2 {seeds}" in legend(app))
        assert dot(app, "rn1-0005") == colour


async def test_the_run_on_show_is_one_of_the_seeds_where_it_is_ticked_itself(compared: Path) -> None:
    async with dashboard(compared, (280, 60), run_id="rn1-0001") as (app, pilot):
        await tick(app, pilot, "rn1-0003", "rn1-0005")
        await until(pilot, lambda: "━━ rn1-0001  ━⣿ RN_1 ×2 seeds" in legend(app))
        assert "batch losses" in legend(app)
        await tick(app, pilot, "rn1-0001")
        await until(pilot, lambda: "━⣿ RN_1 ×3 seeds" in legend(app) and "rn1-0001" not in legend(app))
        assert "batch losses" not in legend(app)
        figures = chart_lines(app)[1].split()
        assert figures == ["◆", "%", "91.1", "92.1", "93.1"]  # the means of three seeds


async def test_networks_that_share_a_name_are_told_apart_by_their_settings(compared: Path) -> None:
    write(compared, 8, 6.0, model="RN_1", seed=4, lr=0.01)
    async with dashboard(compared, (200, 60), run_id="rn2-0002") as (app, pilot):
        await tick(app, pilot, "rn1-0001", "rn1-0003", "rn1-0007", "rn1-0008")
        await until(pilot, lambda: "RN_1 ×2 seeds" in legend(app) and "RN_1+lr=0.01 ×2 seeds" in legend(app))


async def test_two_runs_of_the_same_seed_are_not_two_seeds(compared: Path) -> None:
    write(compared, 9, 6.0, model="RN_1", seed=0)
    async with dashboard(compared, run_id="rn2-0002") as (app, pilot):
        await tick(app, pilot, "rn1-0001", "rn1-0009")
        await until(pilot, lambda: "━━ rn1-0001  ━━ rn1-0009" in legend(app))


async def test_validation_of_every_run_in_the_chart_is_there(compared: Path) -> None:
    async with dashboard(compared, (120, 44), "rn2-0002") as (app, pilot):
        await tick(app, pilot, "rn1-0005")
        await until(pilot, lambda: "━━ rn1-0005" in legend(app))
        text = chart_lines(app)
        assert [line.split() for line in text[1:3]] == [
            ["◆", "%", "91.0", "92.0", "93.0"],
            ["◆", "%", "91.2", "92.2", "93.2"],
        ]
        assert "━◆ validation loss" in text[0]
        app.screen.query_one(LossChart).log_scale = True
        await pilot.pause()
        assert sum(line.count("◆") for line in chart_lines(app)[3:]) >= 3


def test_a_steered_run_is_no_seed_among_others_and_the_legend_names_other_data_and_devices(compared: Path) -> None:
    with (compared / "rn1-0003" / "events.jsonl").open("ab") as file:
        file.write(encode(SettingsChanged(epoch=3, step=1, lr=0.02)))
    other = write(compared, 9, 6.0, model="RN_1", seed=0)
    events = compared / other / "events.jsonl"
    content = events.read_bytes().replace(b'"device":"cpu"', b'"device":"cuda:0"')
    events.write_bytes(content.replace(b'"dataset":"sample"', b'"dataset":"mnist"'))
    book = RunBook(compared)
    book.overlaid = ["rn1-0001", "rn1-0003", "rn1-0005", other]
    for run_id in book.overlaid:
        book.follow(run_id).read()
    assert [series.name for series in chart_lines_of(book)] == [
        "RN_1 ×2 seeds (sample, cpu)",
        "rn1-0003+lr=0.02 (sample, cpu)",
        "rn1-0009 (mnist, cuda)",
    ]


async def test_the_result_says_which_epoch_s_weights_it_is_of(compared: Path) -> None:
    with (compared / "rn1-0003" / "events.jsonl").open("ab") as file:
        file.write(encode(WeightsRestored(epoch=2, loss=0.5)))
    async with dashboard(compared, run_id="rn1-0003") as (app, pilot):
        await until(pilot, lambda: "  weights of epoch 2  " in shown(app) and "MNIST · weig…" in shown(app))
