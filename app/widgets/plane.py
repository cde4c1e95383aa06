"""Points in the plane over what the network believes of the plane around them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QTransform,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from app import theme as themes
from app.theme import Theme
from app.widgets.sharpness import pixel_ratio

Extent = tuple[float, float, float, float]  # left, right, bottom, top
STRENGTH = 0.62  # of a class's colour where the network is certain; its points have the full colour
BARE = 12  # lines of text; a lower plane has no numbers around it
USUAL = 180.0  # pixels of a plane's side from where on marks have their full size
NEAR = 12.0  # pixels between the pointer and a point it means
MOST_RINGS = 256


class Plane(QWidget):
    """The decision boundary as a soft image in the colours of the classes, and the training points over it."""

    def __init__(self, parent: QWidget | None = None, *, part: str = "training") -> None:
        super().__init__(parent)
        self.part = part  # of the data that the points are of
        self._extent: Extent = (-1.0, 1.0, -1.0, 1.0)
        self._classes: tuple[str, ...] = ()
        self._beliefs: NDArray[Any] | None = None  # (n·n, K)
        self._points: NDArray[Any] = np.zeros((0, 3))
        self._ringed: NDArray[Any] = np.zeros((0, 2))
        self._image = QImage()
        self._overlay: QPixmap | None = None  # points and scales: they stay while the boundary moves
        self.setAccessibleName(f"Decision boundary and {part} points")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def set_plane(self, extent: Extent, classes: Sequence[str]) -> None:
        """Show another part of the plane, and forget what was shown."""
        self._extent, self._classes = extent, tuple(classes)
        self._beliefs, self._image = None, QImage()
        self._points, self._ringed = np.zeros((0, 3)), np.zeros((0, 2))
        self._overlay = None
        self.update()

    def show_beliefs(self, beliefs: NDArray[Any] | None) -> None:
        """Show what the network believes on a square grid, from the top left: (n·n, K)."""
        self._beliefs = beliefs
        self._image = QImage() if beliefs is None else belief_image(beliefs, themes.current())
        self.update()

    def show_points(self, points: NDArray[Any], ringed: NDArray[Any] | None = None) -> None:
        """Show points as rows x, y, class; `ringed`: rows x, y of those in the mini-batch."""
        if points.shape != self._points.shape or not np.array_equal(points, self._points):
            self._points, self._overlay = points, None
        self._ringed = np.zeros((0, 2)) if ringed is None else ringed[:MOST_RINGS]
        self.update()

    # --- geometry -----------------------------------------------------------------------------

    def plot_rect(self) -> QRect:
        """Where the plane is drawn: a square, with room for the numbers left of it and below."""
        metrics, space = QFontMetrics(self._font()), self.rect()
        if self._bare:
            side = min(space.width(), space.height()) - 4
            return QRect((space.width() - side) // 2, 2, side, side)
        left = max(metrics.horizontalAdvance(number) for number in self._numbers()[2:]) + 6
        side = max(24, min(space.width() - left - 4, space.height() - metrics.height() - 8))
        across = left + (space.width() - left - 4 - side) // 2
        return QRect(across, 4, side, side)

    def to_pixels(self, xy: NDArray[Any]) -> NDArray[np.float64]:
        """Rows x, y of the plane as pixels of the widget."""
        plot, (left, right, bottom, top) = self.plot_rect(), self._extent
        scale = np.array([plot.width() / (right - left), plot.height() / (bottom - top)])
        result: NDArray[np.float64] = (xy - np.array([left, top])) * scale + np.array([plot.left(), plot.top()])
        return result

    def point_at(self, place: QPointF) -> int | None:
        """The number of the training point near a place of the widget."""
        if not len(self._points):
            return None
        distance = np.hypot(*(self.to_pixels(self._points[:, :2]) - [place.x(), place.y()]).T)
        nearest = int(distance.argmin())
        return nearest if distance[nearest] <= NEAR else None

    @property
    def _bare(self) -> bool:
        """Whether it is too low for numbers at its edges."""
        return self.height() < BARE * QFontMetrics(self._font()).height()

    def _numbers(self) -> list[str]:
        return [f"{value:.2g}".replace("-", "−") for value in self._extent]

    def _font(self) -> Any:
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, plot = themes.current(), self.plot_rect()
        painter = QPainter(self)
        if not self._image.isNull():
            half = plot.width() / (self._image.width() - 1) / 2  # the outermost cells lie on the edges
            painter.setClipRect(plot)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(QRectF(plot).adjusted(-half, -half, half, half), self._image)
            painter.setClipping(False)
        if self._overlay is None or self._overlay.size() != self.size() * pixel_ratio(self):
            self._overlay = self._draw_overlay(theme)
        painter.drawPixmap(0, 0, self._overlay)
        if len(self._ringed):
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(theme.color("text"), 1.5))
            for x, y in self.to_pixels(self._ringed).tolist():
                painter.drawEllipse(QPointF(x, y), 6.0 * self._mark_size, 6.0 * self._mark_size)

    def _draw_overlay(self, theme: Theme) -> QPixmap:
        ratio = pixel_ratio(self)
        overlay = QPixmap(self.size() * ratio)
        overlay.setDevicePixelRatio(ratio)
        overlay.fill(Qt.GlobalColor.transparent)
        painter = QPainter(overlay)
        plot = self.plot_rect()
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawRect(plot.adjusted(0, 0, -1, -1))
        if not self._bare:
            self._draw_scales(painter, theme, plot)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(plot)
        self._draw_points(painter, theme)
        painter.end()
        return overlay

    def _draw_scales(self, painter: QPainter, theme: Theme, plot: QRect) -> None:
        painter.setFont(self._font())
        painter.setPen(theme.color("muted"))
        left, right, bottom, top = self._numbers()
        height = QFontMetrics(self._font()).height()
        below = QRect(plot.left(), plot.bottom() + 3, plot.width(), height)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, left)
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, right)
        beside = QRect(0, plot.top(), plot.left() - 4, plot.height())
        painter.drawText(beside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop, top)
        painter.drawText(beside, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignBottom, bottom)
        self._draw_legend(painter, theme, below)

    def _draw_legend(self, painter: QPainter, theme: Theme, below: QRect) -> None:
        """The classes' marks and names between the numbers, where there is room."""
        metrics = QFontMetrics(self._font())
        widths = [metrics.horizontalAdvance(name) + 22 for name in self._classes]
        free = below.width() - 2 * max(metrics.horizontalAdvance(n) for n in self._numbers()[:2]) - 12
        if sum(widths) > free:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = below.left() + (below.width() - sum(widths)) / 2 + 8
        for k, (name, width) in enumerate(zip(self._classes, widths, strict=True)):
            self._draw_mark(painter, theme, k, QPointF(x, below.center().y() + 0.5))
            painter.setPen(theme.color("muted"))
            painter.drawText(QPointF(x + 8, below.top() + metrics.ascent()), name)
            x += width
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _draw_points(self, painter: QPainter, theme: Theme) -> None:
        places, size = self.to_pixels(self._points[:, :2]), self._mark_size
        for (x, y), k in zip(places.tolist(), self._points[:, 2].astype(int).tolist(), strict=True):
            self._draw_mark(painter, theme, k, QPointF(x, y), size)

    @property
    def _mark_size(self) -> float:
        """How large marks are drawn: smaller in a small plane."""
        return min(1.0, max(0.5, self.plot_rect().width() / USUAL))

    def _draw_mark(self, painter: QPainter, theme: Theme, k: int, place: QPointF, size: float = 1.0) -> None:
        colours, outline = class_colours(theme), theme.color("panel")
        painter.setPen(QPen(outline, 1))
        painter.setBrush(QColor(colours[k % len(colours)]))
        painter.drawPath(QTransform.fromScale(size, size).map(_mark(k % 4)).translated(place))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._overlay = None
            self.show_beliefs(self._beliefs)

    def sizeHint(self) -> QSize:
        return QSize(220, 220)

    def minimumSizeHint(self) -> QSize:
        return QSize(100, 100)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.point_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), "" if number is None else self._sentence(number), self)
            return True
        return super().event(event)

    def _sentence(self, number: int) -> str:
        x, y, k = self._points[number].tolist()
        name = self._classes[int(k)] if int(k) < len(self._classes) else str(int(k))
        return f"{self.part} sample {number}: x₀ = {x:.4g}, x₁ = {y:.4g}, class {name}".replace("-", "−")


def class_colours(theme: Theme) -> tuple[str, ...]:
    """A colour for each class, in turn: blue, orange, then those of the curves."""
    rest = [colour for colour in theme.series if colour not in (theme.forward, theme.backward)]
    return (theme.forward, theme.backward, *rest)


def belief_image(beliefs: NDArray[Any], theme: Theme) -> QImage:
    """(n·n, K) beliefs as n × n pixels: the likeliest class's colour, the fainter the less sure, none at a tie."""
    if beliefs.shape[1] == 1:
        beliefs = np.hstack([1 - beliefs, beliefs])  # one output: class 1 or, where it is small, class 0
    k, size = beliefs.shape[1], round(beliefs.shape[0] ** 0.5)
    likeliest = beliefs.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        second, first = np.partition(beliefs, -2, axis=1)[:, -2:].T
        strength = np.clip(np.nan_to_num(first - second), 0.0, 1.0)
    table = _colour_table(theme, k)
    pixels = table[likeliest, (strength * 255).astype(np.intp)]
    return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_RGB32).copy()


@lru_cache(maxsize=16)
def _colour_table(theme: Theme, k: int) -> NDArray[np.uint32]:
    """(K, 256) colours from the panel's to each class's."""
    colours = class_colours(theme)
    paper = QColor(theme.panel)
    table = np.empty((k, 256), np.uint32)
    part = np.linspace(0.0, STRENGTH, 256)
    for number in range(k):
        full = QColor(colours[number % len(colours)])
        channels = [
            np.rint(a + part * (b - a)).astype(np.uint32)
            for a, b in (
                (paper.red(), full.red()),
                (paper.green(), full.green()),
                (paper.blue(), full.blue()),
            )
        ]
        table[number] = 0xFF000000 | channels[0] << 16 | channels[1] << 8 | channels[2]
    return table


@lru_cache(maxsize=4)
def _mark(shape: int) -> QPainterPath:
    """Circle, square, triangle, diamond: classes are told apart by more than colour."""
    path = QPainterPath()
    if shape == 0:
        path.addEllipse(QPointF(0, 0), 3.5, 3.5)
    elif shape == 1:
        path.addRect(QRectF(-3.1, -3.1, 6.2, 6.2))
    else:
        corners = [(0, -4.2), (4.0, 3.2), (-4.0, 3.2)] if shape == 2 else [(0, -4.4), (4.4, 0), (0, 4.4), (-4.4, 0)]
        path.addPolygon([QPointF(x, y) for x, y in corners])
        path.closeSubpath()
    return path
