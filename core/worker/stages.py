"""The stages of a run: the data, the training and the test."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from core import files, paths
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
from core.runs.control import Request
from core.runs.directory import FollowedRun, Run
from core.runs.events import EpochEnded, Event, Notice, RunEnded, RunStarted
from core.runs.lease import Held
from core.runs.record import Record
from core.training import acceleration, checkpoints, devices, weights
from core.training.evaluation import Evaluation
from core.training.health import HealthMeter
from core.training.loop import Checkpoint, train
from core.training.order import num_steps
from core.training.snapshots import SnapshotKeeper
from core.training.testing import evaluate_test_images, evaluated
from core.training.trial import Remarks, try_out
from core.worker import threads
from core.worker.helm import Helm
from core.worker.inbox import Inbox

Emit = Callable[[Event], None]
_HIGH_LR = 0.01
"""Learning rate of Adam above which a network that learned nothing was thrown about rather than hardly moved."""


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
    past = past_of(run, held)
    common = prepare(run, past, emit, inbox.should_stop)
    begun = begin(run, held, emit, inbox, past, common)
    return _train(begun) or finish(begun)


@dataclass(frozen=True, eq=False)
class Common:
    """What runs have in common that differ only in their seed: the device, the data, and remarks on the network."""

    device: torch.device
    dataset: Dataset
    remarks: Remarks


@dataclass(frozen=True, eq=False)
class Begun:
    """A run that is ready to train."""

    run: Run
    held: Held
    emit: Emit
    common: Common
    network: torch.nn.Module
    own_source: dict[str, bytes]
    started: RunStarted
    checkpoint: Checkpoint | None
    helm: Helm

    def save(self, state: Checkpoint) -> None:
        """Save a checkpoint. Raises `Lost` or `OSError`."""
        self.held.look()
        checkpoints.save(self.run.path, self.held.attempt, state, self.started.config, self.common.dataset.digest)


def prepare(run: Run, past: Record, emit: Emit, should_stop: Callable[[], bool]) -> Common:
    """Prepare the process for a run, and load its data: stage 1. Raises `Problem` or `datasets.Cancelled`."""
    config = run.config()
    acceleration.keep_freed_memory()
    device = devices.resolve(config.device)
    if device.type == "cuda":
        text = N_("opening {device} ({name}): the first batch waits for its libraries")
        emit(Notice(message=Message(text, {"device": str(device), "name": devices.device_name(device)})))
    _use_threads(threads.for_run(run, config, past.threads))
    dataset = split_and_permute.prepared(_load_data(config, emit, should_stop), config)
    return Common(device, dataset, try_out(config, device, len(dataset.train_labels)))


def begin(run: Run, held: Held, emit: Emit, inbox: Inbox, past: Record, common: Common) -> Begun:
    """Build the network, load the checkpoint if there is one, and say that training starts. Raises `Problem`."""
    config = run.config()
    seed_all(config.seed)
    network = build_network(config.architecture)
    own_source = source_of(network) or {}
    held.look()
    source.record(run.path, own_source)
    kept_tables.keep(run.path, config.architecture, lambda: tabulate.layer_table(network, config.model))
    checkpoint = checkpoints.load(
        run.path,
        config,
        common.dataset.digest,
        steps_per_epoch=num_steps(common.dataset, config),
        tell=_teller(emit),
    )
    started = _run_started(config, common.device, common.dataset, network, checkpoint)
    emit(started)
    for remark in filter(None, common.remarks):
        emit(Notice(message=remark))
    helm = Helm(started, past, emit, inbox)
    return Begun(run, held, emit, common, network, own_source, started, checkpoint, helm)


def _train(begun: Begun) -> RunEnded | None:
    """Train a network and keep what is asked for beside: stage 2; return the end of the run if it comes early."""
    network, dataset, device = begun.network, begun.common.dataset, begun.common.device
    helm, emit = begun.helm, begun.emit
    config = helm.take()
    health = HealthMeter(network, dataset, config, device) if config.health else None
    keeper = None
    if config.snapshots:
        keeper = SnapshotKeeper(begun.run, begun.held, network, begun.started, config, _teller(emit))

    def look(epoch: int, step: int) -> Request:
        if keeper is not None:
            keeper.after_batch(epoch, step)
        return helm.look(epoch, step)

    for event in train(network, dataset, config, device, resume_from=begun.checkpoint, save=begun.save, look=look):
        if isinstance(event, RunEnded):
            if keeper is not None:
                keeper.end_early()
            return event
        emit(helm.marked(event))
        if health is not None and isinstance(event, EpochEnded) and (measured := health.measure(event.epoch)):
            emit(measured)
    if keeper is not None:
        keeper.finish()
    return None


def finish(begun: Begun) -> RunEnded:
    """Test a trained network and save the results: stage 3; return the end of the run."""
    common, run, held = begun.common, begun.run, begun.held
    evaluation = evaluate_test_images(begun.network, common.dataset, begun.started.config, common.device)
    begun.emit(evaluated(evaluation, len(common.dataset.class_names)))
    held.look()
    source.record(run.path, begun.own_source)  # with the modules that were imported meanwhile
    try:
        _save_results(run, held.attempt, begun.network, evaluation)
    except OSError as error:
        return _unsaved(error)
    return _done(evaluation, begun.started.config.lr, common.remarks.of_result)


def _teller(emit: Emit) -> Callable[[Message], None]:
    """Return what emits a message as a notice."""
    return lambda message: emit(Notice(message=message))


def _use_threads(number: int) -> None:
    if number != torch.get_num_threads():  # setting it changes how MKL uses them, even to the same number
        torch.set_num_threads(number)


def past_of(run: Run, held: Held) -> Record:
    """Return the record of the run's earlier attempts. Raises `Problem` if the network's file has changed since."""
    followed = FollowedRun(run, keep_losses=False)
    if held.attempt > 1:
        followed.read()
        source.check_unchanged(run.path, run.config().model)
    return followed.record


def _load_data(config: RunConfig, emit: Emit, should_stop: Callable[[], bool]) -> Dataset:
    return datasets.load(
        config.dataset,
        paths.here(Path(config.data_dir)),
        notify=_teller(emit),
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
    )


def _unsaved(error: OSError) -> RunEnded:
    """Return the end of a run whose results could not be saved.

    It is not done: the last checkpoint is there, and resuming tests again and saves what is missing.
    """
    return RunEnded(
        status="failed",
        message=Message("the predictions and weights could not be saved: {reason}", {"reason": reason(error)}),
        advice=Message("Free some disk space, then resume the run."),
    )


def _done(evaluation: Evaluation, lr: float, remark: Message | None) -> RunEnded:
    """Return the end of a finished run, with what is wrong with its result if something is."""
    advice = None
    if remark is None and evaluation.is_guessing:
        remark = Message("The network has learned nothing: it does no better than always giving the same class.")
        advice = Message("Try a higher learning rate, or more epochs.")
        is_worse_than_guessing = not evaluation.loss < 2 * math.log(NUM_CLASSES)  # far worse, or not finite
        if lr > _HIGH_LR or is_worse_than_guessing:
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
