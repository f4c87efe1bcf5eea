"""What to run: every setting of a run, checked while it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Collapsible, Input, Label, RadioButton, RadioSet, Select, Static

from core import paths
from core.catalogue import NETWORKS
from core.config import DATASETS, Architecture, RunConfig, setting_from_text
from core.machine import DeviceInfo
from core.messages import InvalidSetting
from tui_app.i18n import _, number, percent, printable, say

_TYPED = ("epochs", "batch_size", "lr", "seed", "threads")
"""Fields that are typed, beside those of the network; the others are chosen."""
_OF_THE_NETWORK = ("dropout", "width")
_OPTIONAL = ("seed", "threads", *_OF_THE_NETWORK)
"""Typed fields that may be left empty."""


class RunForm(Vertical):
    """Filled in from `settings`, the fields of a `RunConfig` that are known already."""

    class NetworkChosen(Message):
        """Another network than before."""

        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.architecture = architecture

    class Submitted(Message):
        """Train with this."""

        def __init__(self, config: RunConfig) -> None:
            super().__init__()
            self.config = config

    class StopPressed(Message):
        """Stop the run on show."""

    class ComparePressed(Message):
        """Compare networks with these settings."""

    def __init__(self, settings: dict[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._settings = {"dataset": "auto", "epochs": 5, "batch_size": 64, "lr": 0.001, **settings}
        self._devices: Sequence[DeviceInfo] = ()
        self._shown_network: Architecture | None = None
        self.border_title = _("Run")

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._fields()
        yield Static(id="form-message")
        with Horizontal(classes="buttons"):
            yield Button(_("Train"), id="train", variant="primary", compact=True)
            yield Button(_("Stop"), id="stop", compact=True, disabled=True)
            yield Button(_("Compare…"), id="compare", compact=True)

    def _fields(self) -> ComposeResult:
        model = self._settings.get("model", "RN_1")
        with RadioSet(id="network", compact=True):
            for name in NETWORKS:
                yield RadioButton(name, value=model == name)
            yield RadioButton(_("own"), value=model not in NETWORKS, tooltip=_("A network from a file of yours"))
        own = "" if model in NETWORKS else model
        yield _field("model", "", Input(own, placeholder=_("my_net.py:Net"), id="model", compact=True))
        device = self._settings.get("device", "auto")
        yield _field("device", _("Device"), Select([(device, device)], value=device, **_select("device")))
        yield Static(_("Loading torch…"), id="device-name", classes="muted")
        yield self._input("epochs", _("Epochs"))
        collapsed = not self._has_more()
        # The class, known from the start, spares its content a second look at the style sheets.
        with Collapsible(title=_("More"), id="more", collapsed=collapsed, classes="-collapsed" if collapsed else ""):
            yield from self._more_fields()

    def _more_fields(self) -> ComposeResult:
        yield self._input("batch_size", _("Batch size"))
        yield self._input("lr", _("Learning rate"))
        yield self._input("seed", _("Seed"), placeholder=_("drawn"))
        dataset = self._settings["dataset"]
        yield _field("dataset", _("Data set"), Select.from_values(DATASETS, value=dataset, **_select("dataset")))
        precisions = [("fp32", "fp32"), ("tf32", "tf32"), ("bf16", "bf16"), (_("exact fp32"), "exact")]
        precision = "exact" if self._settings.get("exact") else self._settings.get("precision", "fp32")
        yield _field("precision", _("Precision"), Select(precisions, value=precision, **_select("precision")))
        yield self._input("threads", _("Threads"), placeholder=_("what suits"))
        yield self._input("dropout", _("Dropout"), placeholder="0")
        yield self._input("width", _("Width"), placeholder="1")
        yield self._checkbox("batch_norm", _("Batch norm"), _("Batch normalisation before each ReLU"))
        yield self._checkbox("validate", _("Validation"), _("A tenth of the training images, held out"))
        yield self._checkbox("permute", _("Permuted pixels"), _("All images, their pixels in another order"))
        data_dir = self._settings.get("data_dir", str(paths.default_data_dir()))
        yield _field("data_dir", _("Data folder"), Input(data_dir, id="data_dir", compact=True))

    def _input(self, name: str, label: str, **arguments: Any) -> Widget:
        value = self._settings.get(name)
        text = "" if value in (None, 0) else f"{value:g}" if isinstance(value, float) else str(value)
        text = text.replace(".", _("."))
        return _field(name, label, Input(text, id=name, compact=True, **arguments))

    def _checkbox(self, name: str, label: str, tooltip: str) -> Widget:
        given = bool(self._settings.get(name))
        return _field(name, "", Checkbox(label, given, id=name, compact=True, tooltip=tooltip))

    def _has_more(self) -> bool:
        given = self._settings
        defaults = {"dataset": "auto", "batch_size": 64, "lr": 0.001, "model": given.get("model")}
        return any(given[name] != defaults.get(name) for name in given if name not in ("epochs", "device", "model"))

    def on_mount(self) -> None:
        self._choose_network()

    # What it says

    @property
    def model(self) -> str:
        """As it stands, valid or not."""
        chosen = self.query_one("#network", RadioSet).pressed_index
        return list(NETWORKS)[chosen] if 0 <= chosen < len(NETWORKS) else self._text("model")

    def config(self) -> RunConfig:
        """Raises `InvalidSetting`."""
        values = self._network_settings() | self._typed(_TYPED)
        device = str(self.query_one("#device", Select).value)
        if self._devices and device not in ("auto", *self._device_ids()):
            known = ", ".join(info.id for info in self._devices)
            raise InvalidSetting(
                "device", "there is no device {device} here: there is {known}", device=device, known=known
            )
        precision = self.query_one("#precision", Select).value
        values["exact"] = precision == "exact"
        values["precision"] = "fp32" if precision == "exact" else precision
        values["dataset"] = self.query_one("#dataset", Select).value
        values["data_dir"] = self._text("data_dir") or str(paths.default_data_dir())
        values["validate"], values["permute"] = self._is_ticked("validate"), self._is_ticked("permute")
        return RunConfig(device=device, **values)

    def network(self) -> Architecture:
        """Whatever the other settings may be. Raises `InvalidSetting`."""
        return RunConfig(**self._network_settings()).architecture

    def _network_settings(self) -> dict[str, Any]:
        settings = {"model": setting_from_text("model", self.model), "batch_norm": self._is_ticked("batch_norm")}
        return settings | self._typed(_OF_THE_NETWORK)

    def _typed(self, names: Sequence[str]) -> dict[str, Any]:
        texts = {name: self._text(name) for name in names}
        return {name: setting_from_text(name, text) for name, text in texts.items() if text or name not in _OPTIONAL}

    def _is_ticked(self, name: str) -> bool:
        return self.query_one(f"#{name}", Checkbox).value

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _device_ids(self) -> list[str]:
        ids = [info.id for info in self._devices]
        return ["cuda", *ids] if "cuda:0" in ids else ids

    # What there is to choose from

    def show_devices(self, devices: Sequence[DeviceInfo]) -> None:
        """The standby worker has found them."""
        self._devices = devices
        select: Select[str] = self.query_one("#device", Select)
        chosen = str(select.value)
        ids = ["auto", *(info.id for info in devices)]
        select.set_options([(name, name) for name in dict.fromkeys([*ids, chosen])])
        select.value = chosen
        self._describe_device()
        self._check()

    @on(Select.Changed, "#device")
    def _describe_device(self) -> None:
        chosen = str(self.query_one("#device", Select).value)
        info = next((info for info in self._devices if chosen in ("auto", info.id, info.id.split(":")[0])), None)
        if info is not None:
            self.query_one("#device-name", Static).update(Content(_describe(info)))

    def show_problem(self, text: str) -> None:
        """Something about the settings that only the worker could know."""
        self.query_one("#form-message", Static).update(Content(text))

    def show_stoppable(self, stoppable: bool) -> None:
        self.query_one("#stop", Button).disabled = not stoppable

    # While it is filled in

    @on(RadioSet.Changed)
    def _choose_network(self) -> None:
        own = self.query_one("#network", RadioSet).pressed_index >= len(NETWORKS)
        self.query_one("#field-model").display = own
        self._check()

    @on(Input.Changed)
    @on(Select.Changed)
    @on(Checkbox.Changed)
    def _check(self) -> None:
        """Mark what cannot be, and say why of the first."""
        problem: InvalidSetting | None = None
        try:
            self.config()
        except InvalidSetting as invalid:
            problem = invalid
        for field in self.query(".field"):
            field.set_class(problem is not None and field.id == f"field-{problem.field}", "wrong")
        self.show_problem(say(problem) if problem else "")
        with suppress(InvalidSetting):
            network = self.network()
            if network != self._shown_network:
                self._shown_network = network
                self.post_message(self.NetworkChosen(network))

    @on(Button.Pressed, "#train")
    @on(Input.Submitted)
    def submit(self) -> None:
        """Start, or say what hinders."""
        try:
            config = self.config()
        except InvalidSetting as invalid:
            field = self.query_one(f"#{invalid.field}")
            if any(isinstance(parent, Collapsible) for parent in field.ancestors):
                self.query_one("#more", Collapsible).collapsed = False
            field.focus()
            self.show_problem(say(invalid))
            self.app.bell()
        else:
            self.post_message(self.Submitted(config))

    @on(Button.Pressed, "#stop")
    def _stop(self) -> None:
        self.post_message(self.StopPressed())

    @on(Button.Pressed, "#compare")
    def _compare(self) -> None:
        self.post_message(self.ComparePressed())


def _field(name: str, label: str, control: Widget) -> Widget:
    return Horizontal(*([Label(label)] if label else []), control, id=f"field-{name}", classes="field")


def _select(name: str) -> dict[str, Any]:
    return {"id": name, "allow_blank": False, "compact": True}


def _describe(info: DeviceInfo) -> str:
    text = printable(info.name)
    if info.free_memory is not None and info.total_memory is not None:
        free, total = number(info.free_memory / 2**30, 1), number(info.total_memory / 2**30, 1)
        text += _(", {free} of {total} GiB free").format(free=free, total=total)
    if info.use is not None:
        text += _(", {use} in use").format(use=percent(info.use, 0))
    return text
