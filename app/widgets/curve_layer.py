"""Everything that moves in a plot, painted as one item: curves, their dots, the tags at their ends, marked steps.

An item for each curve would cost many times more: pyqtgraph asks every one for its bounds and transforms at every
change, and strokes the extremes of a thinned curve where a filled band shows the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QImage, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QGraphicsObject

from app import theme as themes
from app.widgets.bands import Bands, picture
from app.widgets.curve_data import Array, Thinned
from app.widgets.series import small_font, spread
from app.widgets.sharpness import pixel_ratio

import pyqtgraph as pg  # isort: skip  (after PySide6, or it may choose another Qt)

FAR = 20_000.0  # pixels beyond the edge that nothing is drawn at: the painter's numbers end
MARK = 9  # pixels: how high a mark on the time axis is
GAP = 4.0  # pixels between a curve's end and its tag
APART = 1.5  # dots: how far one is from the next at least, on the average
FINE = 12  # curves up to which bands are as fine as the screen; with more, every second pixel


class Look(NamedTuple):
    """How a curve is painted."""

    color: QColor
    width: float = 1.0
    alpha: int = 255
    style: Qt.PenStyle = Qt.PenStyle.SolidLine
    dots: float = 0.0  # pixels across, where they are far enough apart to be told from each other
    smooth: bool = True


class Shape(NamedTuple):
    """A curve as it is to be painted: its points, y on the plot's scale, one of those read together or alone."""

    points: Thinned
    place: int | None
    look: Look


class Pixels(NamedTuple):
    """Points where they are on screen."""

    x: Array
    y: Array
    low: Array
    high: Array


class Tag(NamedTuple):
    """A text at the end of a curve; `inside`: left of it, where beyond the end there is no room of its own."""

    text: str
    color: QColor
    x: float
    y: float
    inside: bool = False


class CurveLayer(QGraphicsObject):
    """Lies in a plot's view box and is as large; maps steps and values to pixels itself."""

    def __init__(self, box: Any) -> None:
        super().__init__(box)
        self._shapes: list[Shape] = []
        self._tags: list[Tag] = []
        self._marked = np.empty(0)
        self._mapped: object = None
        self._lines: list[tuple[Shape, list[QPolygonF]]] = []
        self._bands: tuple[QImage, QRectF] | None = None
        self.placed: list[tuple[Tag, QPointF]] = []  # the tags that have room, and their middle left or right ends
        self.setZValue(-1)  # behind the lines at the pointer and where the run stands
        box.sigResized.connect(self._on_resized)
        box.sigRangeChanged.connect(self._on_range)

    @property
    def _box(self) -> Any:
        """The view box; held here too, box and layer would hold each other, and break when their plot is deleted."""
        return self.parentItem()

    def show_curves(self, shapes: list[Shape], tags: list[Tag], marked: Array) -> None:
        """Paint these from now on, the last above all others."""
        self._shapes, self._tags, self._marked, self._mapped = shapes, tags, marked, None
        self.update()

    def boundingRect(self) -> QRectF:
        """All of the view box."""
        rect: QRectF = self._box.rect()
        return rect

    def _on_resized(self, _: object) -> None:
        self.prepareGeometryChange()

    def _on_range(self, *_: object) -> None:
        self.update()

    # --- from steps and values to pixels ----------------------------------------------------------

    def refresh(self) -> None:
        """Map everything for the present range and size, unless that is done."""
        now = (self._box.viewRange(), self._box.width(), self._box.height(), self._ratio())
        if self._mapped != now:
            self._mapped = now
            distinct = {id(shape.points): shape.points for shape in self._shapes}
            pixels = {key: self._pixels_of(points) for key, points in distinct.items()}
            self._lines = [(shape, _lines(pixels[id(shape.points)], shape.place)) for shape in self._shapes]
            self._bands = self._picture_of_bands(pixels)
            self.placed = self._place_tags()

    def _x(self, x: Array) -> Array:
        left, right = self._box.viewRange()[0]
        return np.asarray((x - left) * (self._box.width() / (right - left)))

    def _y(self, y: Array) -> Array:
        low, high = self._box.viewRange()[1]
        y = (high - y) * (self._box.height() / (high - low))
        return np.minimum(np.maximum(y, -FAR, out=y), FAR, out=y)

    def _pixels_of(self, points: Thinned) -> Pixels:
        x, y = points.line
        extremes = self._y(points.y) if len(points.mean_x) else points.y[..., :0]
        return Pixels(self._x(x), self._y(y), extremes[..., ::2], extremes[..., 1::2])

    def _picture_of_bands(self, pixels: dict[int, Pixels]) -> tuple[QImage, QRectF] | None:
        """Of the curves that are thinned, and where it lies; nothing where there are none."""
        ratio = self._ratio() if len(self._shapes) <= FINE else self._ratio() / 2
        groups = []
        for key, found in pixels.items():
            shapes = [shape for shape in self._shapes if id(shape.points) == key]
            if found.low.shape[-1]:
                places = [shape.place or 0 for shape in shapes]
                low, high = (np.atleast_2d(part)[places] * ratio for part in (found.low, found.high))
                groups.append(Bands(found.x * ratio, low, high, tuple(shape.look.color for shape in shapes)))
        size = round(self._box.width() * ratio), round(self._box.height() * ratio)
        made = picture(groups, *size) if groups and min(size) > 0 else None
        if made is None:
            return None
        image, row = made
        return image, QRectF(0, row / ratio, image.width() / ratio, image.height() / ratio)

    def _ratio(self) -> float:
        views = self.scene().views() if self.scene() is not None else []
        return pixel_ratio(views[0]) if views else 1.0

    def _place_tags(self) -> list[tuple[Tag, QPointF]]:
        """Tags at their curves' ends, pushed apart where they would overlap; left out where they cannot all fit."""
        placed: list[tuple[Tag, QPointF]] = []
        gap, high = QFontMetricsF(small_font()).height() * 0.8, float(self._box.height())
        for inside in (False, True):
            tags = [t for t in self._tags if t.inside == inside]
            ends = zip(
                tags, self._x(np.array([t.x for t in tags])), self._y(np.array([t.y for t in tags])), strict=True
            )
            seen = sorted((e for e in ends if e[1] >= 0), key=lambda end: float(end[2]))
            seen = seen[:: max(1, -(-len(seen) // max(1, int(high / gap))))]
            places = spread([float(y) for _, _, y in seen], gap, gap / 2, high - gap / 2)
            placed += [
                (tag, QPointF(min(float(x), self._box.width()), y)) for (tag, x, _), y in zip(seen, places, strict=True)
            ]
        return placed

    @property
    def marks(self) -> Array:
        """The marked steps, of those on one pixel the first."""
        left, right = self._box.viewRange()[0]
        inside = self._marked[(self._marked >= left) & (self._marked <= right)]
        return np.asarray(inside[np.unique(self._x(inside).astype(np.int64), return_index=True)[1]])

    # --- painting ---------------------------------------------------------------------------------

    def paint(self, painter: QPainter, *_: Any) -> None:
        """All bands, lines and dots curve by curve, then tags and marks."""
        self.refresh()
        painter.save()
        painter.setClipRect(self.boundingRect())
        if self._bands is not None:
            image, place = self._bands
            painter.drawImage(place, image)
        stroke = themes.stroke()
        for shape, lines in self._lines:
            _paint_line(painter, shape, lines, stroke)
        self._paint_tags(painter)
        if len(self._marked):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(QPen(themes.current().color("bad"), 2))
            low = self._box.height()
            painter.drawLines([QLineF(x, low - MARK, x, low) for x in self._x(self.marks).tolist()])
        painter.restore()

    def _paint_tags(self, painter: QPainter) -> None:
        font, paper = small_font(), themes.current().color("panel")
        metrics = QFontMetricsF(font)
        paper.setAlpha(190)
        painter.setFont(font)
        for tag, end in self.placed:
            width, height = metrics.horizontalAdvance(tag.text), metrics.height() * 0.8
            left = end.x() - width - GAP if tag.inside or end.x() + GAP + width > self._box.width() else end.x() + GAP
            box = QRectF(left, end.y() - height / 2, width, height)
            if tag.inside:
                painter.fillRect(box, paper)
            painter.setPen(tag.color)
            painter.drawText(box, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextDontClip, tag.text)


def _paint_line(painter: QPainter, shape: Shape, lines: list[QPolygonF], stroke: float) -> None:
    look = shape.look
    colour = QColor(look.color)
    colour.setAlpha(look.alpha)
    painter.setPen(QPen(colour, look.width * stroke, look.style))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, look.smooth)
    for line in lines:
        painter.drawPolyline(line)
    if look.dots and lines and _are_apart(lines, look.dots):
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(colour, look.dots, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        for line in lines:
            painter.drawPoints(line)


def _are_apart(lines: list[QPolygonF], size: float) -> bool:
    """Whether dots of a size, one at each point of a curve's pieces, would not melt into a line."""
    count, width = sum(line.size() for line in lines), lines[-1].last().x() - lines[0].first().x()
    return bool(width >= (count - 1) * APART * size)


def _lines(pixels: Pixels, place: int | None) -> list[QPolygonF]:
    """A curve's line, from gap to gap."""
    x, y = pixels.x, pixels.y if place is None else pixels.y[place]
    return [_polygon(x[a:b], y[a:b]) if b - a > 1 else _dash(x[a], y[a]) for a, b in _pieces(y)]


def _pieces(y: Array) -> Iterator[tuple[int, int]]:
    """Where a curve runs without a gap: first point, and the one after the last."""
    finite = np.isfinite(y)
    if finite.all():
        return iter([(0, len(y))] if len(y) else [])
    edges = np.flatnonzero(np.diff(finite.astype(np.int8), prepend=0, append=0)).tolist()
    return iter(list(zip(edges[::2], edges[1::2], strict=True)))


def _polygon(x: Array, y: Array) -> QPolygonF:
    polygon: QPolygonF = pg.functions.arrayToQPolygonF(x, y)
    return polygon


def _dash(x: float, y: float) -> QPolygonF:
    """A single point is seen too."""
    return _polygon(np.array([x - 1.0, x + 1.0]), np.array([y, y]))
