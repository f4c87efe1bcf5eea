"""The screens that show the answers to the exam's questions: what is there for each, and opening them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from textual.screen import Screen

from core.config import Architecture, RunConfig
from core.exam import evidence, questions
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
        self.opener = opener
        self._together = together
        self._complain = complain
        self._known: tuple[tuple[dict[str, str], bool], Evidence] = (({}, False), Evidence())

    # What there is

    def of(self, question_id: str) -> list[AnswerPlace]:
        """Return the places where the answer to a question is seen."""
        return list(questions.PLACES[question_id])

    def runs_for(self, place: AnswerPlace) -> list[str]:
        return evidence.runs_for(place, self._book.summaries)

    def missing(self, place: AnswerPlace) -> list[RunConfig]:
        """Return the settings of the runs to train before a place has something to show."""
        there = {self._model_of(run_id) for run_id in self.runs_for(place)}
        return [self._settings(place, model) for model in place.needs if model not in there]

    def in_training(self, place: AnswerPlace) -> str:
        """Return the id of a run in progress that a place waits for; nothing if there is none."""
        wanted = {config.architecture for config in self.missing(place)}
        live = (each for each in reversed(self._book.summaries) if each.state in LIVE and each.config is not None)
        return next((each.id for each in live if each.config is not None and each.config.architecture in wanted), "")

    def evidence(self) -> Evidence:
        """Return what the user's runs have shown so far."""
        chosen = evidence.chosen(self._book.summaries)
        if chosen != self._known[0]:
            run_ids, are_alike = chosen
            runs = [self._book.run(run_id) for run_id in run_ids.values()]
            self._known = (chosen, evidence.gather(run_ids, runs, are_alike=are_alike))
        return self._known[1]

    def _model_of(self, run_id: str) -> str:
        summary = self._book.summary(run_id)
        return summary.config.model if summary is not None and summary.config is not None else ""

    # Opening and training

    def open(self, place: AnswerPlace) -> None:
        """Open a place that has all the runs it needs. Raises `Problem`."""
        run_ids = self.runs_for(place)
        match place.kind:
            case "layers":
                self.opener.open_layers(place.model, lambda layer: self._look(place.model, layer))
            case "inside":
                self.opener.open_inside_of(run_ids, place.layer)
            case "digits":
                self.opener.open_digits_of(run_ids)
            case "conditions":
                self.opener.open_conditions_of(run_ids)
            case "compare" if place.model:
                plain = self._settings(AnswerPlace(kind="compare"), place.model)
                self.opener.open_comparison([plain, self._settings(place, place.model)], self._together)
            case "compare":
                self.opener.open_compare(self._form.config_for_others(), self._together)
            case "program":
                self.opener.open_program()

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

    @property
    def _form(self) -> RunForm:
        return self._dashboard.query_one(RunForm)

    def _settings(self, place: AnswerPlace, model: str) -> RunConfig:
        network = Architecture(model=model, dropout=place.dropout, batch_norm=place.batch_norm, width=place.width)
        return msgspec.structs.replace(self._form.config_for_others(), **msgspec.structs.asdict(network), permute=False)
