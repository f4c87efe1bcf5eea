"""The dashboard, driven as a user would, with workers that load no torch."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.events import Resize
from textual.geometry import Size
from textual.widgets import Checkbox, Input, RadioSet, Select

from core.config import Architecture
from core.machine import DeviceInfo
from core.messages import Message, Problem
from core.networks.layer_table import Layer, LayerTable
from core.runs import control, directory
from core.runs.control import Request
from core.runs.events import Evaluated, RunEnded, Validated
from core.worker.protocol import Try
from tests.core.runs.run_files import new_run, write
from tests.recorded import started
from tests.tui_app.driving import NARROW, WIDE, accuracy_on_show, dashboard, focus, shown, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import i18n
from tui_app.dashboard.widgets.loss_chart import LossChart


async def test_choose_train_and_read_the_result(language: str, tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        assert "RN_1" in shown(app)
        await until(pilot, lambda: i18n.number(567_434) in shown(app))
        await focus(pilot, app.screen.query_one("#network", RadioSet))
        await pilot.press("right", "enter")
        await until(pilot, lambda: i18n.number(421_642) in shown(app))
        assert f"32×64×3×3 + 64 = {i18n.number(18_496)}" in shown(app)
        assert "(28 + 2·1 − 3)/1 + 1 = 28" in shown(app)

        await pilot.press("f5")
        chart = app.screen.query_one(LossChart)
        await until(pilot, lambda: bool(re.search("[\u2801-\u28ff]", shown(app))))
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        assert chart.region.height >= 10
        accuracy = accuracy_on_show(app)

    (summary,) = directory.Listing(tmp_path).read()
    assert summary.state == "done"
    assert summary.config is not None
    assert (summary.config.model, summary.config.epochs, summary.config.seed) == ("RN_2", 2, 5)
    run = directory.find(tmp_path)
    (result,) = [event for event in run.reader().read_new() if isinstance(event, Evaluated)]
    assert accuracy == i18n.number(100 * result.accuracy, 2)


async def test_an_old_run_shows_what_a_live_one_did(finished: Path) -> None:
    run = directory.find(finished, "rn2-0002")
    (result,) = [event for event in run.reader().read_new() if isinstance(event, Evaluated)]
    async with dashboard(finished, run_id="rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) == f"{100 * result.accuracy:.2f}")
        await until(pilot, lambda: "421,642" in shown(app) and " errors in 1,000" in shown(app))
        text = shown(app)
        assert f"Result: {100 * result.accuracy:.2f}%" in text
        assert re.search(r"Epoch 2/2, Loss: \d\.\d{4}", text)
        assert "SAMPLE" in text
        assert f"{result.total - result.correct} errors in 1,000" in text
        for digit in range(10):
            assert f"{digit} " + " ".join(f"{n or '·':>3}" for n in result.confusion[digit]) in text
        assert len(re.findall("[\u2801-\u28ff]", text)) > 50


async def test_runs_are_listed_picked_and_laid_over_the_chart(finished: Path) -> None:
    async with dashboard(finished) as (app, pilot):
        await until(pilot, lambda: "rn1-0001" in shown(app) and "rn2-0002" in shown(app))
        await focus(pilot, app.screen.query_one("#runs"))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Result of rn1-0001" in shown(app))
        await until(pilot, lambda: "running loss" in shown(app))
        await pilot.press("up", "space")
        await until(pilot, lambda: "━━ rn2-0002" in shown(app))
        await pilot.press("space")
        await until(pilot, lambda: "━━ rn2-0002" not in shown(app))


@pytest.mark.parametrize("language", ["fr"], indirect=True)
async def test_panels_are_tabs_in_a_small_terminal(language: str, finished: Path) -> None:
    async with dashboard(finished, NARROW, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        layer_panel = app.screen.query_one("#layers")
        await until(pilot, lambda: i18n.number(421_642) in str(layer_panel.border_subtitle))
        seen = []
        for _panel in range(6):
            seen.append(shown(app))
            await pilot.press("f2")
            await pilot.pause()
        assert re.search("[\u2801-\u28ff]", shown(app))  # all the way round
        chart, progress, layers, result, form, listed = seen
        assert i18n._("Epochs") in form
        assert f"3136×128 + 128 = {i18n.number(401_536)}" in layers
        assert "64·7·7 = 3136" in layers
        assert re.search("[\u2801-\u28ff]", chart)
        assert ("Époque 2/2, Perte: " if language == "fr" else "Epoch 2/2, Loss: ") in progress
        assert ("Résultat: " if language == "fr" else "Result: ") in progress
        assert i18n._("SAMPLE") in result
        assert "rn1-0001" in listed
        for text in seen:
            assert max(map(len, text.splitlines())) <= NARROW[0]


async def test_train_turns_to_the_chart_in_a_small_terminal(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW) as (app, pilot):
        await until(pilot, lambda: "Epochs" in shown(app))
        await pilot.press("f5")
        await until(pilot, lambda: "─ Running loss" in shown(app) and "Epochs" not in shown(app))
        await until(pilot, lambda: bool(re.search("[\u2801-\u28ff]", shown(app))))


async def test_a_terminal_that_is_too_small_says_what_is_needed(tmp_path: Path) -> None:
    async with dashboard(tmp_path, (60, 15)) as (app, pilot):
        assert "80 columns and 24 rows" in shown(app)
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: "Runs" in shown(app) and "80 columns" not in shown(app))


async def test_a_resize_loses_nothing(finished: Path) -> None:
    async with dashboard(finished, WIDE, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: "421,642" in shown(app) and accuracy_on_show(app) != "–")
        before = shown(app)
        for size in (NARROW, (40, 10), (200, 60), WIDE):
            await pilot.resize_terminal(*size)
            await pilot.pause()
        await until(pilot, lambda: shown(app) == before)


async def test_an_older_size_told_last_does_not_stay(tmp_path: Path) -> None:
    """This happens when a window is dragged, and the layout of one size is still in progress when the next arrives."""
    async with dashboard(tmp_path) as (app, pilot):
        await pilot.resize_terminal(*NARROW)
        too_small = Size(60, 18)
        app.screen.post_message(Resize(too_small, too_small))
        await pilot.pause()
        await until(pilot, lambda: "Layers" in shown(app) and app.screen.outer_size == NARROW)


async def test_settings_fill_the_form(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "model": "RN_2",
        "epochs": 7,
        "batch_size": 128,
        "lr": 0.01,
        "precision": "bf16",
        "device": "cpu",
    }
    async with dashboard(tmp_path, **settings) as (app, pilot):
        await until(pilot, lambda: "421,642" in shown(app))
        assert "More --batch-size 128" in shown(app)
        await focus(pilot, app.screen.query_one("#more CollapsibleTitle"))
        await pilot.press("enter")
        await until(pilot, lambda: "Permuted pixels" in shown(app))
        text = shown(app)
        for part in ("128", "0.01", "bf16", "sample"):
            assert part in text
        await pilot.press("f5")
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        config = directory.find(tmp_path).config()
        assert {name: getattr(config, name) for name in settings} == settings
        await until(pilot, lambda: re.search(r"rn2-0001 +done", shown(app)) is not None)


async def test_a_device_is_described(tmp_path: Path) -> None:
    workers = FakeWorkers()
    gpus = [DeviceInfo(f"cuda:{number}", "GPU", free << 30, 80 << 30) for number, free in ((1, 60), (0, 2))]
    workers.devices = (*gpus, DeviceInfo("cpu", "A processor"))
    async with dashboard(tmp_path, workers=workers, device="auto") as (app, pilot):
        await until(pilot, lambda: "60.0 of 80.0 GiB" in shown(app))
        for device, says in (("cuda", "2.0 of 80.0 GiB"), ("cpu", "A processor"), ("cuda:1", "60.0 of 80.0 GiB")):
            app.screen.query_one("#device", Select).set_options([(device, device)])
            app.screen.query_one("#device", Select).value = device
            await until(pilot, lambda says=says: says in shown(app))  # type: ignore[misc]


WRONG = [
    ("epochs", "0", "epochs must be a whole number"),
    ("epochs", "1000000000", "epochs must be a whole number"),
    ("lr", "abc", "learning rate must be"),
    ("batch_size", "", "batch size must be"),
    ("seed", "-1", "seed must be"),
]


async def test_a_wrong_value_is_marked_while_it_is_typed(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        for field, text, says in WRONG:
            field_input = app.screen.query_one(f"#{field}", Input)
            await focus(pilot, field_input)
            field_input.value = ""
            await pilot.press(*text)
            await pilot.pause()
            assert app.screen.query_one(f"#field-{field}").has_class("wrong")
            assert says in " ".join(shown(app).replace("│", " ").split())
            await pilot.press("f5")
            await pilot.pause()
            assert directory.Listing(tmp_path).read() == []
            field_input.value = "3"
            await pilot.pause()
            assert not app.screen.query(".wrong")


async def test_a_network_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "my_net.py"
    path.touch()
    architecture = Architecture(model=f"{path}:Net")
    workers = FakeWorkers()
    workers.refusals[architecture.model] = Problem(
        "{file}:{line}: {what}", file="my_net.py", line=5, what="IndentationError"
    )
    async with dashboard(tmp_path / "runs", workers=workers, model=architecture.model) as (app, pilot):
        await until(pilot, lambda: shown(app).count("my_net.py:5:") == 2)  # by the form and in the panel
        workers.refusals.clear()
        linear = Layer("1", "Linear", Message("linear"), Message("784 → 10"), (10,), 7850, "784×10 + 10", "")
        workers.tables[architecture] = LayerTable(architecture.model, (linear,), 7850, 7850)
        model = app.screen.query_one("#model", Input)
        model.value = f"{path}:Ne"
        await pilot.pause()
        model.value = f"{path}:Net"
        await until(pilot, lambda: "784×10 + 10 = 7,850" in shown(app))


async def test_a_network_of_ones_own_is_tried_before_its_run_exists(tmp_path: Path) -> None:
    path = tmp_path / "my_net.py"
    path.touch()
    architecture = Architecture(model=f"{path}:Net")
    linear = Layer("1", "Linear", Message("linear"), Message("784 → 10"), (10,), 7850, "784×10 + 10", "")
    workers = FakeWorkers(holds=(Try,))
    workers.tables[architecture] = LayerTable(architecture.model, (linear,), 7850, 7850)
    runs = tmp_path / "runs"

    def ids() -> list[str]:
        return [summary.id for summary in directory.Listing(runs).read()]

    async with dashboard(runs, workers=workers, notifications=True, model=architecture.model) as (app, pilot):
        await until(pilot, lambda: "784×10" in shown(app))
        await pilot.press("f5", "f5")  # one trial at a time
        await until(pilot, lambda: "my_net.py:Net is on trial" in shown(app))
        assert sum(isinstance(question, Try) for question in workers.asked) == 1
        app.screen.query_one("#model", Input).value = f"{path}:Other"
        await pilot.press("f5")
        app.screen.query_one("#model", Input).value = architecture.model
        workers.refusals[architecture.model] = Problem("{reason}", reason="fails in a training step")
        workers.newest.answer_held()
        await until(pilot, lambda: "fails in a training step" in shown(app))
        assert "my_net.py:Other is on trial" not in shown(app)
        assert ids() == []
        workers.refusals.clear()
        await pilot.press("f5")
        workers.newest.answer_held()
        await until(pilot, lambda: ids() == ["net-0001"])
        await pilot.press("f5")
        await until(pilot, lambda: sum(isinstance(question, Try) for question in workers.asked) == 3)
        workers.newest.kill()  # as a network may that crashes its process
        await until(pilot, lambda: "killed" in shown(app))
        assert ids() == ["net-0001"]
        await pilot.press("f5")
        await until(pilot, lambda: sum(isinstance(question, Try) for question in workers.asked) == 4)


async def test_help_lists_every_key_and_the_log_can_be_read(finished: Path) -> None:
    (finished / "rn1-0001" / "log.txt").write_text("a line of the log \x1b[31m\n")
    async with dashboard(finished, run_id="rn1-0001") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await pilot.press("f1")
        await until(pilot, lambda: "F5" in shown(app) and "Start a run" in shown(app))
        await pilot.press("escape")
        await pilot.press("f4")
        await until(pilot, lambda: "a line of the log" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "a line of the log" not in shown(app))


async def test_quitting_asks_while_a_run_is_live(tmp_path: Path) -> None:
    async with dashboard(tmp_path, workers=FakeWorkers(epochs=1.5), epochs=1000) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "/1,000 · batch" in shown(app))
        await pilot.press("f10")
        await until(pilot, lambda: "rn1-0001 is in progress" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: "is in progress" not in shown(app))
        await pilot.press("f10")
        await until(pilot, lambda: "rn1-0001 is in progress" in shown(app))
        await pilot.click("#stop")
        run = directory.find(tmp_path)
        await until(pilot, lambda: run.state() == "stopped")
    assert app.return_code == 0


async def test_the_question_before_quitting_ends_with_the_run(tmp_path: Path) -> None:
    async with dashboard(tmp_path, workers=FakeWorkers(epochs=1.5), epochs=1000) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "/1,000 · batch" in shown(app))
        await pilot.press("f10")
        await until(pilot, lambda: "rn1-0001 is in progress" in shown(app))
        directory.find(tmp_path).request_stop()
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0


async def test_stop_and_resume(tmp_path: Path) -> None:
    workers = FakeWorkers(epochs=1.5)
    async with dashboard(tmp_path, workers=workers, epochs=300) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "images/s" in shown(app))
        await pilot.press("f6")
        await until(pilot, lambda: "stopped · epoch 2/300" in shown(app))
        await pilot.press("f7")
        await until(pilot, lambda: "running · epoch 3/300" in shown(app))
        await pilot.press("f6")
        await until(pilot, lambda: "stopped · epoch 3/300" in shown(app))


async def test_a_run_is_paused_and_changed(tmp_path: Path) -> None:
    workers = FakeWorkers(epochs=1)
    async with dashboard(tmp_path, workers=workers) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: "running" in shown(app) and "Epoch 1/2" in shown(app))
        run = directory.find(tmp_path)
        await focus(pilot, app.screen.query_one("#runs"))
        await pilot.press("p")
        await pilot.press("e")
        await until(pilot, lambda: "Change rn1-0001 from its next batch on" in shown(app))
        await pilot.press(*"0.01", "tab", *"0", "enter")
        await until(pilot, lambda: "epochs must be a whole number" in shown(app))
        await pilot.press("shift+tab", "tab", *"9", "enter")
        await until(pilot, lambda: "from its next batch on" not in shown(app))
        asked = [request for _path, request in control.pending(run.path)]
        assert asked == [Request(paused=True), Request(lr=0.01, epochs=9)]
        workers.advance()
        await until(pilot, lambda: "done · epoch 2/2" in shown(app))
        await pilot.press("e")
        await until(pilot, lambda: "Resume rn1-0001 with other settings" in shown(app))
        await pilot.press("tab", *"2", "enter")
        await until(pilot, lambda: "ask for at least 3 epochs" in shown(app))


async def test_a_run_is_followed_while_it_trains(tmp_path: Path) -> None:
    workers = FakeWorkers(epochs=1)
    async with dashboard(tmp_path, workers=workers, epochs=3) as (app, pilot):
        await until(pilot, lambda: len(workers.started) == 1)  # at once, as there is no run to look at
        await pilot.press("f5")
        await until(pilot, lambda: "running · epoch 1/3 · batch 63/63 · 33%" in shown(app))
        assert len(re.findall(r"Epoch \d/3, Loss: ", shown(app))) == 1
        workers.advance(1)
        await until(pilot, lambda: "running · epoch 2/3 · batch 63/63 · 67%" in shown(app))
        assert len(re.findall(r"Epoch \d/3, Loss: ", shown(app))) == 2
        assert accuracy_on_show(app) == "–"
        workers.advance()
        await until(pilot, lambda: "done · epoch 3/3" in shown(app) and accuracy_on_show(app) != "–")
        await until(pilot, lambda: len(workers.started) == 2)  # the next run need not wait for its worker


@pytest.mark.parametrize("language", ["fr"], indirect=True)
async def test_remedies_change_the_layer_table_and_are_checked_while_they_are_typed(
    language: str, tmp_path: Path
) -> None:
    async with dashboard(tmp_path, model="RN_2") as (app, pilot):
        await until(pilot, lambda: i18n.number(421_642) in shown(app))
        await focus(pilot, app.screen.query_one("#dropout"))
        await pilot.press(*"0.5")
        await until(pilot, lambda: "dropout1" in shown(app))
        await focus(pilot, app.screen.query_one("#width"))
        await pilot.press(*"0.5")
        await until(pilot, lambda: f"1568×64 + 64 = {i18n.number(100_416)}" in shown(app))
        await focus(pilot, app.screen.query_one("#batch_norm"))
        await pilot.press("space")
        await until(pilot, lambda: f"2×32 = {i18n.number(64)}" in shown(app) and i18n.number(106_090) in shown(app))
        await focus(pilot, app.screen.query_one("#dropout"))
        await pilot.press("end", *"5x")
        await pilot.pause()
        assert app.screen.query_one("#field-dropout").has_class("wrong")
        app.screen.query_one("#dropout", Input).value = ""
        app.screen.query_one("#width", Input).value = ""
        app.screen.query_one("#batch_norm", Checkbox).value = False
        await until(pilot, lambda: i18n.number(421_642) in shown(app))
        assert not app.screen.query(".wrong")


async def test_a_box_that_cannot_be_ticked_is_marked(tmp_path: Path) -> None:
    async with dashboard(tmp_path, NARROW, exact=True, batch_size=1) as (app, pilot):
        assert not app.screen.query(".wrong")
        for name in ("validate", "batch_norm"):
            box = app.screen.query_one(f"#{name}", Checkbox)
            await focus(pilot, box)
            await pilot.press("space")
            await until(pilot, partial(app.screen.query_one(f"#field-{name}").has_class, "wrong"))
            await pilot.press("f5")
            await pilot.pause()
            assert directory.Listing(tmp_path).read() == []
            assert app.focused is box
            await pilot.press("space")
            await pilot.pause()
            assert not app.screen.query(".wrong")


@pytest.mark.parametrize("language", ["fr"], indirect=True)
async def test_validation_is_drawn_beside_the_running_loss_and_told_line_by_line(language: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"model": "RN_1", "validate": True, "permute": True, "dropout": 0.25, "width": 0.25}
    async with dashboard(tmp_path, **settings) as (app, pilot):
        await pilot.press("f5")
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        run = directory.find(tmp_path)
        validations = [event for event in run.reader().read_new() if isinstance(event, Validated)]
        await until(pilot, lambda: "dropout3" in shown(app))
        text = shown(app)
        assert f"━◆ {i18n._('validation loss')}" in text
        assert text.count("◆") == 2 + len(validations) == 4  # in the legend, before the accuracies, and at the losses
        accuracies = " +".join(re.escape(i18n.number(100 * event.accuracy, 1)) for event in validations)
        assert re.search(f"◆ % +{accuracies} ", text)
        for event in validations:
            assert event.loss is not None
            assert f"{event.loss:.4f}, {100 * event.accuracy:.2f}%" in text
        assert i18n._("pixels permuted") in text


@pytest.mark.parametrize("name", ["[foo bar=.py", "[@click=app.quit]a.py"])
async def test_a_network_s_file_may_have_brackets_in_its_name(name: str, tmp_path: Path) -> None:
    run = new_run(tmp_path, model=f"/tmp/{name}:Annexe1", dataset="sample")
    write(run, started(run.config()), RunEnded(status="done"))
    async with dashboard(tmp_path, run_id=run.id) as (app, pilot):
        await until(pilot, lambda: f" {name}:Annexe1 · lr 0.001" in shown(app), 20)
        await until(pilot, lambda: "anne…-0001 done" in shown(app))  # apart, however long its id
