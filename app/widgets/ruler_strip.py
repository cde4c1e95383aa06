"""A colour bar that lies: the colours of a ruler with the values at its ends, as wide as there is room."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from app import theme as themes
from app.widgets.picture import Ruler, compact

THICK = 7  # pixels of the bar


class RulerStrip(QWidget):
    """`magnitude`: one-sided, from the ruler's floor to its limit; else from −limit to +limit.

    `marks` are values that get a tick of their own.
    """

    def __init__(
        self, parent: QWidget | None = None, *, name: str, magnitude: bool = False, marks: tuple[float, ...] = ()
    ) -> None:
        super().__init__(parent)
        self._ruler: Ruler | None = None
        self._magnitude, self._marks = magnitude, marks
        self.setAccessibleName(name)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_ruler(self, ruler: Ruler | None) -> None:
        """What the colours mean; nothing while there are none."""
        if ruler != self._ruler:
            self._ruler = ruler
            self.setToolTip(f"full colour at {ruler.label}" if ruler and not self._magnitude else self.toolTip())
            self.update()

    @property
    def ruler(self) -> Ruler | None:
        """The ruler shown."""
        return self._ruler

    def font_of_labels(self) -> QFont:
        """Small figures."""
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.84)
        return font

    def sizeHint(self) -> QSize:
        """The bar, and one line of text."""
        return QSize(80, THICK + 3 + QFontMetrics(self.font_of_labels()).height())

    def changeEvent(self, event: QEvent) -> None:
        """Follow theme and font size."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self.updateGeometry()
            self.update()

    def labels(self) -> tuple[tuple[float, str], ...]:
        """Places from 0 to 1 along the bar, and what stands there."""
        ruler = self._ruler
        if ruler is None:
            return ()
        if self._magnitude:
            return (0.0, compact(ruler.floor)), (1.0, compact(ruler.limit))
        return (0.0, compact(-ruler.limit)), (0.5, "0"), (1.0, f"+{compact(ruler.limit)}")

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bar, its ticks and their texts; what has no room is left out."""
        ruler = self._ruler
        if ruler is None:
            return
        theme, painter = themes.current(), QPainter(self)
        painter.setFont(self.font_of_labels())
        bar = QRectF(0, 0, self.width(), THICK)
        if self._magnitude:
            values = np.geomspace(ruler.floor, ruler.limit, 128, dtype=np.float32)[None]
        else:
            values = np.linspace(-ruler.limit, ruler.limit, 255, dtype=np.float32)[None]
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(bar, ruler.image(values, theme, magnitude=self._magnitude))
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawRect(bar.adjusted(0, 0, -1, -1))
        painter.setPen(QPen(theme.color("muted"), 1))
        self._paint_marks(painter, ruler)
        metrics = painter.fontMetrics()
        labels = self.labels()
        if sum(metrics.horizontalAdvance(text) + 8 for _, text in labels) > self.width():
            labels = (labels[0], labels[-1])
        for place, text in labels:
            wide = metrics.horizontalAdvance(text) + 2
            left = min(max(place * self.width() - wide / 2, 0), self.width() - wide)
            painter.drawText(QRectF(left, THICK + 2, wide, metrics.height()), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_marks(self, painter: QPainter, ruler: Ruler) -> None:
        for value in self._marks:
            place = math.log(value / ruler.floor) / math.log(ruler.limit / ruler.floor) if self._magnitude else 0.5
            x = round(place * (self.width() - 1)) + 0.5
            painter.drawLine(QLineF(x, 0, x, THICK + 2))
