"""The stages of a run: the data, the training and the test."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec
import torch

from core import files
from core.catalogue import NUM_CLASSES
from core.config import RunConfig
from core.data import datasets, split_and_permute
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem, reason
from core.networks import kept_tables, tabulate
from core.networks.build import build_network
from core.networks.macs import macs_per_image
from core.networks.own import source_of
from core.networks.state import network_state
from core.randomness import seed_all
from core.runs import source
from core.runs.control import NOTHING, Request
from core.runs.directory import FollowedRun, Run
from core.runs.events import Evaluated, Event, Notice, Progress, RunEnded, RunStarted, SettingsChanged, finite
from core.runs.formats import FORMAT
from core.runs.lease import Held
from core.runs.record import Record
from core.training import acceleration, checkpoints, devices, weights
from core.training.evaluation import Evaluation, evaluate, evaluation_batch_size
from core.training.loop import Checkpoint, normalise, num_steps, train
from core.training.trial import try_out
from core.worker import threads

Emit = Callable[[Event], None]


class Inbox(Protocol):
    """What is asked of the process."""

    def should_stop(self) -> bool: ...

    def look(self) -> Request: ...

    def take(self) -> Request: ...


def train_and_test(run: Run, held: Held, emit: Emit, inbox: Inbox) -> RunEnded:
    """Carry out the stages, from the run's checkpoint if it has one, and return the run's end.

    Raises `Problem`, `Lost` once the run is another process's, or whatever a custom network raises.
    """
    try:
        return _train_and_test(run, held, emit, inbox)
    except datasets.Cancelled:
        return RunEnded(status="stopped")
    except Exception as error:
        if isinstance(error, Problem) or (problem := devices.out_of_memory(error)) is None:
            raise
        raise problem from error


def _train_and_test(run: Run, held: Held, emit: Emit, inbox: Inbox) -> RunEnded:
    config = run.config()
    past = _past(run, held)
    if held.attempt > 1:
        source.check_unchanged(run.path, config.model)
    acceleration.keep_freed_memory()
    device = devices.resolve(config.device)
    num_threads = threads.for_run(run, config, past.threads)
    if num_threads != torch.get_num_threads():  # setting it changes how MKL uses them, even to the same number
        torch.set_num_threads(num_threads)

    # Stage 1: the data
    dataset = split_and_permute.prepared(_load_data(config, emit, inbox.should_stop), config)
    remark = try_out(config, device, len(dataset.train_labels))
    seed_all(config.seed)
    network = build_network(config.architecture)
    own_source = source_of(network)
    held.look()
    source.record(run.path, own_source or {})

    # Stage 2: the training
    kept_tables.keep(run.path, config.architecture, lambda: tabulate.layer_table(network, config.model))
    checkpoint = checkpoints.load(
        run.path,
        config,
        dataset.digest,
        steps_per_epoch=num_steps(dataset, config),
        tell=lambda message: emit(Notice(message=message)),
    )

    def save(state: Checkpoint) -> None:
        held.look()
        checkpoints.save(run.path, held.attempt, state, config, dataset.digest)

    started = _run_started(config, device, dataset, network, checkpoint)
    emit(started)
    if remark is not None:
        emit(Notice(message=remark))
    helm = _Helm(started, past, emit, inbox)
    for event in train(
        network,
        dataset,
        helm.take(),
        device,
        resume_from=checkpoint,
        save=save,
        look=helm.look,
    ):
        if isinstance(event, RunEnded):
            return event
        emit(helm.marked(event))

    # Stage 3: the test
    images = normalise(dataset.test_images.to(device), dataset)
    equivalent = acceleration.fast_equivalent(network, device, exact=config.exact)
    evaluation = evaluate(equivalent, images, dataset.test_labels.to(device), evaluation_batch_size(config))
    emit(_evaluated(evaluation, dataset))
    held.look()
    source.record(run.path, own_source or {})  # with the modules that were imported meanwhile
    try:
        _save_results(run, held.attempt, network, evaluation)
    except OSError as error:
        # Not `done`: the last checkpoint is there, and resuming tests again and saves what is missing.
        return RunEnded(
            status="failed",
            message=Message("the predictions and weights could not be saved: {reason}", {"reason": reason(error)}),
            advice=Message("Free some disk space, then resume the run."),
        )
    return _done(evaluation, remark)


class _Helm:
    """What steers a training: what is asked of it now, what was before its checkpoint, and the cores that it has.

    It gives up threads whose cores other processes have taken; those that were asked for, or that a comparison's runs
    have in common, are kept.
    """

    def __init__(self, started: RunStarted, past: Record, emit: Emit, inbox: Inbox) -> None:
        config = started.config
        self._started = started
        self._watch = threads.CoreWatch(started.threads if started.device == "cpu" else 1)
        self._may_change = not (config.threads or config.exact)
        self._emit = emit
        self._inbox = inbox
        self._changed = past.settings_at(started.epoch, started.step)
        self._to_repeat = past.changes_after(started.epoch, started.step)
        self._is_repeating = False

    def take(self) -> RunConfig:
        """Return the settings to begin with: as they were then, or as a resumption asks for them."""
        asked = self._inbox.take()
        epoch, step = self._started.epoch, self._started.step
        epochs = None if asked.epochs is None else max(asked.epochs, epoch)
        if asked.lr is not None or epochs is not None:
            self._emit(self.marked(SettingsChanged(epoch=epoch, step=step, lr=asked.lr, epochs=epochs)))
            self._supersede(asked)
        return msgspec.structs.replace(self._started.config, **self._changed)

    def look(self, epoch: int, step: int) -> Request:
        """Return what is asked for after a batch. Raises `Lost`."""
        self._give_up_threads(epoch, step)
        self._is_repeating = bool(self._to_repeat) and _position(self._to_repeat[0]) <= (epoch, step)
        if self._is_repeating:
            again = self._to_repeat.pop(0)
            return Request(stop=self._inbox.should_stop(), lr=again.lr, epochs=again.epochs)
        asked = self._inbox.look()
        self._supersede(asked)
        return asked

    def marked(self, event: Event) -> Event:
        """Return an event of the training with what only its past tells: which settings were changed."""
        if isinstance(event, SettingsChanged):
            values = {"lr": event.lr, "epochs": event.epochs}
            self._changed |= {name: value for name, value in values.items() if value is not None}
            return msgspec.structs.replace(event, repeated=self._is_repeating)
        if isinstance(event, Progress) and self._changed:
            return msgspec.structs.replace(event, **self._changed)
        return event

    def _supersede(self, asked: Request) -> None:
        """Forget the changes to repeat of settings that are asked for anew."""
        if not self._to_repeat or asked is NOTHING:
            return
        new = {name: None for name in ("lr", "epochs") if getattr(asked, name) is not None}
        kept = [msgspec.structs.replace(each, **new) for each in self._to_repeat]
        self._to_repeat = [each for each in kept if each.lr is not None or each.epochs is not None]

    def _give_up_threads(self, epoch: int, step: int) -> None:
        fewer = self._watch.after_batch()
        if fewer is None:
            return
        text = N_("other processes take its cores, which slows it down: {threads} threads would be faster")
        if self._may_change:
            text = N_("other processes take its cores: it goes on with {threads} of its threads")
            torch.set_num_threads(fewer)
            self._emit(SettingsChanged(epoch=epoch, step=step, threads=fewer))
        self._emit(Notice(message=Message(text, {"threads": fewer})))


def _position(change: SettingsChanged) -> tuple[int, int]:
    return change.epoch, change.step


def _past(run: Run, held: Held) -> Record:
    """Return the record of the run's earlier attempts."""
    followed = FollowedRun(run, keep_losses=False)
    if held.attempt > 1:
        followed.read()
    return followed.record


def _load_data(config: RunConfig, emit: Emit, should_stop: Callable[[], bool]) -> Dataset:
    return datasets.load(
        config.dataset,
        Path(config.data_dir),
        notify=lambda message: emit(Notice(message=message)),
        progress=lambda message, fraction: emit(Notice(message=message, fraction=fraction)),
        should_stop=should_stop,
    )


def _run_started(
    config: RunConfig, device: torch.device, dataset: Dataset, network: torch.nn.Module, checkpoint: Checkpoint | None
) -> RunStarted:
    return RunStarted(
        config=config,
        device=str(device),
        device_name=devices.device_name(device),
        torch_version=str(torch.__version__),
        threads=torch.get_num_threads(),
        dataset=dataset.name,
        dataset_title=dataset.title,
        class_names=dataset.class_names,
        train_size=len(dataset.train_labels),
        test_size=len(dataset.test_labels),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        steps_per_epoch=num_steps(dataset, config),
        epoch=checkpoint["epoch"] if checkpoint else 1,
        step=checkpoint["step"] if checkpoint else 0,
        validation_size=len(dataset.validation_labels),
        macs=macs_per_image(network),
        format=FORMAT,
    )


def _evaluated(evaluation: Evaluation, dataset: Dataset) -> Evaluated:
    total = len(dataset.test_labels)
    return Evaluated(
        correct=evaluation.correct,
        total=total,
        accuracy=evaluation.accuracy,
        test_loss=finite(evaluation.loss),
        confusion=evaluation.confusion(len(dataset.class_names)),
    )


def _done(evaluation: Evaluation, remark: Message | None) -> RunEnded:
    """Return the end of a finished run, with what is wrong with its result if something is."""
    advice = None
    if remark is None and evaluation.is_guessing:
        remark = Message("The network has learned nothing: it does no better than always giving the same class.")
        advice = Message("Try a higher learning rate, or more epochs.")
        if not evaluation.loss < 2 * math.log(NUM_CLASSES):  # far worse than guessing, or not finite
            advice = Message("Try a lower learning rate.")
    return RunEnded(status="done", message=remark, advice=advice)


def _save_results(run: Run, attempt: int, network: torch.nn.Module, evaluation: Evaluation) -> None:
    """Save the predictions and the weights, and remove those of earlier attempts. Raises `OSError`."""
    import numpy

    predictions = {
        "label": evaluation.labels.numpy().astype("uint8"),
        "predicted": evaluation.predicted.numpy().astype("uint8"),
        "probability": evaluation.probability.numpy(),
    }
    packed = io.BytesIO()
    numpy.savez_compressed(packed, allow_pickle=False, **predictions)
    contents = {
        ("predictions", ".npz"): packed.getvalue(),
        ("weights", ".safetensors"): weights.pack(network_state(network)),
    }
    for (stem, suffix), content in contents.items():
        files.replace(run.path / f"{stem}-{attempt:04d}{suffix}", content)
        for older in run.result_paths(stem, suffix)[1:]:
            with suppress(OSError):
                older.unlink()
