"""How values fit: the network's curve over samples of one number, or predicted against true values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QColor, QFontMetricsF, QResizeEvent

from app import theme as themes
from app.theme import Theme
from app.widgets.axes import pen, steady
from app.widgets.check_plots import CheckPlot
from app.widgets.numbers import count
from app.widgets.series import small_font

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

Array = NDArray[Any]
DOT = 5  # pixels
REACH = 2.0  # times the span of the samples that a bad fit is followed beyond them


class FitPlot(CheckPlot):
    """Dots are samples; the line is what the network gives, or where every dot of a perfect fit would lie."""

    def __init__(self) -> None:
        super().__init__("from zero", "fit of the values")
        self._lines: list[Any] = []
        self._dots: list[Any] = []
        self._curved = False
        self._ends = (-1.0, 1.0), (-1.0, 1.0)
        self.restyle()

    def show_curve(self, samples: Array, curve: Array) -> None:
        """Samples x, target … (N, 1 + K) and the network's curve x, output … (M, 1 + K)."""
        self._make(curve.shape[1] - 1, curve.shape[1] - 1, curved=True)
        x, outputs = curve[:, 0], curve[:, 1:]
        low, high = view(samples[:, 1:], outputs)
        self._ends = (float(x[0]), float(x[-1])), (low, high)
        self._settle()
        for k, (line, dots) in enumerate(zip(self._lines, self._dots, strict=True)):
            known = np.isfinite(outputs[:, k])
            line.setData(x[known], outputs[known, k])
            dots.setData(samples[:, 0], samples[:, 1 + k])
        self._tell("↑ value over x →   dots: samples   line: network", outputs, low, high)

    def show_scatter(self, true: Array, predicted: Array) -> None:
        """True and predicted values, (N, K) each: each output in its colour, a diagonal where they are equal."""
        self._make(true.shape[1], 1, curved=False)
        low, high = view(true, predicted)
        self._ends = (low, high), (low, high)
        self._settle()
        self._lines[0].setData(np.array([low, high]), np.array([low, high]))
        for k, dots in enumerate(self._dots):
            known = np.isfinite(predicted[:, k])
            dots.setData(true[known, k], predicted[known, k])
        self._tell("↑ predicted over true →   line: equal", predicted, low, high)

    def shown(self, output: int = 0) -> tuple[Array, Array]:
        """The dots of one output, x and y."""
        x, y = self._dots[output].getData()
        return np.asarray(x), np.asarray(y)

    def line(self, output: int = 0) -> tuple[Array, Array]:
        """The line of one output, x and y."""
        x, y = self._lines[output].getData()
        return np.asarray(x), np.asarray(y)

    def _tell(self, caption: str, outputs: Array, low: float, high: float) -> None:
        """The caption, and how many outputs cannot be seen."""
        lost = int(np.count_nonzero(~np.isfinite(outputs)))
        out = int(np.count_nonzero((outputs < low) | (outputs > high)))
        more = [f"{count(out)} outside the picture"] * bool(out) + [f"{count(lost)} are no numbers"] * bool(lost)
        self._caption.setText("   ".join([caption, *more]))

    def _settle(self) -> None:
        """Show the values with room for the caption above them."""
        across, (low, high) = self._ends
        line = QFontMetricsF(small_font()).height() + 8
        room = (high - low) * line / max(self._box.height() - line, 2 * line)
        self._set_range(across, (low, high + room))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The caption keeps its height."""
        super().resizeEvent(event)
        if hasattr(self, "_dots") and self._dots:
            self._settle()

    def _make(self, outputs: int, lines: int, *, curved: bool) -> None:
        """As many dots and lines as there are outputs."""
        if (len(self._dots), len(self._lines), self._curved) == (outputs, lines, curved):
            return
        self._clear_items()
        self._curved = curved
        self._dots = [pg.ScatterPlotItem(size=DOT, pen=None, pxMode=True) for _ in range(outputs)]
        self._lines = [pg.PlotCurveItem(antialias=True) for _ in range(lines)]
        for item in (*self._dots, *self._lines):
            self.addItem(item, ignoreBounds=True)
        self._restyle_items(themes.current())

    def _clear_items(self) -> None:
        for item in (*self._dots, *self._lines):
            self.removeItem(item)
        self._dots, self._lines = [], []

    def _restyle_items(self, theme: Theme) -> None:
        one = len(self._dots) == 1
        for k, dots in enumerate(self._dots):
            colour = QColor(theme.backward if one else theme.series[k % len(theme.series)])
            colour.setAlpha(170)
            dots.setBrush(colour)
            dots.setSize(DOT * themes.stroke())
        for k, line in enumerate(self._lines):
            colour = theme.color("muted") if not self._curved else QColor(theme.series[k % len(theme.series)])
            line.setPen(pen(colour))


def view(samples: Array, outputs: Array) -> tuple[float, float]:
    """The range of values shown: that of the samples, and of the outputs as far as REACH; in steps, to be steady."""
    given = samples[np.isfinite(samples)]
    low, high = (float(given.min()), float(given.max())) if given.size else (-1.0, 1.0)
    span = (high - low) or abs(high) or 1.0
    said = outputs[np.isfinite(outputs)]
    if said.size:
        low = min(low, max(float(said.min()), low - REACH * span))
        high = max(high, min(float(said.max()), high + REACH * span))
    step = steady(span / 8)
    return float(np.floor(low / step - 0.3) * step), float(np.ceil(high / step + 0.7) * step)
