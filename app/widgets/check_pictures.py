"""Analytic gradient, numerical gradient, and their difference side by side."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QApplication, QGridLayout, QLabel, QSizePolicy, QWidget

from app import theme as themes
from app.widgets.flow_rulers import extreme, typical_extreme
from app.widgets.noticed_heatmap import NoticedHeatmap
from app.widgets.picture import Ruler, Values
from app.widgets.tensor_text import across
from engine.frames import Picture

NAMES = ("analytic", "numeric", "difference")


class CheckPictures(QWidget):
    """The first two on one ruler; the difference enlarged by a power of ten that its title says."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Picture, ...] = ()
        self.titles = tuple(QLabel(name, self) for name in NAMES)
        self.tiles = tuple(NoticedHeatmap(self, name=name, holes=name != "analytic") for name in NAMES)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        for column, (title, tile) in enumerate(zip(self.titles, self.tiles, strict=True)):
            title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            grid.addWidget(title, 0, column)
            grid.addWidget(tile, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(1, 1)
        self._set_fonts()

    def _set_fonts(self) -> None:
        """Small titles: the factor must fit in. The font first: once marked, a label takes no other."""
        small = themes.tabular(QApplication.font())
        small.setPointSizeF(small.pointSizeF() * 0.84)
        for title in self.titles:
            title.setFont(small)
            themes.mark(title, "muted")

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "titles"):
            self._set_fonts()

    def clear(self) -> None:
        """Nothing to compare."""
        self._shown = ()
        for tile in self.tiles:
            tile.explain("")
        self.titles[2].setText(NAMES[2])

    def show_pictures(self, pictures: tuple[Picture, ...]) -> None:
        """Analytic, numeric and difference; drawn only when they are others than before."""
        if len(pictures) != len(NAMES):
            self.clear()
            return
        if self._shown and all(map(_same, pictures, self._shown)):
            return
        self._shown = pictures
        analytic, numeric, difference = (across(p.values, p.shape) for p in pictures)
        ruler = Ruler("linear", max(map(typical_extreme, (analytic, np.nan_to_num(numeric))))).nice()
        self.tiles[0].show_values(analytic, ruler)
        if np.isnan(numeric).all():
            for tile in self.tiles[1:]:
                tile.explain("no entry was looked at by itself")
            self.titles[2].setText(NAMES[2])
            return
        self.tiles[1].show_values(numeric, ruler)
        power = magnified(ruler.limit, typical_extreme(difference[np.isfinite(difference)]))
        self.tiles[2].show_values(difference * np.float32(10.0**power), ruler)
        self.titles[2].setText(difference_title(difference, power))
        for tile in self.tiles[:2]:
            tile.setToolTip(f"full colour at {ruler.label}")
        self.tiles[2].setToolTip(f"full colour at ±{ruler.limit * 10.0**-power:.3g}; hatched: not looked at")


def magnified(limit: float, largest: float) -> int:
    """The power of ten by which a difference is enlarged so that it is seen on a ruler; 0 for a large one."""
    if not largest > 0:
        return 0
    return max(0, min(30, math.floor(math.log10(limit / largest))))


def difference_title(difference: Values, power: int) -> str:
    """Says by how much it is enlarged."""
    if not extreme(difference):
        return "difference: none"
    return f"difference × 1e{power}" if power else "difference"


def _same(one: Picture, other: Picture) -> bool:
    return one.shape == other.shape and np.array_equal(one.values, other.values, equal_nan=True)
