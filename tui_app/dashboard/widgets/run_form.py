"""The form with every setting of a run, checked as it is typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Click, Key
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Collapsible, Input, Label, RadioSet, Select, Static

from core.catalogue import EXAM_PAIR, NETWORKS
from core.config import RECORDING, Architecture, RunConfig, setting_from_text
from core.machine import DeviceInfo, cpu_name
from core.messages import N_, InvalidSetting
from tui_app import wording
from tui_app.dashboard.widgets.choices import ChoiceSet, RadioChoice, Tick
from tui_app.i18n import _, say
from tui_app.settings import Setting, all_settings, changed_settings, default_of, threads_warning, written

_OF_THE_NETWORK = tuple(name for name in Architecture.__struct_fields__ if name != "model")
"""Settings beside `model` that the network is built from."""
_BY_THEMSELVES = ("model", "device", "precision", "exact", "data_dir")
"""Fields whose widgets are read in their own way: `exact`, for one, is among the precisions."""
_EDITING_KEYS = ("up", "down", "left", "right", "space", "enter", "backspace", "delete")
"""Keys that a field takes for itself; the others move the focus, or belong to the dashboard."""


class RunForm(Vertical):
    """A form filled in from `settings`, the `RunConfig` fields already known."""

    HELP = N_(
        "The settings of the next run: F5 trains with them. A field turns red while its value cannot be used, and the"
        " line below says why. More opens the rest. The buttons Stop and Compare… have keys too: F6 and Shift+F5."
    )

    class NetworkChosen(Message):
        """Sent when another network is chosen."""

        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.architecture = architecture

    class Touched(Message):
        """Sent when the form is used, and no longer only stands there."""

    class Submitted(Message):
        """Request to train with these settings; `draws_seed` if none was entered."""

        def __init__(self, config: RunConfig, *, draws_seed: bool) -> None:
            super().__init__()
            self.config = config
            self.draws_seed = draws_seed

    def __init__(self, settings: dict[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._given = settings
        self._table = {setting.field: setting for setting in all_settings()}
        self._devices: Sequence[DeviceInfo] = ()
        self._shown_network: Architecture | None = None
        self._known_values: tuple[object, ...] = ()
        self._current: tuple[str, RunConfig] | None = None  # its id and settings
        self.border_title = _("Settings")

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._fields()
        yield Static(id="form-message")
        with Horizontal(classes="buttons"):
            yield Button(_("Train"), id="train", variant="primary", compact=True)
            yield Button(_("Stop"), id="stop", compact=True, disabled=True, action="screen.stop")
            yield Button(_("Compare…"), id="compare", compact=True, action="screen.compare")

    def _fields(self) -> ComposeResult:
        for setting in self._table.values():
            if setting.in_front:
                yield from self._widgets(setting)
        # Where all panels stand close together, unfolded settings would hide other panels.
        collapsed = not self._has_more() or self.screen.has_class("-together")
        classes = "-collapsed" if collapsed else ""  # from the start: it saves styling the content twice
        with Collapsible(title=self._more(), id="more", collapsed=collapsed, classes=classes):
            for setting in self._table.values():
                if not setting.in_front:
                    yield from self._widgets(setting)

    def _widgets(self, setting: Setting) -> ComposeResult:
        name = setting.field
        value = self._given.get(name, "" if setting.may_be_empty else default_of(name))
        match name:
            case "model":
                yield from self._network_choice(str(value))
            case "device":
                yield self._choice(setting, [(name, name) for name in dict.fromkeys(["auto", "cpu", value])], value)
                yield Static(id="device-name", classes="muted")
            case "precision":
                choices = [*((name, name) for name in setting.choices), (_("exact fp32"), "exact")]
                yield self._choice(setting, choices, "exact" if self._given.get("exact") else value)
            case "exact":
                pass  # among the precisions
            case "data_dir":
                yield _field(name, setting.label, Input(value or default_of(name), id=name, compact=True))
            case _ if setting.kind == "flag":
                box = Tick(setting.label, bool(value), id=name, compact=True, tooltip=setting.help)
                yield _field(name, "", box)
            case _ if setting.kind == "chosen":
                yield self._choice(setting, [(name, name) for name in setting.choices], value)
            case _:
                text = "" if setting.may_be_empty and value == setting.when_empty else written(value)
                yield _field(name, setting.label, Input(text, id=name, placeholder=setting.hint, compact=True))

    def _network_choice(self, model: str) -> ComposeResult:
        with ChoiceSet(id="network", compact=True):
            for name in NETWORKS:
                yield RadioChoice(name, value=model == name)
            is_own = model not in NETWORKS
            yield RadioChoice(_("custom"), value=is_own, tooltip=_("A network from your own Python file"))
        own = model if is_own else ""
        yield _field("model", "", Input(own, placeholder=_("my_net.py:Net"), id="model", compact=True))

    def _choice(self, setting: Setting, choices: list[tuple[str, str]], value: str) -> Widget:
        select = Select(choices, value=value, id=setting.field, allow_blank=False, compact=True)
        return _field(setting.field, setting.label, select)

    def _has_more(self) -> bool:
        """Tell if a value under *More* is not the one of an untouched form."""
        folded = (each for each in self._table.values() if each.field in self._given and not each.in_front)
        return any(each.field == "seed" or self._given[each.field] != each.when_empty for each in folded)

    def _more(self, config: RunConfig | None = None) -> str:
        """Return the title of *More*, with the settings that it hides and that are not the defaults."""
        rows = self._table.values()
        usual = [row.field for row in rows if row.in_front or getattr(config, row.field, None) == row.when_empty]
        changed = changed_settings(config, (*usual, "seed", "data_dir")) if config is not None else []
        return " ".join([_("More"), *(f"{option} {value}" for option, value in changed)])

    def on_mount(self) -> None:
        self._known_values = self._raw_values()
        self._choose_network()
        self._describe_device()

    # The settings entered

    @property
    def model(self) -> str:
        """Network entered, valid or not."""
        chosen = self.query_one("#network", RadioSet).pressed_index
        return list(NETWORKS)[chosen] if 0 <= chosen < len(NETWORKS) else self._text("model")

    def config(self, model: str | None = None) -> RunConfig:
        """Return the settings entered, or those of another network. Raises `InvalidSetting`."""
        device = str(self.query_one("#device", Select).value)
        if self._devices and device not in ("auto", *self._device_ids()):
            known = ", ".join(info.id for info in self._devices)
            raise InvalidSetting(
                "device", "there is no device {device} here; available: {known}", device=device, known=known
            )
        precision: Any = self.query_one("#precision", Select).value
        return RunConfig(
            device=device,
            exact=precision == "exact",
            precision="fp32" if precision == "exact" else precision,
            data_dir=self._text("data_dir") or default_of("data_dir"),
            **self._network_settings(model),
            **self._values(name for name in self._table if name not in (*_BY_THEMSELVES, *_OF_THE_NETWORK)),
        )

    def config_for_others(self) -> RunConfig:
        """Return the settings for other networks, whatever was entered for one. Raises `InvalidSetting`."""
        try:
            return self.config()
        except InvalidSetting:
            return self.config(EXAM_PAIR[0])

    def architecture(self) -> Architecture:
        """Return the architecture entered, even if other settings are invalid. Raises `InvalidSetting`."""
        return RunConfig(**self._network_settings()).architecture

    def _network_settings(self, model: str | None = None) -> dict[str, Any]:
        return {"model": model or setting_from_text("model", self.model), **self._values(_OF_THE_NETWORK)}

    def _values(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of fields, without the empty ones. Raises `InvalidSetting`."""
        found: dict[str, Any] = {}
        for name in names:
            setting = self._table[name]
            if setting.kind in ("flag", "chosen"):
                control: Any = self.query_one(f"#{name}")
                found[name] = control.value
            elif (text := self._text(name)) or not setting.may_be_empty:
                found[name] = setting_from_text(name, text)
            elif setting.in_dashboard is not None:
                found[name] = setting.in_dashboard
        return found

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _raw_values(self) -> tuple[object, ...]:
        """Return what every field holds, valid or not."""
        texts = (field.value for field in self.query(Input))
        choices = (field.value for field in self.query(Select))
        return self.model, *texts, *choices, *(box.value for box in self.query(Checkbox))

    def _device_ids(self) -> list[str]:
        ids = [info.id for info in self._devices]
        return ["cuda", *ids] if "cuda:0" in ids else ids

    def show_devices(self, devices: Sequence[DeviceInfo]) -> None:
        """Offer the devices that the standby worker has found."""
        self._devices = devices
        self._offer_devices(str(self.query_one("#device", Select).value))
        self._describe_device()
        self._check()

    def _offer_devices(self, chosen: str) -> None:
        select: Select[str] = self.query_one("#device", Select)
        ids = ["auto", *([info.id for info in self._devices] or ["cpu"])]
        select.set_options([(name, name) for name in dict.fromkeys([*ids, chosen])])
        select.value = chosen

    @on(Select.Changed, "#device")
    def _describe_device(self) -> None:
        chosen = str(self.query_one("#device", Select).value)
        known = self._devices or (DeviceInfo("cpu", cpu_name()),)
        wanted = {"auto": known[0].id, "cuda": "cuda:0"}.get(chosen, chosen)
        info = next((info for info in known if info.id == wanted), None)
        text = wording.device(info) if info is not None else ""
        if chosen == "auto" and not self._devices:
            text = _("the best device here")
        self.query_one("#device-name", Static).update(Content(text))

    def go_to(self, field: str) -> None:
        """Focus a field, which may be folded under *More*."""
        if field == "model" and not self.query_one("#field-model").display:
            field = "network"
        widget = self.query_one(f"#{'precision' if field == 'exact' else field}")
        if any(isinstance(parent, Collapsible) for parent in widget.ancestors):
            self.query_one("#more", Collapsible).collapsed = False
        widget.focus()

    def show_problem(self, text: str) -> None:
        """Show a problem with the settings; an empty text clears it."""
        self.query_one("#form-message", Static).update(Content(text))

    def take(self, config: RunConfig) -> None:
        """Fill the form with a run's settings, but what is another one's matter: its seed, and what it keeps."""
        own = config.model not in NETWORKS
        choices = self.query_one("#network", RadioSet).query(RadioChoice)
        choices[len(NETWORKS) if own else list(NETWORKS).index(config.model)].value = True
        self.query_one("#model", Input).value = config.model if own else ""
        for name in [each for each in self._table if each not in RECORDING.union(("model", "seed", "exact"))]:
            setting, value = self._table[name], getattr(config, name)
            match self.query_one(f"#{name}"):
                case Checkbox() as box:
                    box.value = value
                case Input() as field:
                    field.value = "" if setting.may_be_empty and value == default_of(name) else written(value)
                case Select() if name == "device":
                    self._offer_devices(value)
                case Select() as select:
                    select.value = "exact" if name == "precision" and config.exact else value

    def show_current(self, run_id: str = "", config: RunConfig | None = None) -> None:
        """Say whether the current run, if there is one, has the settings of the form."""
        self._current = (run_id, config) if config is not None else None
        self._say_of_current()

    def _say_of_current(self) -> None:
        text = ""
        if self._current is not None:
            run_id, config = self._current
            try:
                others = {name: getattr(config, name) for name in ("seed", *RECORDING)}
                is_same = msgspec.structs.replace(self.config(), **others) == config
            except InvalidSetting:
                is_same = False
            text = (_("settings of {run}") if is_same else _("u: take {run}'s settings")).format(run=run_id)
        self.border_subtitle = text

    def show_stoppable(self, stoppable: bool) -> None:
        self.query_one("#stop", Button).disabled = not stoppable

    # Input

    def on_key(self, event: Key) -> None:
        if event.key in _EDITING_KEYS:
            self.post_message(self.Touched())

    @on(Click)
    def _clicked(self) -> None:
        self.post_message(self.Touched())

    @on(RadioSet.Changed)
    def _choose_network(self) -> None:
        own = self.query_one("#network", RadioSet).pressed_index >= len(NETWORKS)
        self.query_one("#field-model").display = own
        self._check()

    @on(Input.Changed)
    @on(Select.Changed)
    @on(Checkbox.Changed)
    def _check(self) -> None:
        """Mark an invalid field and show why; the first one counts."""
        values = self._raw_values()
        if values != self._known_values:  # widgets also send the values that they begin with
            self._known_values = values
            self.post_message(self.Touched())
        problem: InvalidSetting | None = None
        warning = ""
        try:
            config = self.config()
            warning = threads_warning(config.threads)
            self.query_one("#more", Collapsible).title = self._more(config)
        except InvalidSetting as invalid:
            problem = invalid if self.model else None  # a file has yet to be named: no mistake so far
        for field in self.query(".field"):
            field.set_class(problem is not None and field.id == f"field-{problem.field}", "wrong")
        self.show_problem(say(problem) if problem is not None else warning)
        self._say_of_current()
        with suppress(InvalidSetting):
            network = self.architecture()
            if network != self._shown_network:
                self._shown_network = network
                self.post_message(self.NetworkChosen(network))

    @on(Button.Pressed, "#train")
    @on(Input.Submitted)
    def submit(self) -> None:
        """Submit the form, or show why it cannot be."""
        try:
            config = self.config()
        except InvalidSetting as invalid:
            self.go_to(invalid.field)
            self.show_problem(say(invalid))
            self.app.bell()
        else:
            if self.screen.has_class("-together"):  # the other panels are wanted now
                self.query_one("#more", Collapsible).collapsed = True
            self.post_message(self.Submitted(config, draws_seed=not self._text("seed")))


def _field(name: str, label: str, control: Widget) -> Widget:
    return Horizontal(*([Label(label)] if label else []), control, id=f"field-{name}", classes="field")
