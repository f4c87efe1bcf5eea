"""The health of a run's layers as columns for a layer table: sparklines and shares."""

from __future__ import annotations

from collections.abc import Sequence

from core.runs.events import LayersMeasured
from core.runs.layer_health import NUM_BINS, Histogram, LayerHealth
from core.runs.record import MAX_MEASURED
from tui_app.charts.sparkline import sparkline
from tui_app.i18n import _, percent, short
from tui_app.tables import LayerColumn

_NUMBER_WIDTH = 8


def health_columns(measured: Sequence[LayersMeasured], *, plain: bool) -> tuple[LayerColumn, ...]:
    """Return the columns for the newest epochs that were measured, the oldest first; empty ones if there are none.

    The gradient's norm is a sparkline over the epochs, with its newest value; the histograms are the newest.
    """
    newest = measured[-1].layers if measured else ()
    by_epoch = [{layer.name: layer.gradient_norm for layer in each.layers} for each in measured]

    def gradient(layer: LayerHealth) -> str:
        norms = [norms.get(layer.name) for norms in by_epoch]
        if all(norm is None for norm in norms):
            return ""
        number = "–" if layer.gradient_norm is None else short(float(f"{layer.gradient_norm:.2g}"))
        return f"{sparkline(norms, plain=plain):>{MAX_MEASURED}} {number}"

    return (
        LayerColumn(
            _("Gradient\nnorm"), MAX_MEASURED + _NUMBER_WIDTH, {layer.name: gradient(layer) for layer in newest}
        ),
        LayerColumn(
            _("Dead\nunits"), 6, {layer.name: percent(layer.dead, 0) for layer in newest if layer.dead is not None}
        ),
        LayerColumn(_("Weights"), NUM_BINS, {layer.name: _shape(layer.weights, plain) for layer in newest}),
        LayerColumn(_("Activations"), NUM_BINS, {layer.name: _shape(layer.activations, plain) for layer in newest}),
    )


def _shape(histogram: Histogram | None, plain: bool) -> str:
    """Return a histogram as a line of blocks, blank where there is no value."""
    return sparkline([count or None for count in histogram.counts[:NUM_BINS]], plain=plain) if histogram else ""
