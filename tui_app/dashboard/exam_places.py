"""The screens that show the answers to the exam's questions: what is there for each, and opening them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from textual.screen import Screen

from core.config import Architecture, RunConfig
from core.exam import evidence
from core.exam.evidence import Evidence
from core.exam.questions import AnswerPlace
from core.messages import Problem
from core.runs.record import LIVE
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.widgets.run_form import RunForm

if TYPE_CHECKING:
    from tui_app.dashboard.screen_opener import ScreenOpener


class ExamPlaces:
    """Opener of the places; it chooses the runs to show there, and has those trained that are missing.

    `together` shows runs in the chart; `complain` receives the problems.
    """

    def __init__(
        self,
        dashboard: Screen[None],
        book: RunBook,
        opener: ScreenOpener,
        together: Callable[[Sequence[str] | None], None],
        complain: Callable[[Problem], None],
    ) -> None:
        self._dashboard = dashboard
        self._book = book
        self._opener = opener
        self._together = together
        self._complain = complain
        self._known: tuple[tuple[dict[str, str], bool], Evidence] = (({}, False), Evidence())

    # What there is

    def runs_for(self, place: AnswerPlace) -> list[str]:
        return evidence.runs_for(place, self._book.summaries)

    def missing(self, place: AnswerPlace) -> list[RunConfig]:
        """Return the settings of the runs to train before a place has something to show."""
        there = [summary for run_id in self.runs_for(place) if (summary := self._book.summary(run_id)) is not None]
        models = {summary.config.model for summary in there if summary.config is not None}
        wanted = [self._settings(place, model) for model in place.needs if model not in models]
        return [msgspec.structs.replace(each, dataset=there[0].dataset) if there else each for each in wanted]

    def in_training(self, place: AnswerPlace) -> str:
        """Return the id of a run in progress that a place waits for; nothing if there is none."""
        missing = self.missing(place)
        networks = {config.architecture for config in missing}
        datasets = {config.dataset for config in missing} if self.runs_for(place) else {"auto", *evidence.DIGITS}
        live = (each for each in reversed(self._book.summaries) if each.state in LIVE and each.dataset in datasets)
        return next((each.id for each in live if each.config and each.config.architecture in networks), "")

    def evidence(self) -> Evidence:
        """Return what the user's runs have shown so far."""
        chosen = evidence.chosen(self._book.summaries)
        if chosen != self._known[0]:
            run_ids, are_alike = chosen
            runs = [self._book.run(run_id) for run_id in run_ids.values()]
            self._known = (chosen, evidence.gather(run_ids, runs, are_alike=are_alike))
        return self._known[1]

    # Opening and training

    def open(self, place: AnswerPlace) -> None:
        """Open a place that has all the runs it needs. Raises `Problem`."""
        run_ids = self.runs_for(place)
        match place.kind:
            case "layers":
                self._opener.open_layers(place.model, lambda layer: self._look(place.model, layer))
            case "inside":
                self._opener.open_inside_of(run_ids, place.layer)
            case "digits":
                self._opener.open_digits_of(run_ids)
            case "conditions":
                self._opener.open_conditions_of(run_ids)
            case "compare" if place.model:
                plain = self._settings(AnswerPlace(kind="compare"), place.model)
                self._opener.open_comparison([plain, self._settings(place, place.model)], self._together)
            case "compare":
                self._opener.open_compare(self._form_settings(), self._together)
            case "program":
                self._opener.open_program(place.view, run_ids[0] if run_ids else "")

    def _look(self, model: str, layer: str) -> None:
        """Look at a layer in a trained run, or say that there is none."""
        place = AnswerPlace(kind="inside", model=model, layer=layer)
        try:
            if not self.runs_for(place):
                raise Problem(
                    "no trained {model} yet: the questions I.2 to I.4 have a key that trains one", model=model
                )
            self.open(place)
        except Problem as problem:
            self._complain(problem)

    def train(self, place: AnswerPlace) -> None:
        """Start the first run that a place is missing, with the other settings of the form. Raises `Problem`."""
        self._dashboard.post_message(RunForm.Submitted(self.missing(place)[0], draws_seed=True))

    def open_annexe(self) -> None:
        """Open the exam's sheet. Raises `Problem`."""
        self._opener.open_annexe()

    def _settings(self, place: AnswerPlace, model: str) -> RunConfig:
        network = Architecture(model=model, dropout=place.dropout, batch_norm=place.batch_norm, width=place.width)
        return msgspec.structs.replace(self._form_settings(), **msgspec.structs.asdict(network), permute=False)

    def _form_settings(self) -> RunConfig:
        """Return the settings of the form, with digits if it has other images: the exam asks about these."""
        settings = self._dashboard.query_one(RunForm).config_for_others()
        has_digits = settings.dataset in ("auto", *evidence.DIGITS)
        return settings if has_digits else msgspec.structs.replace(settings, dataset="auto")
