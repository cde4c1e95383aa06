"""Two plots of a tensor's check: analytic against numeric values, and the error against the step h."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFontMetricsF

from app import theme as themes
from app.theme import Theme
from app.widgets.axes import ValueAxis, pen
from app.widgets.check_pictures import UNSEEN
from app.widgets.curve_data import Array
from app.widgets.numbers import count, tiny
from app.widgets.picture import compact
from app.widgets.series import small_font
from engine.protocol import Sweep
from engine.verdicts import FAIL, FAIL_ERROR, KINK, PASS, PASS_ERROR, UNRESOLVABLE

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

STATUS_COLORS = {PASS: "forward", UNRESOLVABLE: "muted", KINK: "backward", FAIL: "bad"}  # in the order of drawing
LEAST_ERROR = 1e-16
LOWEST, HIGHEST = -10.0, 1.6  # decades of the error that are always in sight, so that a plateau is seen to be high


class FlatAxis(ValueAxis):
    """A bottom axis with values, from a linear scale or with the decades of a log one."""

    def __init__(self, scale: Literal["from zero", "log"]) -> None:
        super().__init__(scale, "bottom")
        self.setGrid(False)

    def tickValues(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, list[float]]]:
        """Fewer than at the left: texts lie."""
        return super().tickValues(minVal, maxVal, size / 2.2)


class CheckPlot(pg.PlotWidget):
    """A still plot in the theme's colours, with a caption in its upper left corner."""

    def __init__(self, scale: Literal["from zero", "log"], name: str) -> None:
        super().__init__(axisItems={"left": ValueAxis(scale), "bottom": FlatAxis(scale)}, enableMenu=False)
        self.setAccessibleName(name)
        self.setMinimumSize(80, 60)
        item = self.getPlotItem()
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())  # pyqtgraph gives it none: nobody would delete it
        item.hideButtons()
        item.disableAutoRange()
        item.layout.setContentsMargins(0, 6, 10, 0)
        self.setMouseEnabled(x=False, y=False)
        item.getAxis("left").setZValue(-1)  # the grid behind the dots
        self._box = item.getViewBox()
        self._caption = self._text((0, 0))
        self._notice = self._text((0.5, 0.5))

    def _text(self, anchor: tuple[float, float]) -> Any:
        item = pg.TextItem(anchor=anchor)
        item.setFont(small_font())
        item.setZValue(5)
        self.addItem(item, ignoreBounds=True)
        return item

    def explain(self, notice: str) -> None:
        """Nothing to draw, for this reason."""
        self._clear_items()
        self._caption.setText("")
        self._notice.setText(notice)
        (left, right), (low, high) = self._box.viewRange()
        self._notice.setPos((left + right) / 2, (low + high) / 2)

    def _clear_items(self) -> None:
        """Take every point off."""

    def _set_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        self._box.setRange(xRange=x, yRange=y, padding=0)
        self._caption.setPos(x[0], y[1])
        self._notice.setText("")

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme and the font size."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_notice"):
            self.restyle()

    def restyle(self) -> None:
        """Take the theme's colours."""
        theme = themes.current()
        themes.restyle(self, theme)
        item = self.getPlotItem()
        item.getAxis("left").setPen(pen(theme.color("line")))
        item.getAxis("left").fit_text("−0.0005")
        item.getAxis("bottom").fit_text("")
        self._caption.fill = pg.mkBrush(theme.color("panel"))
        for text, colour in ((self._caption, theme.text), (self._notice, theme.muted)):
            text.setColor(colour)
            text.setFont(small_font())
        self._restyle_items(theme)

    def _restyle_items(self, theme: Theme) -> None:
        """Colours of what is the plot's own."""


class ScatterPlot(CheckPlot):
    """Each entry a dot, numeric value to the right, analytic value up: right ones lie on the diagonal."""

    picked = Signal(int)  # the flat index of the entry clicked

    def __init__(self) -> None:
        super().__init__("from zero", "analytic against numeric gradient")
        self._diagonal = pg.PlotCurveItem()
        self._dots = {status: pg.ScatterPlotItem(size=6, pen=None, pxMode=True) for status in STATUS_COLORS}
        self._names = (self._text((1, 1)), self._text((1, 1)))
        self._names[0].setText("numeric →")
        self._shown: Array | None = None
        for item in (self._diagonal, *self._dots.values()):
            self.addItem(item, ignoreBounds=True)
        for dots in self._dots.values():
            dots.sigClicked.connect(self._on_clicked)
        self.restyle()

    def show_pairs(self, pairs: Array, of: int) -> None:
        """(N, 4): analytic, numeric, flat index, status; `of` how many entries the tensor has."""
        if pairs is self._shown:
            return
        if not len(pairs):
            self.explain(UNSEEN)
            self._shown = pairs
            return
        self._shown = pairs
        finite = pairs[:, :2][np.isfinite(pairs[:, :2])]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 1.0)
        room = 0.06 * (high - low) or abs(high) * 0.1 or 1.0
        ends = (low - room, high + room)
        self._set_range(ends, ends)
        self._names[0].setPos(ends[1], ends[0])
        self._diagonal.setData(np.array(ends), np.array(ends))
        for status, dots in self._dots.items():
            mine = pairs[pairs[:, 3] == status]
            dots.setData(mine[:, 1], mine[:, 0], data=mine[:, 2])
        shown = f"{count(of)} entries" if len(pairs) == of else f"{count(len(pairs))} of {count(of)} entries"
        self._caption.setText(f"↑ analytic   {shown}")

    def points(self, status: int) -> tuple[Array, Array]:
        """The dots of one verdict: numeric and analytic values."""
        x, y = self._dots[status].getData()
        return np.asarray(x), np.asarray(y)

    def _clear_items(self) -> None:
        self._shown = None
        self._diagonal.setData([], [])
        for dots in self._dots.values():
            dots.setData([], [])
        self._names[0].setVisible(False)

    def _set_range(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        super()._set_range(x, y)
        self._names[0].setVisible(True)

    def _on_clicked(self, _: Any, points: Any) -> None:
        if len(points):
            self.picked.emit(int(points[0].data()))

    def _restyle_items(self, theme: Theme) -> None:
        self._diagonal.setPen(pen(theme.color("muted")))
        self._names[0].setColor(theme.muted)
        self._names[0].setFont(small_font())
        for status, dots in self._dots.items():
            colour = theme.color(STATUS_COLORS[status])
            colour.setAlpha(200)
            dots.setBrush(colour)


class SweepPlot(CheckPlot):
    """Error against h, both log: a V means right, a plateau wrong; dashed, what rounding alone would make."""

    def __init__(self) -> None:
        super().__init__("log", "error against the step h")
        self.setToolTip(
            "A V means right: with smaller h the error falls, until rounding lifts it again along the dashed line. "
            "A plateau means wrong: no h makes the two agree. A step is a kink."
        )
        self._curve, self._rounding = pg.PlotCurveItem(antialias=True), pg.PlotCurveItem(antialias=True)
        self._dots = pg.ScatterPlotItem(size=6, pen=None, pxMode=True)
        self._usual = pg.InfiniteLine(angle=90)
        self._limits = tuple(pg.InfiniteLine(math.log10(error), angle=0) for error in (PASS_ERROR, FAIL_ERROR))
        self._names = tuple(self._text(anchor) for anchor in ((1, 1), (1, 1), (0, 0), (1, 1)))
        self.shown: Sweep | None = None
        for item in (*self._limits, self._usual, self._rounding, self._curve, self._dots):
            self.addItem(item, ignoreBounds=True)
        self.restyle()

    def show_sweep(self, sweep: Sweep) -> None:
        """Draw a tensor's."""
        self.shown = sweep
        h, error, rounding = (np.array(values) for values in (sweep.h, sweep.error, sweep.rounding))
        x = np.log10(h)
        with np.errstate(all="ignore"):
            y, floor = (np.log10(np.maximum(values, LEAST_ERROR)) for values in (error, rounding))
        if not np.isfinite(y).any():
            self.explain("no h shows any slope here")
            return
        bottom = max(-16.0, min(LOWEST, math.floor(float(np.nanmin(y)) - 0.4)))
        top = max(HIGHEST, math.ceil(float(np.nanmax(y)) + 0.4))
        ends = float(x.min()) - 0.3, float(x.max()) + 0.3
        self._set_range(ends, (bottom, top))
        seen = floor >= bottom
        self._curve.setData(x, y, connect="finite")
        self._dots.setData(x[np.isfinite(y)], y[np.isfinite(y)])
        self._rounding.setData(x[seen & (floor <= top)], floor[seen & (floor <= top)])
        self._usual.setValue(math.log10(sweep.usual))
        self._place_names(ends, bottom, top, x, y)
        best = int(np.nanargmin(error))
        self._caption.setText(f"least error {tiny(float(error[best]))} at h = {compact(float(f'{h[best]:.1g}'))}")

    def _place_names(self, ends: tuple[float, float], bottom: float, top: float, x: Array, y: Array) -> None:
        right, wrong, usual, name = self._names
        for line in (*self._limits, self._usual):
            line.setVisible(True)
        at = self._usual.value()
        right.setText("right below ↓")
        right.setPos(at, math.log10(PASS_ERROR))
        wrong.setText("wrong above ↑")
        wrong.setPos(at, math.log10(FAIL_ERROR))
        usual.setText("usual h")
        line = (top - bottom) / max(self._box.height(), 1.0) * (QFontMetricsF(small_font()).height() + 5)
        low_there = y[int(np.argmin(np.abs(x - at)))] < (top + bottom) / 2
        usual.setPos(at, top - line if low_there else bottom + line)  # where the curve is not
        name.setText("h →")
        name.setPos(ends[1], bottom)

    def _clear_items(self) -> None:
        for item in (self._curve, self._rounding, self._dots):
            item.setData([], [])
        for line in (*self._limits, self._usual):
            line.setVisible(False)
        for name in self._names:
            name.setText("")

    def _restyle_items(self, theme: Theme) -> None:
        self._curve.setPen(pen(theme.color("forward")))
        self._dots.setBrush(theme.color("forward"))
        self._rounding.setPen(pen(theme.color("muted"), style=Qt.PenStyle.DashLine))
        for line, colour in zip(self._limits, ("good", "bad"), strict=True):
            line.setPen(pen(theme.color(colour), style=Qt.PenStyle.DotLine))
        self._usual.setPen(pen(theme.color("line")))
        for name, text in zip(self._names, (theme.good_text, theme.bad_text, theme.muted, theme.muted), strict=True):
            name.setColor(text)
            name.setFont(small_font())
