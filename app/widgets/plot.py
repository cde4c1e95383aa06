"""Curves over steps: decimated, on steady axes, with the exact values of the step under the pointer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QHideEvent, QKeyEvent, QMouseEvent, QResizeEvent

from app import theme as themes
from app.widgets.axes import LARGEST, Scale, StepAxis, ValueAxis, limits, pen, steady
from app.widgets.curve_data import Array, Thinned
from app.widgets.series import Curve, Overlay, Series, small_font, spread

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

TAG_ROOM = 20  # pixels kept right of the last step for the curves' tags
MARK = 9  # pixels: how high a mark on the time axis is
STILL = 4  # pixels that a click may move
FEW_CURVES = 12  # up to here curves are smoothed


class StepPlot(pg.PlotWidget):
    """Some curves over steps on one scale. Wheel and drag zoom in time; a double click shows all again.

    `redraw(length)` takes in what is new; `pointed` says that the step under the pointer is another one.
    """

    pointed = Signal()
    clicked = Signal(int)  # the step under a click that was no drag

    def __init__(self, scale: Scale, name: str, empty: str) -> None:
        self._scale = scale
        self._curves: list[Curve] = []
        self._overlays: tuple[Overlay, ...] = ()
        self._pressed: QPointF | None = None
        self._tagged = False
        self._length = 0
        self._zoomed = False
        self._step: int | None = None
        super().__init__(axisItems={"left": ValueAxis(scale), "bottom": StepAxis("bottom")})
        self.setAccessibleName(name)
        self.setToolTip("The mouse wheel zooms in time, dragging moves; a double click or 0 shows all; + and − zoom")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(90, 60)
        item = self.getPlotItem()
        item.setMenuEnabled(False)
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())  # pyqtgraph gives it none: nobody would delete it
        item.hideButtons()
        item.disableAutoRange()
        item.layout.setContentsMargins(0, 7, 14, 0)
        self.setMouseEnabled(x=True, y=False)
        self._box = item.getViewBox()
        self._box.sigRangeChangedManually.connect(self._on_zoomed)
        self._add_marks(empty)
        self._restyle()
        self._set_range()

    def _add_marks(self, empty: str) -> None:
        self._cursor = pg.InfiniteLine(angle=90)
        self._here = pg.InfiniteLine(angle=90)
        self._lost = pg.InfiniteLine(angle=90)
        self._lost_text = pg.TextItem(anchor=(1, 0))
        self._marked = np.zeros(0)
        self._marks = pg.PlotCurveItem(antialias=False, connect="pairs")
        self.addItem(self._marks, ignoreBounds=True)
        self._empty = pg.TextItem(empty, anchor=(0.5, 0.5))
        for item in (self._here, self._cursor, self._lost, self._lost_text, self._empty):
            item.setVisible(item is self._empty)
            self.addItem(item, ignoreBounds=True)

    # --- what is shown ------------------------------------------------------------------------

    def set_series(self, series: tuple[Series, ...]) -> None:
        """Show these curves from now on."""
        for item in (item for curve in self._curves for item in curve.items):
            self.removeItem(item)
        self._zoomed, self._length = False, 0
        self._curves = [Curve(s, smooth=len(series) <= FEW_CURVES) for s in series]
        self._tagged = any(s.tag for s in series)
        for item in (item for curve in self._curves for item in curve.items):
            self.addItem(item, ignoreBounds=True)
        self._restyle()
        self.redraw(0)

    def set_overlays(self, overlays: tuple[Overlay, ...]) -> None:
        """Lay other paths' curves over these from now on."""
        for item in (item for overlay in self._overlays for item in overlay.items):
            self.removeItem(item)
        self._overlays = overlays
        for item in (item for overlay in overlays for item in overlay.items):
            self.addItem(item, ignoreBounds=True)
        for overlay in overlays:
            overlay.restyle()

    @property
    def overlays(self) -> tuple[Overlay, ...]:
        """The other paths' curves."""
        return self._overlays

    def show_position(self, step: int | None) -> None:
        """A line where the run stands, or none: at the end of the curves it needs none."""
        self._here.setVisible(step is not None)
        if step is not None:
            self._here.setValue(step)

    @property
    def position(self) -> int | None:
        """The step that the line is at."""
        return int(self._here.value()) if self._here.isVisible() else None

    @property
    def series(self) -> tuple[Series, ...]:
        """The curves shown."""
        return tuple(curve.series for curve in self._curves)

    @property
    def step(self) -> int | None:
        """The step under the pointer."""
        return self._step

    @property
    def zoomed(self) -> bool:
        """Whether a part of the steps is shown, of the user's choice."""
        return self._zoomed

    def drawn(self, number: int) -> tuple[Array, Array]:
        """The points of a curve on screen, its extremes where it is thinned: x in steps, y on the scale."""
        curve = self._curves[number]
        x, y = curve.band.getData()
        if x is None or not len(x):
            x, y = curve.line.getData()
        return (np.empty(0), np.empty(0)) if x is None else (x, y)

    def redraw(self, length: int) -> None:
        """Take in the table's rows up to `length`, and draw."""
        self._length = length
        for series in self.series:
            series.source.update(length)
        others = [overlay.update() for overlay in self._overlays]
        self._empty.setVisible(max(length, *others, 0) == 0)
        self._draw()

    def show_all(self) -> None:
        """Every step from the first on."""
        self._zoomed = False
        self._draw()

    def mark_loss(self, step: int | None, text: str = "") -> None:
        """Mark the step from which on there are no numbers, or none."""
        for item in (self._lost, self._lost_text):
            item.setVisible(step is not None)
        if step is not None:
            self._lost.setValue(step)
            self._lost_text.setText(text)
            top = self._box.viewRange()[1][1]
            left = step < sum(self._box.viewRange()[0]) / 2
            self._lost_text.setAnchor((0 if left else 1, 0))
            self._lost_text.setPos(step, top)

    def mark_steps(self, steps: Array) -> None:
        """Mark these steps, whose gradient the live check found wrong, on the time axis."""
        if len(steps) != len(self._marked) or not np.array_equal(steps, self._marked):
            self._marked = steps
            self._draw_marks()

    def marked(self) -> Array:
        """The steps whose marks are on screen, near ones as one."""
        x, _ = self._marks.getData()
        return np.empty(0) if x is None else np.asarray(x[::2])

    def _draw_marks(self) -> None:
        """A short stroke on the time axis for each pixel that has one."""
        (left, right), (low, high) = self._box.viewRange()
        pixel = max((right - left) / max(self._box.width(), 1.0), 1e-9)
        inside = self._marked[(self._marked >= left) & (self._marked <= right)]
        kept = inside[np.unique((inside / pixel).astype(np.int64), return_index=True)[1]] if len(inside) else inside
        tall = (high - low) / max(self._box.height(), 1.0) * MARK
        self._marks.setData(np.repeat(kept, 2).astype(float), np.tile([low, low + tall], len(kept)))

    # --- drawing ------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Set the curves for the steps in view, then the value axis for what the curves show."""
        if not self._zoomed:
            self._set_range()
        left, right = self._box.viewRange()[0]
        pixels = max(50, int(self._box.width() * self.devicePixelRatioF()))
        most = 2 * pixels if len(self._curves) <= FEW_CURVES else pixels
        low, high = math.inf, -math.inf
        ends: list[tuple[float, float]] = []
        for curve in self._curves:
            points = curve.series.source.curve(math.floor(left) - 1, math.ceil(right) + 1, most)
            points = Thinned(points.x, self._scaled(points.y), points.mean_x, self._scaled(points.mean_y))
            curve.show(points)
            finite = np.isfinite(points.y)
            seen = points.y[finite]
            if seen.size:
                low, high = min(low, float(seen.min())), max(high, float(seen.max()))
            ends.append((float(points.x[finite][-1]), float(seen[-8:].mean())) if seen.size else (0.0, math.nan))
        for overlay in self._overlays:
            points = overlay.source.curve(math.floor(left) - 1, math.ceil(right) + 1, pixels)
            x, y = (points.mean_x, points.mean_y) if len(points.mean_x) else (points.x, points.y)
            scaled = self._scaled(y)
            overlay.show(x, scaled)
            seen = scaled[np.isfinite(scaled)]
            if seen.size:
                low, high = min(low, float(seen.min())), max(high, float(seen.max()))
        self._set_value_range(*limits(self._scale, low, high, self._zoomed))
        if len(self._marked) or len(self.marked()):
            self._draw_marks()
        self._place_tags(ends)

    def _scaled(self, y: Array) -> Array:
        if self._scale != "log":
            return np.clip(y, -LARGEST, LARGEST)
        with np.errstate(all="ignore"):
            y = np.log10(y)
        return np.where(np.isfinite(y), y, np.nan)

    def _set_range(self) -> None:
        """All steps, with an end that moves in few jumps."""
        last = steady(max(self._length, *(len(overlay.source) for overlay in self._overlays), 10))
        width = max(self._box.width(), 60.0)
        room = last * TAG_ROOM / (width - TAG_ROOM) if self._tagged else 0.0
        wanted = [0.0, last + room]
        self._box.setLimits(xMin=0, xMax=wanted[1], minXRange=min(4, last))
        if self._box.viewRange()[0] != wanted:
            self._box.setXRange(*wanted, padding=0)
            self._empty.setPos(wanted[1] / 2, sum(self._box.viewRange()[1]) / 2)

    def _set_value_range(self, low: float, high: float) -> None:
        if self._box.viewRange()[1] != [low, high]:
            self._box.setYRange(low, high, padding=0)
            self._empty.setPos(sum(self._box.viewRange()[0]) / 2, (low + high) / 2)

    def _place_tags(self, ends: list[tuple[float, float]]) -> None:
        """Write each curve's tag at its end, pushed apart where they would overlap; left out where they cannot fit."""
        (left, right), (low, high) = self._box.viewRange()
        gap = (high - low) / max(self._box.height(), 1.0) * QFontMetricsF(small_font()).height() * 0.8
        tagged = [
            (y, x, c.tag) for (x, y), c in zip(ends, self._curves, strict=True) if c.series.tag and math.isfinite(y)
        ]
        every = -(-len(tagged) // max(1, int((high - low) / gap)))
        shown = sorted(tagged[:: max(every, 1)], key=lambda end: end[0])
        places = spread([y for y, _, _ in shown], gap, low + gap / 2, high - gap / 2)
        seen = {id(tag) for _, x, tag in shown if x > left}
        for curve in self._curves:
            curve.tag.setVisible(id(curve.tag) in seen)
        for place, (_, x, tag) in zip(places, shown, strict=True):
            tag.setAnchor((0 if x <= right else 1, 0.5))
            tag.setPos(min(x, right), place)

    # --- the user -----------------------------------------------------------------------------

    def _on_zoomed(self, *_: Any) -> None:
        left, right = self._box.viewRange()[0]
        everything = left <= 0 and right >= steady(max(self._length, 10))
        self._zoomed = not everything
        self._draw()

    def show_pointed(self, step: int | None) -> None:
        """A line at the step that is pointed at, or none."""
        self._step = step
        self._cursor.setVisible(step is not None)
        if step is not None:
            self._cursor.setValue(step)

    def _point(self, step: int | None) -> None:
        if step != self._step:
            self.show_pointed(step)
            self.pointed.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Look at the nearest step."""
        super().mouseMoveEvent(event)
        scene = self.mapToScene(event.position().toPoint())
        if self._length and self._box.sceneBoundingRect().contains(scene):
            x = self._box.mapSceneToView(QPointF(scene)).x()
            self._point(min(max(round(x), 1), self._length))
        else:
            self._point(None)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """The beginning of a click, or of a drag."""
        super().mousePressEvent(event)
        self._pressed = event.position() if event.button() == Qt.MouseButton.LeftButton else None

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click, where the pointer has not moved."""
        super().mouseReleaseEvent(event)
        pressed, self._pressed = self._pressed, None
        if pressed is not None and (event.position() - pressed).manhattanLength() <= STILL and self._step is not None:
            self.clicked.emit(self._step)

    def leaveEvent(self, event: QEvent) -> None:
        """Look at no step."""
        super().leaveEvent(event)
        self._point(None)

    def hideEvent(self, event: QHideEvent) -> None:
        """Look at no step."""
        super().hideEvent(event)
        self._point(None)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show all."""
        event.accept()
        self.show_all()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """+ and − zoom, 0 shows all."""
        factor = {"+": 0.7, "=": 0.7, "-": 1 / 0.7, "−": 1 / 0.7}.get(event.text())
        if factor is not None:
            self._box.scaleBy((factor, 1.0), center=self._zoom_centre())
            self._on_zoomed()
        elif event.key() == Qt.Key.Key_0:
            self.show_all()
        else:
            event.ignore()

    def _zoom_centre(self) -> Any:
        (left, right), (low, high) = self._box.viewRange()
        return pg.Point(self._step or min(self._length, (left + right) / 2), (low + high) / 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """As many points as pixels."""
        super().resizeEvent(event)
        if self._curves:
            self._draw()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme and the font size."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange) and hasattr(self, "_empty"):
            self._restyle()

    def _restyle(self) -> None:
        theme = themes.current()
        themes.restyle(self, theme)
        item = self.getPlotItem()
        item.getAxis("left").setPen(pen(theme.color("line")))
        item.getAxis("left").fit_text("100 %" if self._scale == "percent" else "0.0005")
        item.getAxis("bottom").fit_text("")
        self._cursor.setPen(pen(theme.color("muted")))
        self._here.setPen(pen(theme.color("text"), style=Qt.PenStyle.DotLine))
        self._lost.setPen(pen(theme.color("bad")))
        self._marks.setPen(pg.mkPen(theme.color("bad"), width=2))
        self._lost_text.setColor(theme.bad_text)
        self._empty.setColor(theme.muted)
        for curve in self._curves:
            curve.restyle()
        for overlay in self._overlays:
            overlay.restyle()
