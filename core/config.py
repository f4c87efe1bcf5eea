"""The settings of a run, validated, to and from JSON."""

from __future__ import annotations

import ast
import difflib
import math
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

from core import catalogue, paths
from core.messages import N_, InvalidSetting, Problem

Precision = Literal["fp32", "tf32", "bf16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
DATASET_CHOICES = ("auto", *catalogue.DATA_SET_NAMES)

MAX_EPOCHS = 1_000_000
MAX_BATCH_SIZE = 60_000
MAX_THREADS = 1024
MAX_WIDTH = 4
MAX_PATIENCE = 100_000
MAX_SNAPSHOTS = 100
"""Greatest number of snapshots; it asks for as many as fit."""
MAX_SEED = 2**32 - 1
"""Greatest seed: torch would take greater ones for smaller ones, and numpy refuses them."""
_MAX_OLD_SEED = 2**63 - 1
RECORDING = frozenset({"snapshots", "health"})
"""Settings of what is kept of a training, which change no number of it."""

_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


LearningRate = Annotated[float, msgspec.Meta(gt=0, le=1e300)]
"""A learning rate read from disk."""
NumEpochs = Annotated[int, msgspec.Meta(ge=1, le=MAX_EPOCHS)]
"""A number of epochs read from disk."""


def draw_seed() -> int:
    return secrets.randbelow(MAX_SEED + 1)


class Architecture(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The settings that define a network."""

    model: str = "RN_1"
    """Network: a name in `catalogue.NETWORKS`, or `path/to/file.py:ClassName`."""
    dropout: float = 0.0
    batch_norm: bool = False
    width: float = 1.0

    @property
    def is_built_in(self) -> bool:
        """True for a built-in network, modified or not: building it executes no file of the user's."""
        return self.model in catalogue.NETWORKS

    @property
    def is_variant(self) -> bool:
        """True if one of the options against overfitting modifies the network."""
        return bool(self.dropout) or self.batch_norm or self.width != 1


class RunConfig(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """The settings of a run: what to train, on what, and how. The defaults are the exam's. Raises `InvalidSetting`."""

    model: str = "RN_1"
    """Network: a name in `catalogue.NETWORKS`, or `path/to/file.py:ClassName`."""
    device: str = "auto"
    """Device to train on: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    epochs: int = 5
    batch_size: int = 64
    lr: float = 0.001
    """Adam's learning rate."""
    seed: int = msgspec.field(default_factory=draw_seed)
    dataset: str = "auto"
    """Data set to train on: `auto`, or a name in `catalogue.DATA_SET_NAMES`."""
    data_dir: str = msgspec.field(default_factory=lambda: str(paths.default_data_dir()))
    precision: Precision = "fp32"
    exact: bool = False
    """The exam program's arithmetic, digit for digit on the CPU."""
    threads: int = 0
    """CPU threads for the arithmetic; 0 lets the program choose."""
    dropout: float = 0.0
    """Probability of dropping a unit of a fully connected hidden layer in a training step."""
    batch_norm: bool = False
    """Batch normalisation before each ReLU."""
    width: float = 1.0
    """Factor that multiplies the channels and units of the hidden layers."""
    validate: bool = False
    """Validation after each epoch, on a tenth of the training set that is held out."""
    patience: int = 0
    """Epochs without a lower validation loss after which training ends; the best epoch's weights count. 0: never."""
    permute: bool = False
    """One fixed reordering of the pixels, the same for all images, training and test, and for all runs."""
    snapshots: int = 0
    """Moments of the training at which the parameters are kept, the end among them; `MAX_SNAPSHOTS`: all that fit."""

    fused: bool = False
    """Fewer kernels on a GPU, and custom networks in a graph: each step checked against the plain one at the start."""
    health: bool = False
    """Measurement of every layer after each epoch: gradient, dead units, histograms."""

    def __post_init__(self) -> None:
        for field, check in _CHECKS.items():
            check(getattr(self, field))
        _check_together(self)

    @property
    def architecture(self) -> Architecture:
        """The settings that define the network."""
        return Architecture(model=self.model, dropout=self.dropout, batch_norm=self.batch_norm, width=self.width)


def check_new(config: RunConfig) -> None:
    """Raise `InvalidSetting` for what only runs of older versions may have, which are still read and resumed."""
    _check_new_seed(config.seed)
    if config.exact and config.precision != "fp32":
        text = N_("exact reproduces the exam's program, which computes in fp32, not in {precision}")
        raise InvalidSetting("precision", text, precision=config.precision)


def built_in_names() -> str:
    """Return the names of the built-in networks for a sentence: `RN_1, RN_2`."""
    return ", ".join(catalogue.NETWORKS)


def _check_model(value: str) -> None:
    if value in catalogue.NETWORKS:
        return
    path, _, class_name = value.rpartition(":")
    if not path or not class_name.isidentifier():
        near = difflib.get_close_matches(value.upper(), catalogue.NETWORKS, 1, 0.8)
        if near:
            raise InvalidSetting("model", "unknown network {model}; did you mean {near}?", model=value, near=near[0])
        text = N_("unknown network {model}: choose {known} or path/to/file.py:ClassName")
        raise InvalidSetting("model", text, model=value, known=built_in_names())


def _name_classes(path: str) -> None:
    """Raise `InvalidSetting` with the classes that a file defines: one of them is meant. The file is not executed."""
    try:
        parsed = ast.parse(Path(path).expanduser().read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return
    known = [f"{path}:{each.name}" for each in parsed.body if isinstance(each, ast.ClassDef)]
    if known:
        text = N_("{path} is a file: name a class in it, {known}")
        raise InvalidSetting("model", text, path=path, known=", ".join(known[:9]))


def _check_device(value: str) -> None:
    if not _DEVICE.fullmatch(value):
        raise InvalidSetting("device", "unknown device {device}: choose auto, cpu, cuda, cuda:N or mps", device=value)


def _check_lr(value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InvalidSetting("lr", "the learning rate must be a number above 0, not {value}", value=str(value))


def _check_dropout(value: float) -> None:
    if not 0 <= value < 1:
        raise InvalidSetting("dropout", "dropout must be a number from 0 to less than 1, not {value}", value=str(value))


def _check_width(value: float) -> None:
    if not 0 < value <= MAX_WIDTH:
        text = N_("the width must be a number above 0 and at most {high}, not {value}")
        raise InvalidSetting("width", text, value=str(value), high=MAX_WIDTH)


def _check_together(config: RunConfig) -> None:
    """Raise `InvalidSetting` for combinations of settings that are each valid alone."""
    if config.model not in catalogue.NETWORKS:
        known = built_in_names()
        if config.dropout:
            text = N_("dropout applies to {known} only: build it into your custom network")
            raise InvalidSetting("dropout", text, known=known)
        if config.batch_norm:
            text = N_("batch norm applies to {known} only: build it into your custom network")
            raise InvalidSetting("batch_norm", text, known=known)
        if config.width != 1:
            raise InvalidSetting(
                "width", "the width applies to {known} only: a custom network sets its own", known=known
            )
    if config.precision == "tf32" and config.device in ("cpu", "mps"):
        text = N_("TF32 exists only on NVIDIA GPUs: choose fp32 or bf16 for {device}")
        raise InvalidSetting("precision", text, device=config.device)
    if config.fused and config.exact:
        text = N_("fused steps round otherwise than the exam's program: leave out either fused or exact")
        raise InvalidSetting("fused", text)
    if config.exact and config.validate:
        text = N_("exact reproduces the exam's program, which trains on all images: none are left for validation")
        raise InvalidSetting("validate", text)
    if config.patience and not config.validate:
        text = N_("patience needs the validation loss: also turn validation on (--validate)")
        raise InvalidSetting("patience", text)
    if config.exact and config.permute:
        raise InvalidSetting("permute", "exact reproduces the exam's program, which leaves the pixels in place")
    if config.batch_norm and config.batch_size == 1:
        raise InvalidSetting("batch_norm", "batch norm needs batches of at least 2 images")


def _whole_number(field: str, text: str, low: int, high: int) -> Callable[[int], None]:
    def check(value: int) -> None:
        if not low <= value <= high:
            raise InvalidSetting(field, text, value=str(value), low=low, high=high)

    return check


def _one_of(field: str, text: str, choices: tuple[str, ...]) -> Callable[[str], None]:
    def check(value: str) -> None:
        if value not in choices:
            raise InvalidSetting(field, text, value=value, choices=", ".join(choices))

    return check


_SEED_TEXT = N_("the seed must be a whole number from {low} to {high}, not {value}")
_check_new_seed = _whole_number("seed", _SEED_TEXT, 0, MAX_SEED)

_CHECKS: dict[str, Callable[[Any], None]] = {
    "model": _check_model,
    "device": _check_device,
    "epochs": _whole_number(
        "epochs", N_("epochs must be a whole number from {low} to {high}, not {value}"), 1, MAX_EPOCHS
    ),
    "batch_size": _whole_number(
        "batch_size", N_("the batch size must be a whole number from {low} to {high}, not {value}"), 1, MAX_BATCH_SIZE
    ),
    "lr": _check_lr,
    "seed": _whole_number("seed", _SEED_TEXT, 0, _MAX_OLD_SEED),
    "dataset": _one_of("dataset", N_("unknown data set {value}: choose one of {choices}"), DATASET_CHOICES),
    "precision": _one_of("precision", N_("unknown precision {value}: choose one of {choices}"), PRECISIONS),
    "threads": _whole_number(
        "threads", N_("threads must be a whole number from {low} to {high}, not {value}"), 0, MAX_THREADS
    ),
    "dropout": _check_dropout,
    "width": _check_width,
    "patience": _whole_number(
        "patience", N_("patience must be a whole number of epochs from {low} to {high}, not {value}"), 0, MAX_PATIENCE
    ),
    "snapshots": _whole_number(
        "snapshots", N_("snapshots must be a whole number from {low} to {high}, not {value}"), 0, MAX_SNAPSHOTS
    ),
}


_CHECKS_OF_NEW = _CHECKS | {"seed": _check_new_seed}
_TYPES = {field.name: field.type for field in msgspec.structs.fields(RunConfig)}


def setting_from_text(field: str, text: str) -> Any:
    """Parse the value of a `RunConfig` field as a user types it. Raises `InvalidSetting`.

    The file of a custom network must exist; its path is made absolute, since the run may be resumed from elsewhere.
    """
    text = text.strip()
    value: Any = text
    if _TYPES[field] is int:
        # Text that is not a whole number fails the range check too, and so gets the same message.
        value = int(text) if re.fullmatch(r"[+-]?\d{1,30}", text) else math.nan
        if math.isnan(value):
            return _refuse(field, text)
    elif _TYPES[field] is float:
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            return _refuse(field, text)
    elif field == "data_dir":
        try:
            return str(paths.absolute(text))
        except Problem as problem:
            raise InvalidSetting(field, problem.message.text, **problem.message.values) from None
    if field == "model" and text.endswith(".py"):
        _name_classes(text)
    _CHECKS_OF_NEW[field](value)
    if field == "model" and value not in catalogue.NETWORKS:
        return _own_network(value)
    return value


def _refuse(field: str, text: str) -> None:
    try:
        _CHECKS_OF_NEW[field](math.nan)
    except InvalidSetting as error:
        raise InvalidSetting(field, error.message.text, **{**error.message.values, "value": text or "''"}) from None


def _own_network(model: str) -> str:
    name, _, class_name = model.rpartition(":")
    path = Path(name)
    try:
        path = path.expanduser().absolute()
        is_file = path.is_file()
    except (OSError, RuntimeError):  # the name is too long, or its `~user` has no home
        is_file = False
    if not is_file:
        raise InvalidSetting("model", "there is no network file {path}", path=str(path))
    return f"{path}:{class_name}"
