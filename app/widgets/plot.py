"""Curves over steps: decimated, on steady axes, with the exact values of the step under the pointer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from PySide6.QtCore import QEvent, QPointF, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QHideEvent, QKeyEvent, QMouseEvent, QResizeEvent

from app import theme as themes
from app.widgets.axes import ALL_DECADES, DECADES, LARGEST, Scale, StepAxis, ValueAxis, limits, pen, steady
from app.widgets.curve_data import Array, Row, Sparse, Thinned
from app.widgets.curve_layer import GAP, CurveLayer, Look, Shape, Tag
from app.widgets.key import series_color
from app.widgets.series import Overlay, Series, Source, small_font

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

TAG_ROOM = 20  # pixels kept right of the last step for the curves' tags, at least
STILL = 4  # pixels that a click may move
FEW_CURVES = 12  # up to here curves have soft edges and as many points as pixels
LAST = 8  # points at a curve's end that a tag stands at the height of
DOTS, SMALL_DOTS = 5.0, 4.0  # pixels across
FAINT, BEHIND = 110, 190  # how much is seen, of 255, of a curve behind its mean and of another path's
NOT_ON_LOG = "0 or less: left out"
STRONG = 2.0  # times as wide as a plain curve


class StepPlot(pg.PlotWidget):
    """Some curves over steps on one scale. Wheel and drag zoom in time; a double click shows all again.

    `redraw(length)` takes in what is new; `pointed` says that the step under the pointer is another one.
    """

    key_help: ClassVar = (("+, −, 0", "Closer, farther, all"),)

    pointed = Signal()
    clicked = Signal(int)  # the step under a click that was no drag

    def __init__(self, scale: Scale, name: str, empty: str) -> None:
        self._scale, self._decades = scale, DECADES
        self._series: tuple[Series, ...] = ()
        self._overlays: tuple[Overlay, ...] = ()
        self._points: list[Thinned] = []
        self._looks: list[Look] = []
        self._pressed: QPointF | None = None
        self._tag_room = 0
        self._length = 0
        self._zoomed = False
        self._step: int | None = None
        self._is_empty = True
        super().__init__(axisItems={"left": ValueAxis(scale), "bottom": StepAxis("bottom")}, enableMenu=False)
        self.setAccessibleName(name)
        self.setToolTip("The mouse wheel zooms in time, dragging moves; a double click or 0 shows all; + and − zoom")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(90, 60)
        item = self.getPlotItem()
        item.ctrlMenu.setParent(self, item.ctrlMenu.windowFlags())  # pyqtgraph gives it none: nobody would delete it
        item.hideButtons()
        item.disableAutoRange()
        item.layout.setContentsMargins(0, 7, 10, 0)
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
        self._left_out = pg.TextItem(NOT_ON_LOG, anchor=(0, 1))
        self._marked = np.zeros(0)
        self._limits: object = None
        self._layer = CurveLayer(self._box)
        self._nothing = empty
        self._empty = pg.TextItem(empty, anchor=(0.5, 0.5))
        for item in (self._here, self._cursor, self._lost, self._lost_text, self._left_out, self._empty):
            item.setVisible(item is self._empty)
            self.addItem(item, ignoreBounds=True)

    # --- what is shown ------------------------------------------------------------------------

    def set_series(self, series: tuple[Series, ...], length: int) -> None:
        """Show these curves from now on, the table's rows up to `length`."""
        self._zoomed = False
        self._series = series
        self._dress()
        self.redraw(length)

    def _dress(self) -> None:
        """The looks of the curves, and the pixels that their tags need right of the last step."""
        self._looks = [self._look_of(series) for series in self._series]
        metrics = QFontMetricsF(small_font())
        widths = [metrics.horizontalAdvance(s.tag) for s in self._series if s.tag]
        self._tag_room = max(TAG_ROOM, round(max(widths) + 2 * GAP)) if widths else 0

    def set_scale(self, scale: Scale) -> None:
        """Show all values on another scale, however many decades there are; says what a log scale leaves out."""
        self._scale, self._decades = scale, ALL_DECADES
        self.getPlotItem().getAxis("left").set_scale(scale)
        self._draw()

    @property
    def note(self) -> str:
        """What it says of values that are not on its scale."""
        return NOT_ON_LOG if self._left_out.isVisible() else ""

    def set_overlays(self, overlays: tuple[Overlay, ...]) -> None:
        """Lay other paths' curves over these from now on; those that were there keep what they have read."""
        before = {overlay.reads: overlay for overlay in self._overlays}
        self._overlays = tuple(
            replace(before.get(new.reads, new), name=new.name, color=new.color, length=new.length) for new in overlays
        )

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
        return self._series

    @property
    def step(self) -> int | None:
        """The step under the pointer."""
        return self._step

    @property
    def length(self) -> int:
        """How many steps it has taken in."""
        return self._length

    @property
    def zoomed(self) -> bool:
        """Whether a part of the steps is shown, of the user's choice."""
        return self._zoomed

    def drawn(self, number: int) -> tuple[Array, Array]:
        """The points of a curve on screen, its extremes where it is thinned: x in steps, y on the scale."""
        points = self._points[number]
        return points.x, points.y

    def drawn_tags(self) -> list[tuple[str, float]]:
        """The tags on screen, each with its place in pixels from the top."""
        self._layer.refresh()
        return [(tag.text, end.y()) for tag, end in self._layer.placed]

    def redraw(self, length: int) -> None:
        """Take in the table's rows up to `length`, and draw."""
        self._length = length
        for series in self.series:
            series.source.update(length)
        others = [overlay.update() for overlay in self._overlays]
        self._is_empty = max(length, *others, 0) == 0
        self._show_empty()
        self._draw()

    def _show_empty(self) -> None:
        """Say that there is nothing yet, a word a line where there is little room; nothing where that is cut too."""
        self._empty.setText(self._nothing)
        if self._empty.boundingRect().width() > self._box.width():
            self._empty.setText(self._nothing.replace(" ", "\n"))
        self._empty.setVisible(self._is_empty and self._empty.boundingRect().width() <= self._box.width())

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
            self._marked = steps.copy()
            self._draw()

    def marked(self) -> Array:
        """The steps whose marks are on screen, near ones as one."""
        return self._layer.marks

    # --- drawing ------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Set the curves for the steps in view, then the value axis for what the curves show."""
        if not self._zoomed:
            self._set_range()
        left, right = self._box.viewRange()[0]
        pixels = max(50, int(self._box.width() * self.devicePixelRatioF()))
        window = math.floor(left) - 1, math.ceil(right) + 1, pixels
        read: dict[int, Thinned] = {}
        self._not_positive = False
        shapes, tags = self._shapes_of_others(window, read)
        self._points = []
        for series, look in zip(self._series, self._looks, strict=True):
            place = series.source.place if isinstance(series.source, Row) else None
            points = self._thinned(series.source, window, read)
            shapes.append(Shape(points, place, look))
            self._points.append(points if place is None else points.one(place))
            if series.tag:
                tags += _tag(series.tag, look.color, self._points[-1])
        self._set_value_range(*limits(self._scale, *_extremes(read.values()), self._zoomed, self._decades))
        self._left_out.setVisible(self._not_positive and self._decades == ALL_DECADES)
        self._left_out.setPos(left, self._box.viewRange()[1][0])
        self._layer.show_curves(shapes, tags, self._marked)

    def _shapes_of_others(
        self, window: tuple[int, int, int], read: dict[int, Thinned]
    ) -> tuple[list[Shape], list[Tag]]:
        """The curves of the other paths, and their names."""
        shapes: list[Shape] = []
        tags: list[Tag] = []
        for overlay in self._overlays:
            colour = QColor(series_color(overlay.color, themes.current()))
            for source in overlay.sources():
                points = self._thinned(source, window, read)
                points = Thinned(*points.line)  # bands would hide one another
                read[id(source)] = points
                known = source is overlay.validation
                alpha = FAINT if source is overlay.source and overlay.mean is not None else BEHIND
                style = Qt.PenStyle.DashLine if known else Qt.PenStyle.SolidLine
                shapes.append(Shape(points, None, Look(colour, 1.0, alpha, style, SMALL_DOTS if known else 0.0)))
                tags += _tag(overlay.name, colour, points, inside=True) if source is overlay.source else []
        return shapes, tags

    def _thinned(self, source: Source, window: tuple[int, int, int], read: dict[int, Thinned]) -> Thinned:
        """The points in view, on this scale, of a curve or of all that are read with it."""
        table = source.table if isinstance(source, Row) else source
        if id(table) not in read:
            first, last, pixels = window
            most = pixels if len(self._series) > FEW_CURVES else 2 * pixels
            points = table.curve(first, last, most)
            self._not_positive |= self._scale == "log" and bool((points.y <= 0).any())
            points = points.scaled(self._scaled)
            if len(points.x) == 1 and not isinstance(table, Sparse):  # so that the first step is seen
                points = Thinned(points.x[0] + np.array([-0.4, 0.4]), np.repeat(points.y, 2, axis=-1))
            read[id(table)] = points
        return read[id(table)]

    def _look_of(self, series: Series) -> Look:
        return Look(
            QColor(series_color(series.color, themes.current())),
            STRONG if series.weight == "strong" else 1.0,
            FAINT if series.weight == "faint" else 255,
            Qt.PenStyle.DashLine if series.dashed else Qt.PenStyle.SolidLine,
            DOTS if series.markers else 0.0,
            smooth=len(self._series) <= FEW_CURVES,
        )

    def _scaled(self, y: Array) -> Array:
        if self._scale != "log":
            return np.clip(y, -LARGEST, LARGEST)
        with np.errstate(all="ignore"):
            y = np.log10(y)
        return np.where(np.isfinite(y), y, np.nan)

    def _set_range(self) -> None:
        """All steps, with an end that moves in few jumps."""
        last = steady(max(self._length, *(overlay.length() for overlay in self._overlays), 10))
        width = max(self._box.width(), 60.0)
        room = last * self._tag_room / max(width - self._tag_room, TAG_ROOM)
        wanted = [0.0, last + room]
        if self._limits != wanted:
            self._limits = wanted
            self._box.setLimits(xMin=0, xMax=wanted[1], minXRange=min(4, last))
        if self._box.viewRange()[0] != wanted:
            self._box.setXRange(*wanted, padding=0)
            self._empty.setPos(wanted[1] / 2, sum(self._box.viewRange()[1]) / 2)

    def _set_value_range(self, low: float, high: float) -> None:
        if self._box.viewRange()[1] != [low, high]:
            self._box.setYRange(low, high, padding=0)
            self._empty.setPos(sum(self._box.viewRange()[0]) / 2, (low + high) / 2)

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
        if hasattr(self, "_empty"):
            self._show_empty()
        if self._series:
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
        self._lost_text.setColor(theme.bad_text)
        self._empty.setColor(theme.muted)
        self._show_empty()
        self._left_out.setColor(theme.muted)
        self._dress()
        self._draw()


def _extremes(drawn: Iterable[Thinned]) -> tuple[float, float]:
    """The least and the greatest value of all curves; infinite where there is none."""
    low, high = math.inf, -math.inf
    for points in drawn:
        if points.y.size:
            low = min(low, float(np.fmin.reduce(points.y, axis=None, initial=math.inf)))
            high = max(high, float(np.fmax.reduce(points.y, axis=None, initial=-math.inf)))
    return low, high


def _tag(text: str, color: QColor, points: Thinned, *, inside: bool = False) -> list[Tag]:
    """A tag at a curve's end, as high as its last few points; none for a curve without a value."""
    x, y = points.line
    end = y[-LAST:]
    high = float(np.add.reduce(end)) / len(end) if len(end) else math.nan
    if math.isfinite(high):
        return [Tag(text, color, float(x[-1]), high, inside)]
    finite = np.flatnonzero(np.isfinite(y))[-LAST:]
    return [Tag(text, color, float(x[finite[-1]]), float(y[finite].mean()), inside)] if finite.size else []
