"""The colour bar beside a tensor, and along it how many entries have which colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QLineF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.widgets.picture import Ruler, Values, draw_colour_bar

BINS = 51  # of five colours each, so that zero lies in the middle one
TALLEST = 2.5  # times the second most frequent colour: beyond it a bar is cut, and says so
HISTOGRAM = 52  # pixels


class RulerBar(QWidget):
    """A tall colour bar with its ends and zero, and the histogram of the values on the same ruler."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ruler: Ruler | None = None
        self.counts: npt.NDArray[np.int64] | None = None  # from the lowest to the highest value
        self.setAccessibleName("colour bar and histogram")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)

    def show_ruler(self, ruler: Ruler | None) -> None:
        """What the colours mean; nothing while there are none."""
        if ruler != self._ruler:
            self._ruler = ruler
            self.setToolTip(f"{ruler.kind} scale, {ruler.label.removeprefix('log, ')}" if ruler else "")
            self.update()

    def show_counts(self, values: Values | None) -> None:
        """Count these values, or none: of a reduced picture a histogram would lie."""
        if values is None or self._ruler is None:
            self.counts = None
        else:
            image = self._ruler.image(values, themes.current())
            lines: npt.NDArray[np.uint8] = np.frombuffer(image.constBits(), np.uint8)
            lines = lines.reshape(image.height(), image.bytesPerLine())[:, : image.width()]
            found = np.bincount(lines.ravel(), minlength=256)[1:]  # the first is what is no number
            self.counts = found.reshape(BINS, -1).sum(axis=1)
        self.update()

    def sizeHint(self) -> QSize:
        """Bar, texts, histogram."""
        return QSize(17 + self.fontMetrics().horizontalAdvance("+0.0005") + 8 + HISTOGRAM, 120)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The bar at the left, the histogram at the right."""
        if self._ruler is None:
            return
        theme, painter = themes.current(), QPainter(self)
        painter.setFont(themes.tabular(self.font()))
        tall = min(self.width() - HISTOGRAM, self.height() - 1)  # a wide one would lie down
        draw_colour_bar(painter, QRectF(0, 0, tall, self.height()), self._ruler, theme)
        left = self.width() - HISTOGRAM + 0.5
        painter.setPen(QPen(theme.color("line"), 1))
        painter.drawLine(QLineF(left, 0, left, self.height()))
        if self.counts is not None:
            self._paint_counts(painter, left + 1, HISTOGRAM - 3.0)

    def _paint_counts(self, painter: QPainter, left: float, room: float) -> None:
        theme, counts = themes.current(), self.counts
        assert counts is not None
        second = int(np.partition(counts, -2)[-2])
        tallest = min(int(counts.max()), int(TALLEST * second)) if second else int(counts.max())
        step = self.height() / BINS
        painter.setPen(Qt.PenStyle.NoPen)
        for place, number in enumerate(counts[::-1].tolist()):
            if number:
                length = max(1.0, min(1.0, number / tallest) * room)
                bar = QRectF(left, place * step, length, max(step - 0.8, 1))
                painter.fillRect(bar, theme.color("muted"))
                if number > tallest:
                    self._cut(painter, bar)

    def _cut(self, painter: QPainter, bar: QRectF) -> None:
        """A gap near the end of a bar that is longer than there is room for."""
        painter.fillRect(QRectF(bar.right() - 9, bar.top() - 0.5, 3, bar.height() + 1), themes.current().color("panel"))
