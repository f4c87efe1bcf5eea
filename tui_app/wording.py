"""Wording shared by every front end: the exam's lines, and the names, states and warnings of runs."""

from __future__ import annotations

from core.config import Architecture, RunConfig
from core.machine import DeviceInfo
from core.runs.directory import Run, Summary
from core.runs.events import EpochEnded, Evaluated, RunStarted, SettingsChanged, Validated, WeightsRestored
from core.runs.record import State
from tui_app import i18n
from tui_app.i18n import _, ngettext, number, percent, printable, short


def epoch_line(event: EpochEnded, config: RunConfig) -> str:
    """Return the exam's line for an epoch."""
    return _("Epoch {epoch}/{epochs}, Loss: {loss}").format(
        epoch=event.epoch, epochs=config.epochs, loss=f"{event.loss:.4f}"
    )


def validation_line(event: Validated, config: RunConfig) -> str:
    """Return the line for an epoch's validation on the held-out images."""
    return _("Epoch {epoch}/{epochs}, validation: loss {loss}, accuracy {accuracy}").format(
        epoch=event.epoch,
        epochs=config.epochs,
        loss="–" if event.loss is None else i18n.number(event.loss, 4),
        accuracy=i18n.percent(event.accuracy),
    )


def result_line(event: Evaluated) -> str:
    """Return the exam's last line."""
    return _("Result: {accuracy}%").format(accuracy=f"{100 * event.accuracy:.2f}")


def sample_warning() -> str:
    return _("EMBEDDED SAMPLE: 5,000 images of MNIST, not all of it. Results are not MNIST's.")


def network_name(network: RunConfig | Architecture, *, folder: bool = True) -> str:
    """Name a network with its options: `RN_2`, or `RN_2, dropout 0.5, batch norm, width 0.5`."""
    parts = [printable(network.model if folder else network.model.rpartition("/")[2])]
    if network.dropout:
        parts.append(_("dropout {p}").format(p=short(network.dropout)))
    if network.batch_norm:
        parts.append(_("batch norm"))
    if network.width != 1:
        parts.append(_("width {factor}").format(factor=short(network.width)))
    return ", ".join(parts)


def settings_line(config: RunConfig, threads_now: int) -> str:
    """Return a run's network and how it is trained: `RN_2 · lr 0.0005 · batch 128 · 2 threads`.

    `threads_now` is 0 where the CPU does not do the arithmetic.
    """
    parts = [
        network_name(config, folder=False),
        _("lr {value}").format(value=short(config.lr)),
        _("batch {value}").format(value=number(config.batch_size)),
        "" if config.precision == "fp32" else config.precision,
        _("exact") if config.exact else "",
        _("validation") if config.validate else "",
        _("patience {value}").format(value=number(config.patience)) if config.patience else "",
        threads(threads_now) if threads_now else "",
    ]
    return " · ".join(filter(None, parts))


def seed_and_threads(started: RunStarted, now: int) -> str:
    """Return what, besides the settings, decides the numbers of a run: `seed 7, 2 threads`, or on a GPU `seed 7`.

    `now` is the number of threads that it trains with now.
    """
    return seed(started) + ", " + threads(now) if started.device == "cpu" else seed(started)


def seed(started: RunStarted) -> str:
    """Return a run's seed: `seed 7`."""
    return _("seed {seed}").format(seed=started.config.seed)


def threads(number: int) -> str:
    """Return a number of threads: `1 thread`, `2 threads`."""
    return ngettext("{count} thread", "{count} threads", number).format(count=number)


def dataset_title(started: RunStarted) -> str:
    """Name the data set that a run was trained and tested on."""
    title = printable(_(started.dataset_title))
    return f"{title}, {_('pixels permuted')}" if started.config.permute else title


def reading_runs() -> str:
    return _("Reading the runs…")


def resumption(run: Run, state: State) -> str:
    """Return what to do with a run that was stopped or that crashed, and from where it would go on."""
    if state not in ("stopped", "crashed"):
        return ""
    if not run.has_checkpoint():
        text = _("There is no checkpoint yet: Resume starts the run anew.")
    elif state == "stopped":
        text = _("Resume continues from here.")
    else:
        text = _("Resume continues from the last checkpoint.")
    if state == "stopped":
        return text
    log = [_("See the log.")] if run.log_tail(1) else []
    return " ".join((_("The training process died."), text, *log))


def state_name(state: State) -> str:
    """Return a run's state in one word."""
    return {
        "starting": _("starting"),
        "running": _("running"),
        "paused": _("paused"),
        "silent": _("silent"),
        "done": _("done"),
        "stopped": _("stopped"),
        "diverged": _("diverged"),
        "failed": _("failed"),
        "crashed": _("crashed"),
        "unreadable": _("unreadable"),
    }[state]


def state_of(summary: Summary) -> str:
    """Return a run's state, with the time since the last sign of a silent one if known, and if it was changed."""
    text = state_name(summary.state)
    if summary.silent_s is not None:
        text = _("silent for {time}").format(time=i18n.duration(summary.silent_s))
    return _("{state}, changed").format(state=text) if summary.is_steered else text


def ended_line(run_id: str, state: State, accuracy: float | None) -> str:
    """Return how a run has ended: `rn2-0007: done, 97.51%`."""
    result = "" if accuracy is None else f", {i18n.percent(accuracy)}"
    return _("{run}: {state}").format(run=run_id, state=state_name(state)) + result


def change_line(event: SettingsChanged) -> str:
    """Return what was changed, and from where on; empty if that is only a matter of threads."""
    values = {"epoch": number(event.epoch), "step": number(event.step)}
    if event.paused is not None:
        text = _("paused at epoch {epoch}, batch {step}") if event.paused else _("goes on")
        return text.format(**values)
    changes = changed_settings(event)
    return _("{changes}, after epoch {epoch}, batch {step}").format(changes=changes, **values) if changes else ""


def changed_settings(event: SettingsChanged) -> str:
    """Return the settings that an event changed: `learning rate 0.0005, 12 epochs`; empty for threads and pauses."""
    changed = [] if event.lr is None else [_("learning rate {lr}").format(lr=short(event.lr))]
    if event.epochs is not None:
        changed.append(ngettext("{count} epoch", "{count} epochs", event.epochs).format(count=number(event.epochs)))
    return ", ".join(changed)


def restored_line(event: WeightsRestored) -> str:
    """Return which epoch's weights are those of the result."""
    text = _("Epoch {epoch} had the lowest validation loss, {loss}: its weights are tested and kept.")
    return text.format(epoch=number(event.epoch), loss=i18n.number(event.loss, 4))


def kept_epoch(event: WeightsRestored) -> str:
    """Return in a few words which epoch's weights are those of the result."""
    return _("weights of epoch {epoch}").format(epoch=number(event.epoch))


def device(info: DeviceInfo) -> str:
    """Return a device's name and, as far as they are known, its free memory and its use."""
    text = printable(info.name)
    if info.free_memory is not None and info.total_memory is not None:
        free, total = number(info.free_memory / 2**30, 1), number(info.total_memory / 2**30, 1)
        text += _(", {free} of {total} GiB free").format(free=free, total=total)
    if info.use is not None:
        text += _(", {use} in use").format(use=percent(info.use, 0))
    return text


def size(count: float) -> str:
    """Return a number of bytes: `12 kB`, `4.2 MB`."""
    units = [_("{size} B"), _("{size} kB"), _("{size} MB"), _("{size} GB"), _("{size} TB")]
    while count >= 999.5 and len(units) > 1:
        count, units = count / 1000, units[1:]
    return units[0].format(size=number(count, 1 if count < 10 and len(units) < 5 else 0))
