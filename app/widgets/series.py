"""One curve of a plot: what it shows, and the things on screen that show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont
from PySide6.QtWidgets import QApplication

from app import theme as themes
from app.widgets.axes import pen
from app.widgets.curve_data import Array, Dense, Sparse, Thinned
from app.widgets.key import KeyRow, series_color

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

MOST_MARKERS = 60
BAND_ALPHA = 48
OVERLAY_ALPHA = 190


@dataclass(frozen=True)
class Series:
    """One curve to show. `tag` is written at its end."""

    name: str
    source: Dense | Sparse
    color: int
    markers: bool = False
    tag: str = ""

    @property
    def dashed(self) -> bool:
        """Whether the colours had begun anew."""
        return self.color >= len(themes.current().series)

    def key_row(self) -> KeyRow:
        """Its row in a key."""
        return KeyRow(self.name, self.color, self.markers, self.dashed)


class Curve:
    """What stands on screen for a series: its line, the band of its extremes where it is thinned, its dots, its tag."""

    def __init__(self, series: Series, smooth: bool) -> None:
        self.series = series
        self.band = pg.PlotCurveItem(
            antialias=False
        )  # its strokes stand upright; smoothing them costs three times more
        self.line = pg.PlotCurveItem(antialias=smooth)
        self.dots = pg.ScatterPlotItem(size=5, pen=None, pxMode=True)
        self.tag = pg.TextItem(series.tag, anchor=(0, 0.5))
        self.band.setZValue(-1)

    @property
    def items(self) -> tuple[Any, ...]:
        """Everything to be put on the plot; what stays empty would cost time there too."""
        dots = (self.dots,) if self.series.markers else ()
        return (self.band, self.line, *dots, *((self.tag,) if self.series.tag else ()))

    def show(self, points: Thinned) -> None:
        """Hand the points over; a single one becomes a dash, so that the first step is seen."""
        x, y = points.x, points.y
        if len(points.mean_x):
            _set(self.band, x, y)
            x, y = points.mean_x, points.mean_y
        else:
            _set(self.band, x[:0], y[:0])
            if len(x) == 1 and not self.series.markers:
                x, y = np.array([x[0] - 0.4, x[0] + 0.4]), np.repeat(y, 2)
        _set(self.line, x, y)
        if self.series.markers:
            few = len(x) <= MOST_MARKERS
            self.dots.setData(x if few else x[:0], y if few else y[:0])

    def restyle(self) -> None:
        """Take the theme's colours."""
        theme, series = themes.current(), self.series
        colour = QColor(series_color(series.color, theme))
        style = Qt.PenStyle.DashLine if series.dashed else Qt.PenStyle.SolidLine
        self.line.setPen(pen(colour, style=style))
        self.dots.setBrush(colour)
        self.tag.setColor(colour)
        self.tag.setFont(small_font())
        faint = QColor(colour)
        faint.setAlpha(BAND_ALPHA)
        self.band.setPen(pen(faint))


class Overlay:
    """The same quantity on another path: a thin line with its name at its end."""

    def __init__(self, name: str, color: int, source: Dense, length: Callable[[], int]) -> None:
        self.name, self.source, self._color, self._length = name, source, color, length
        self.line = pg.PlotCurveItem(antialias=True)
        self.tag = pg.TextItem(name, anchor=(1, 1))
        self.line.setZValue(-2)

    @property
    def items(self) -> tuple[Any, ...]:
        """Everything to be put on the plot."""
        return self.line, self.tag

    def update(self) -> int:
        """Take in what is new; returns how many steps there are."""
        self.source.update(self._length())
        return len(self.source)

    def show(self, x: Array, y: Array) -> None:
        """Hand the points over."""
        _set(self.line, x, y)
        finite = np.flatnonzero(np.isfinite(y))
        self.tag.setVisible(bool(finite.size))
        if finite.size:
            self.tag.setPos(float(x[finite[-1]]), float(y[finite[-1]]))

    def restyle(self) -> None:
        """Take the theme's colours."""
        colour = QColor(series_color(self._color, themes.current()))
        self.tag.setColor(colour)
        self.tag.setFont(small_font())
        colour.setAlpha(OVERLAY_ALPHA)
        self.line.setPen(pen(colour))


def _set(item: Any, x: Array, y: Array) -> None:
    gaps = not np.isfinite(y).all()
    item.setData(x, y, connect="finite" if gaps else "all", skipFiniteCheck=not gaps)


def small_font() -> QFont:
    """For tags and ticks."""
    font = themes.tabular(QApplication.font())
    font.setPointSizeF(font.pointSizeF() * 0.9)
    return font


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Sorted places moved apart to at least `gap`, within low … high as far as they fit."""
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + gap if apart else low))
    limit = high
    for number in range(len(apart) - 1, -1, -1):
        apart[number] = min(apart[number], limit)
        limit = apart[number] - gap
    return apart
