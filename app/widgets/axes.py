"""Axes whose limits and ticks stay where they are while a curve grows."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import QRectF
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QGraphicsItem

from app import theme as themes
from app.widgets.picture import compact

Scale = Literal["from zero", "log", "percent"]
LARGEST = 1e30  # beyond it nothing is told apart on screen, and the painter's numbers end
DECADES = 12  # of a log axis at most; what is smaller is cut, and the readout says it
ALL_DECADES = 700  # more than there are numbers for
LOG_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 20, 30, 50, 100, 200, 300, 400)  # decades from one number to the next
HIGHEST = 308  # the decade in which floats end
STEADY = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


def steady(value: float) -> float:
    """The next round number: grows in a few jumps instead of with every step."""
    if not value > 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(value))
    return next(float(f"{m * decade:.3g}") for m in STEADY if m * decade >= value * (1 - 1e-9))


def limits(scale: Scale, low: float, high: float, zoomed: bool, decades: int = DECADES) -> tuple[float, float]:
    """Where the value axis begins and ends for values from low to high (on a log scale: their decades)."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return {"log": (-3.0, 1.0), "percent": (0.0, 102.0), "from zero": (0.0, 1.0)}[scale]
    if scale == "log":
        top = math.ceil(high * 2 + 0.05) / 2
        return max(math.floor(low * 2 - 0.05) / 2, top - decades), top
    if scale == "percent" and not zoomed:
        return 0.0, 102.0
    if not zoomed:
        return 0.0, steady(high * 1.02)
    span = steady(max((high - low) * 1.15, abs(high) * 1e-6, 1e-12)) / 5
    bottom = max(math.floor((low - span / 4) / span) * span, 0.0)
    return bottom, math.ceil((high + span / 4) / span) * span


class Axis(pg.AxisItem):
    """Cheap to repaint: kept as a picture by Qt until its range changes."""

    def __init__(self, side: str) -> None:
        super().__init__(side)
        self.enableAutoSIPrefix(False)
        self.setStyle(tickLength=0, autoExpandTextSpace=False, autoReduceTextSpace=False, hideOverlappingLabels=False)
        self.setCacheMode(QGraphicsItem.CacheMode.DeviceCoordinateCache)

    def fit_text(self, longest: str) -> None:
        """Leave the room that this tick text needs, always, so that the plot never shifts."""
        font = self.style["tickFont"]
        metrics = QFontMetricsF(font)
        if self.orientation == "left":
            self.setWidth(round(metrics.horizontalAdvance(longest)) + 8)
        else:
            self.setHeight(round(metrics.height()) + 4)


class StepAxis(Axis):
    """Steps: whole numbers with commas."""

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Round steps, as many as their texts have room for."""
        step = max(1.0, steady(max(maxVal - minVal, 1) * 70 / max(size, 1)))
        step = next(s for s in (1, 2, 5, 10, 20, 50) if s * _decade(step) >= step) * _decade(step)
        first = math.ceil(max(minVal, 0) / step) * step
        return [(step, np.arange(first, maxVal + step * 1e-9, step).tolist())]

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """1,000."""
        return [f"{round(value):,}" if value else "" for value in values]


class ValueAxis(Axis):
    """A quantity, from zero, in percent, or by its decades."""

    def __init__(self, scale: Scale, side: str = "left") -> None:
        super().__init__(side)
        self._scale = scale
        self.setGrid(110)

    def set_scale(self, scale: Scale) -> None:
        """Another scale, whose numbers come with the next range."""
        self._scale = scale
        self.picture = None

    def boundingRect(self) -> QRectF:
        """With the room that half a text needs above and below; pyqtgraph leaves it out where there is a grid."""
        rect: QRectF = super().boundingRect()
        return rect.adjusted(0, -8, 0, 8)

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Few round values, none closer than its text is high."""
        most = max(2, int(size / (1.85 * QFontMetricsF(self.style["tickFont"]).height())))
        step = self._spacing(maxVal - minVal, most)
        values = np.arange(math.ceil(minVal / step - 1e-9), math.floor(maxVal / step + 1e-9) + 1) * step
        return [(step, values.tolist())]

    def _spacing(self, span: float, most: int) -> float:
        if self._scale == "log":
            return float(next(step for step in LOG_STEPS if step >= span / most)) if span > 1.5 else 0.5
        rough = max(span, 1e-12) / most
        return next(
            float(f"{m * _decade(rough):.3g}") for m in (1, 2, 2.5, 5, 10) if m * _decade(rough) >= rough * 0.999
        )

    def tickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:
        """Short numbers."""
        if self._scale == "log":
            return [compact(float(f"{10.0 ** min(value, HIGHEST):.1g}")) for value in values]
        return [compact(value) + (" %" if self._scale == "percent" else "") for value in values]


def _decade(value: float) -> float:
    return float(10.0 ** math.floor(math.log10(value)))


def pen(colour: Any, **options: Any) -> Any:
    """A pen one pixel wide whatever the zoom, since wider ones cost many times more; wider for a class."""
    return pg.mkPen(colour, width=themes.stroke(), **options)
