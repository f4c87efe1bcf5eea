"""Networks trained on the same seeds and held against each other: which is better, and how surely."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Footer, Header, Input, Label, ProgressBar, Static
from textual.worker import Worker, WorkerState

from core import catalogue, comparison, statistics
from core.comparison import Comparison, Part
from core.config import RunConfig, setting_from_text
from core.problems import Problem
from core.statistics import LeftOut, Results
from tui_app import comparison_view as view
from tui_app.headless import sample_warning
from tui_app.i18n import _, duration, percent, printable, say
from tui_app.keys import compare_keys
from tui_app.screens.aside import Aside

_INTERVAL_S = 0.5
_SEEDS = 5


class CompareScreen(Aside[list[str]]):
    """`settings` are those of all runs; `best_device` is what `auto` means, where that is known.

    Dismissed with the ids of the runs to show in the chart.
    """

    AUTO_FOCUS = "#seeds"

    class Advanced(Message):
        """The runs have come further, or there is an answer."""

        def __init__(self, made: Comparison, results: Results | None = None) -> None:
            super().__init__()
            self.made = made
            self.results = results

    def __init__(self, runs_dir: Path, settings: RunConfig, best_device: str) -> None:
        super().__init__(compare_keys())
        self._runs_dir = runs_dir
        self._settings = settings
        self._best_device = best_device
        self._made: Comparison | None = None
        self._is_stopping = False
        self._parts: Sequence[Part] = ()

    def compose(self) -> ComposeResult:
        yield Header()
        own = [] if self._settings.model in ("RN_1", "RN_2") else [self._settings.model]
        with Horizontal(classes="field"):
            yield Label(_("Networks"))
            yield Input(",".join(["RN_1", "RN_2", *own]), id="models", compact=True)
        with Horizontal(classes="field"):
            yield Label(_("Seeds"))
            yield Input(str(_SEEDS), id="seeds", compact=True)
        yield Static(Content(self._summary()), classes="muted", id="compare-settings")
        with Horizontal(classes="buttons"):
            yield Button(_("Compare"), id="compare", variant="primary", compact=True)
            yield Button(_("Stop"), id="stop-comparison", compact=True, disabled=True)
            yield Button(_("Show the curves"), id="overlay", compact=True, disabled=True)
        yield ProgressBar(total=1, show_eta=False, show_percentage=False, id="compare-progress")
        yield Static(id="compare-state")
        with VerticalScroll(id="answer"):
            yield Static(
                _("Every network is trained with the same seeds, and so sees the same images in the same order."),
                id="answer-text",
            )
        yield Footer(compact=True)

    def _summary(self) -> str:
        text = _("Each run: {epochs} epochs, batches of {batch_size}, learning rate {lr}, data set {dataset}.")
        settings = self._settings
        return text.format(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            lr=f"{settings.lr:g}".replace(".", _(".")),
            dataset=settings.dataset,
        )

    # What is asked

    @on(Button.Pressed, "#compare")
    @on(Input.Submitted)
    def action_compare(self) -> None:
        if self._made is not None:
            return
        try:
            typed = [part.strip() for part in self.query_one("#models", Input).value.split(",") if part.strip()]
            models = [setting_from_text("model", model) for model in typed]
            seeds = comparison.check_seeds(self.query_one("#seeds", Input).value)
            plan = comparison.plan(models, seeds, self._settled())
            settings = plan[0]
            made = Comparison(self._runs_dir, plan, comparison.at_once(settings.device, settings.threads))
        except Problem as problem:
            self._complain(problem)
            return
        self._made, self._is_stopping = made, False
        self._carry_out(made)

    def _settled(self) -> RunConfig:
        """With nothing left to choose: the same question then finds the runs that are there already."""
        settings = self._settings
        device = self._best_device if settings.device == "auto" else settings.device
        dataset = settings.dataset
        if dataset == "auto":
            there = catalogue.on_disk(Path(settings.data_dir))
            dataset = "mnist" if "mnist" in there else "sample"
            if dataset == "sample":
                self.notify(_("MNIST is not on disk: train a run on it first, which fetches it."), severity="warning")
        threads = settings.threads or comparison.default_threads(device)
        return msgspec.structs.replace(settings, device=device, dataset=dataset, threads=threads, exact=False)

    @on(Button.Pressed, "#stop-comparison")
    def action_stop(self) -> None:
        if self._made is not None:
            self._is_stopping = True
            self._made.stop()

    def action_leave(self) -> None:
        self._leave([])

    @on(Button.Pressed, "#overlay")
    def action_overlay(self) -> None:
        if run_ids := [part.run.id for part in self._parts if part.run is not None]:
            self._leave(run_ids)

    def _leave(self, run_ids: list[str]) -> None:
        if self._made is not None:
            self.app.notify(_("Runs in progress go on; the same comparison goes on from there."))
        self.dismiss(run_ids)

    # How it goes

    @work(exit_on_error=False)
    async def _carry_out(self, made: Comparison) -> None:
        while await asyncio.to_thread(made.advance):
            self.post_message(self.Advanced(made))
            await asyncio.sleep(_INTERVAL_S)
        left_out = [_as_left_out(part) for part in made.parts if part.state == "left_out"]
        results = await asyncio.to_thread(statistics.summarise, made.records, left_out) if made.records else None
        self._made = None
        self.post_message(self.Advanced(made, results))

    @on(Advanced)
    def _show(self, message: Advanced) -> None:
        made = message.made
        self.query_one("#compare-progress", ProgressBar).update(progress=made.share)
        self._parts = made.parts
        self.query_one("#stop-comparison", Button).disabled = self._made is None
        self.query_one("#overlay", Button).disabled = not any(part.run for part in made.parts)
        self.query_one("#compare", Button).disabled = self._made is not None
        ended = made.count("done", "left_out")
        text = _("{ended} of {runs} runs, {running} in progress")
        line = text.format(ended=ended, runs=len(made.parts), running=made.count("running"))
        left = made.seconds_left()
        if left is not None and self._made is not None:
            line += " · " + _("{left} left").format(left=duration(left))
        if self._made is None and self._is_stopping:
            line += " · " + _("stopped; Compare goes on from here")
        self.query_one("#compare-state", Static).update(Content(line))
        answer = self.query_one("#answer-text", Static)
        answer.update(_runs_table(made.parts) if message.results is None else _answer(message.results))

    @on(Worker.StateChanged)
    def _failed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._made = None
            error = event.worker.error
            self._complain(error if isinstance(error, Problem) else Problem("{reason}", reason=repr(error)))

    def _complain(self, problem: Problem) -> None:
        self.query_one("#compare-state", Static).update(Content(say(problem)))
        self.app.bell()


def _as_left_out(part: Part) -> LeftOut:
    from core.problems import Message as Sentence

    why = part.why or Sentence("no reason was given")
    return LeftOut(part.run.id if part.run else "", part.config.model, part.config.seed, part.status, why)


def _runs_table(parts: Sequence[Part]) -> RenderableType:
    """While they are trained: a row for each run."""
    rows = []
    for part in parts:
        result = part.record.evaluated if part.record is not None else None
        states = {
            "waiting": _("waiting"),
            "running": _("running"),
            "done": _("done"),
            "stopped": _("stopped"),
            "left_out": _("left out"),
        }
        share = part.record.share if part.record is not None else 0.0
        name = printable(part.config.model.rpartition("/")[2])
        run_id = part.run.id if part.run is not None else ""
        accuracy = percent(result.accuracy) if result is not None else percent(share, 0) if share else ""
        rows.append((run_id, name, str(part.config.seed), states[part.state], accuracy))
    return view.as_table(view.Grid((_("Run"), _("Network"), _("Seed"), _("State"), ""), tuple(rows)))


def _answer(results: Results) -> RenderableType:
    parts: list[RenderableType] = []
    if results.started.dataset == "sample":
        parts += [Text(sample_warning(), style="bold"), Text("")]
    for pair in results.pairs:
        parts += [Text(view.verdict(pair), style="bold"), Text("")]
    parts += [view.as_table(view.networks(results)), Text("")]
    parts += [Text(note) for note in view.notes(results)]
    for pair in results.pairs:
        parts += [Text(""), Text(view.pair_title(pair)), view.as_table(view.mcnemar(pair))]
    parts += [Text(view.left_out(part)) for part in results.left_out]
    return Group(*parts)
