"""What each sample of the mini-batch adds to one cell of a gradient, as bars up and down."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QLineF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app import theme as themes
from app.widgets.numbers import signed


class PullBars(QWidget):
    """One bar a sample: up in blue, down in orange; `pointed` tells the sample under the pointer."""

    pointed = Signal(object)  # int, or None

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pulls = np.zeros(0)
        self.setAccessibleName("pull of each sample")
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_pulls(self, pulls: tuple[float, ...]) -> None:
        """Show these, one a sample; nothing where there are none."""
        self.pulls = np.array(pulls)
        self.setVisible(bool(pulls))
        self.update()

    def sizeHint(self) -> QSize:
        """Two lines of text high."""
        return QSize(120, 2 * self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars from the line of zero."""
        theme, painter, count = themes.current(), QPainter(self), len(self.pulls)
        finite = np.where(np.isfinite(self.pulls), self.pulls, 0.0)
        largest = float(np.abs(finite).max(initial=0.0))
        middle, width = self.height() / 2, self.width() / max(count, 1)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, pull in enumerate(finite.tolist() if largest > 0 else ()):
            tall = (middle - 2) * pull / largest
            painter.setBrush(theme.color("forward" if pull > 0 else "backward"))
            painter.drawRect(QRectF(number * width, middle - max(tall, 0), max(width - 1, 1), abs(tall)))
        painter.setPen(QPen(theme.color("muted"), 1))
        painter.drawLine(QLineF(0, middle, self.width(), middle))

    def _at(self, x: float) -> int | None:
        number = int(x * len(self.pulls) / max(self.width(), 1))
        return number if 0 <= number < len(self.pulls) else None

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Tell the sample."""
        self.pointed.emit(self._at(event.position().x()))

    def leaveEvent(self, event: QEvent) -> None:
        """No sample."""
        super().leaveEvent(event)
        self.pointed.emit(None)

    def event(self, event: QEvent) -> bool:
        """Tell the number under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self._at(event.pos().x())
            text = (
                "" if number is None else f"sample {number} of the mini-batch adds {signed(float(self.pulls[number]))}"
            )
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)
