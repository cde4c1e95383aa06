"""Analytic gradient, numerical gradient, their difference and their relative error, side by side."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QApplication, QGridLayout, QLabel, QSizePolicy, QWidget

from app import theme as themes
from app.widgets.flow_rulers import extreme, typical_extreme
from app.widgets.noticed_heatmap import NoticedHeatmap
from app.widgets.picture import Ruler, Values
from app.widgets.ruler_strip import RulerStrip
from app.widgets.tensor_text import across, cell_of, drawn_shape, index_at
from engine.frames import Picture
from engine.verdicts import FAIL_ERROR, PASS_ERROR

NAMES = ("analytic", "numeric", "difference", "error")
TITLES = ("analytic", "numeric", "difference", "relative error")
SHORT = ("analytic", "numeric", "diff.", "rel. error")
ERRORS = Ruler("log", 1.0, 1e-12)  # always the same, so that colours of two checks mean the same
TILE = 62  # pixels: the least height of a picture
FLAT = 1.6  # times as wide as high: from there on the four stand in a row
UNSEEN = "no entry was looked at by itself"


class CheckPictures(QWidget):
    """The first three on one ruler, the difference enlarged by a power of ten that its title says; errors on another.

    A click on an entry in any of them marks it in all.
    """

    picked = Signal(tuple)  # the index of an entry

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: tuple[Picture, ...] = ()
        self._factor = ""
        self.titles = tuple(QLabel(name, self) for name in TITLES)
        self.tiles = tuple(NoticedHeatmap(self, name=name, holes=place > 0) for place, name in enumerate(TITLES))
        self.ruler = RulerStrip(self, name="colours of both gradients and of their difference")
        self.error_ruler = RulerStrip(
            self, name="colours of the relative error", magnitude=True, marks=(PASS_ERROR, FAIL_ERROR)
        )
        self.error_ruler.setToolTip(
            f"relative error |a − n| / max(|a|, |n|), log; the ticks: up to {PASS_ERROR:.0e} right, "
            f"beyond {FAIL_ERROR:.0e} wrong; hatched: not looked at, or too small to be told from rounding"
        )
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._in_a_row: bool | None = None
        for title in self.titles:
            title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for tile in self.tiles:
            tile.setMinimumHeight(TILE)
            tile.clicked.connect(self._on_clicked)
        self._set_fonts()
        self._arrange()

    # --- arrangement --------------------------------------------------------------------------

    def _arrange(self) -> None:
        """Four in a row, or two by two, as the room is; the rulers below."""
        in_a_row = self.width() > FLAT * self.height()
        if in_a_row == self._in_a_row:
            return
        self._in_a_row = in_a_row
        grid, across_ = self._grid, 4 if in_a_row else 2
        for widget in (*self.titles, *self.tiles, self.ruler, self.error_ruler):
            grid.removeWidget(widget)
        for place, (title, tile) in enumerate(zip(self.titles, self.tiles, strict=True)):
            row, column = divmod(place, across_)
            grid.addWidget(title, 2 * row, column)
            grid.addWidget(tile, 2 * row + 1, column)
        grid.addWidget(self.ruler, 4, 0, 1, across_ - 1)
        grid.addWidget(self.error_ruler, 4, across_ - 1)
        for column in range(4):
            grid.setColumnStretch(column, int(column < across_))
        grid.setRowStretch(1, 1)
        grid.setRowStretch(3, 0 if in_a_row else 1)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Take the arrangement that fits, and the titles that do."""
        super().resizeEvent(event)
        self._arrange()
        self._tell_titles()

    def _set_fonts(self) -> None:
        """Small titles: the factor must fit in. A role would keep the font that it was given with."""
        small = themes.tabular(QApplication.font())
        small.setPointSizeF(small.pointSizeF() * 0.84)
        for title in self.titles:
            title.setFont(small)
            title.setStyleSheet(f"color: {themes.current().muted}; font-size: {small.pointSizeF():.1f}pt")

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size."""
        super().changeEvent(event)
        if event.type() in (
            QEvent.Type.FontChange,
            QEvent.Type.ApplicationFontChange,
            QEvent.Type.PaletteChange,
        ) and hasattr(self, "_grid"):
            self._set_fonts()
            self._tell_titles()

    def _tell_titles(self) -> None:
        """The words where they fit, else shorter ones."""
        room = self.width() if self._in_a_row is None else self.width() // (4 if self._in_a_row else 2) - 6
        for place, title in enumerate(self.titles):
            factor = self._factor if place == 2 else ""
            fits = QFontMetrics(title.font()).horizontalAdvance(TITLES[place] + factor) <= room
            title.setText((TITLES if fits else SHORT)[place] + factor)
            title.setToolTip(TITLES[place] + factor)

    # --- what is shown ------------------------------------------------------------------------

    def clear(self, notice: str = "") -> None:
        """Nothing to compare, for this reason."""
        self._shown, self._factor = (), ""
        for tile in self.tiles:
            tile.explain(notice)
            tile.mark(None)
        for strip in (self.ruler, self.error_ruler):
            strip.show_ruler(None)
        self._tell_titles()

    def show_pictures(self, pictures: tuple[Picture, ...]) -> None:
        """Analytic, numeric, difference and relative error; drawn only when they are others than before."""
        if len(pictures) != len(NAMES):
            self.clear()
            return
        if self._shown and all(map(_same, pictures, self._shown)):
            return
        self._shown = pictures
        analytic, numeric, difference, error = (across(p.values, p.shape) for p in pictures)
        shape = drawn_shape(pictures[0].shape)
        ruler = Ruler("linear", max(map(typical_extreme, (analytic, np.nan_to_num(numeric))))).nice()
        self.ruler.show_ruler(ruler)
        self.error_ruler.show_ruler(ERRORS)
        self.tiles[0].show_values(analytic, ruler, shape)
        self._factor = ""
        if np.isnan(numeric).all():
            for tile in self.tiles[1:]:
                tile.explain(UNSEEN)
            self._tell_titles()
            return
        self.tiles[1].show_values(numeric, ruler, shape)
        power = magnified(ruler.limit, typical_extreme(difference[np.isfinite(difference)]))
        self.tiles[2].show_values(difference * np.float32(10.0**power), ruler, shape)
        self.tiles[3].show_values(error, ERRORS, shape, magnitude=True)
        self._factor = factor_text(difference, power)
        self._tell_titles()
        for tile in self.tiles[:2]:
            tile.setToolTip(f"full colour at {ruler.label}; click an entry to see its numbers")
        self.tiles[2].setToolTip(f"full colour at ±{ruler.limit * 10.0**-power:.3g}; hatched: not looked at")
        wrong = "no colour: right; full {backward}: wrong; hatched: not looked at, or too small to tell"
        self.tiles[3].setToolTip(themes.current().worded(wrong))

    def mark(self, index: tuple[int, ...] | None) -> None:
        """Frame an entry in all four, or none."""
        shape = self._shown[0].shape if self._shown else ()
        cell = cell_of(shape, index) if index is not None and shape else None
        for tile in self.tiles:
            tile.mark(cell)

    def _on_clicked(self, row: int, column: int) -> None:
        if self._shown:
            index = index_at(self._shown[0].shape, row, column)
            self.mark(index)
            self.picked.emit(index)


def magnified(limit: float, largest: float) -> int:
    """The power of ten by which a difference is enlarged so that it is seen on a ruler; 0 for a large one."""
    if not largest > 0:
        return 0
    return max(0, min(30, math.floor(math.log10(limit / largest))))


def factor_text(difference: Values, power: int) -> str:
    """Says by how much a difference is enlarged, or that there is none."""
    if not extreme(difference):
        return ": none"
    return f" × 1e{power}" if power else ""


def _same(one: Picture, other: Picture) -> bool:
    return one.shape == other.shape and np.array_equal(one.values, other.values, equal_nan=True)
