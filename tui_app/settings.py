"""Every setting of a run as users see it: a field of the form, an option of the command line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from core.catalogue import NETWORKS
from core.config import DATASET_CHOICES, MAX_SNAPSHOTS, PRECISIONS, RunConfig
from core.machine import usable_cores
from tui_app.i18n import _, number, short

Kind = Literal["network", "typed", "chosen", "flag"]
"""Way to enter a setting: typed, chosen from a list, or ticked; `network` has rows of its own in the form."""


@dataclass(frozen=True)
class Setting:
    """A field of `RunConfig` with its texts in the current language."""

    field: str
    kind: Kind
    label: str
    """Label in the form."""
    help: str
    """Help text on the command line, and the tooltip of a flag in the form."""
    metavar: str = ""
    """Placeholder for the value in the command line's help."""
    choices: tuple[str, ...] = ()
    empty_means: str = ""
    """Meaning of an empty field where that is no value, such as `random`."""
    may_be_empty: bool = False
    """Optional field: an empty one has the default, or the value `in_dashboard`."""
    in_dashboard: int | None = None
    """Value of an empty field of the form, where it is not the default of the command line."""
    in_front: bool = False
    """Visibility in the form: always shown if true, folded under *More* if false."""

    @property
    def option(self) -> str:
        """Name on the command line."""
        return option(self.field)

    @property
    def when_empty(self) -> Any:
        """Value of an empty field of the form."""
        return default_of(self.field) if self.in_dashboard is None else self.in_dashboard

    @property
    def default(self) -> str:
        """Text of the default of the command line."""
        is_other = self.in_dashboard is not None
        return self.empty_means if self.empty_means and not is_other else written(default_of(self.field))

    @property
    def hint(self) -> str:
        """Text of what an empty field of the form means; empty if it may not be."""
        return (self.empty_means or self.default) if self.may_be_empty else ""

    @property
    def help_with_default(self) -> str:
        if self.kind == "flag":
            return self.help
        return f"{self.help} " + _("[default: {default}]").format(default=self.default)


def all_settings() -> tuple[Setting, ...]:
    """Return every setting in the order of the form and of the command line's help."""
    networks = ", ".join(NETWORKS)
    network_help = _("{networks} or path/to/file.py:ClassName.").format(networks=networks)
    return (
        Setting("model", "network", _("Network"), network_help, _("NET"), tuple(NETWORKS), in_front=True),
        Setting("device", "chosen", _("Device"), _("auto, cpu, cuda, cuda:N or mps."), _("NAME"), in_front=True),
        Setting("epochs", "typed", _("Epochs"), _("Passes over the training set."), "N", in_front=True),
        Setting("batch_size", "typed", _("Batch size"), _("Images per batch."), "N"),
        Setting("lr", "typed", _("Learning rate"), _("Adam's learning rate."), "X"),
        Setting("seed", "typed", _("Seed"), _("Random seed."), "N", empty_means=_("random"), may_be_empty=True),
        Setting("dataset", "chosen", _("Data set"), f"{', '.join(DATASET_CHOICES)}.", _("NAME"), DATASET_CHOICES),
        Setting("precision", "chosen", _("Precision"), _("Numeric precision."), "|".join(PRECISIONS), PRECISIONS),
        Setting("threads", "typed", _("Threads"), _("CPU threads."), "N", empty_means=_("auto"), may_be_empty=True),
        Setting(
            "dropout",
            "typed",
            _("Dropout"),
            _("Probability of dropping a unit of a fully connected hidden layer."),
            "P",
            may_be_empty=True,
        ),
        Setting(
            "width",
            "typed",
            _("Width"),
            _("Multiplies the channels and units of the hidden layers."),
            "F",
            may_be_empty=True,
        ),
        Setting("batch_norm", "flag", _("Batch norm"), _("Batch normalisation before each ReLU.")),
        Setting(
            "validate",
            "flag",
            _("Validation"),
            _("Hold out a tenth of the training images, and test on them after each epoch."),
        ),
        Setting(
            "patience",
            "typed",
            _("Patience"),
            _("Epochs without a lower validation loss after which the run ends; the best epoch's weights count."),
            "N",
            empty_means=_("off"),
            may_be_empty=True,
        ),
        Setting(
            "snapshots",
            "typed",
            _("Snapshots"),
            _("Keep the parameters at N moments of the training; {all}: as many as fit.").format(all=MAX_SNAPSHOTS),
            "N",
            empty_means=_("as many as fit"),
            may_be_empty=True,
            in_dashboard=MAX_SNAPSHOTS,
        ),
        Setting(
            "health",
            "flag",
            _("Health of the layers"),
            _("Measure each layer after each epoch: gradient norm, dead units, weights and activations."),
        ),
        Setting(
            "permute",
            "flag",
            _("Permuted pixels"),
            _("Put the pixels of all images in another order, the same for all runs."),
        ),
        Setting(
            "exact",
            "flag",
            _("Exact"),
            _("The exam program's own arithmetic: on the CPU, its losses digit for digit."),
        ),
        Setting(
            "fused",
            "flag",
            _("Fused steps"),
            _("On a GPU: fewer kernels, and custom networks in a graph; checked, but not yet measured."),
        ),
        Setting(
            "data_dir",
            "typed",
            _("Data folder"),
            _("Folder of the data."),
            _("FOLDER"),
            empty_means=_("MNIST_TUI_DATA, or your user folder"),
            may_be_empty=True,
        ),
    )


def default_of(field: str) -> Any:
    """Return the default value of a `RunConfig` field; the seed's is drawn anew on each call."""
    for known in msgspec.structs.fields(RunConfig):
        if known.name == field:
            return known.default if known.default is not msgspec.NODEFAULT else known.default_factory()
    raise KeyError(field)


def option(field: str) -> str:
    """Return the option of the command line for a field of `RunConfig`."""
    return "--" + field.replace("_", "-")


def written(value: object) -> str:
    """Format a value as a person types it in the current language."""
    return short(value) if isinstance(value, float) else str(value)


def threads_warning(threads: int) -> str:
    """Return a warning if so many threads would only wait for each other on this machine; empty if not."""
    cores = usable_cores()
    if threads <= cores:
        return ""
    return _("{threads} threads on {cores} cores slow a run down").format(threads=number(threads), cores=number(cores))


def changed_settings(config: RunConfig, without: Iterable[str]) -> list[tuple[str, str]]:
    """Return the option and the value of every setting that is not the default; a flag's value is a yes."""
    found = []
    for setting in all_settings():
        value = getattr(config, setting.field)
        if setting.field not in without and value != default_of(setting.field):
            found.append((setting.option, _("yes") if setting.kind == "flag" else written(value)))
    return found
