"""The colour that a fork has everywhere: in the timeline, its list, and the plots."""

from __future__ import annotations

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap

from app import theme

PLACES = (0, 3, 6, 4, 5, 7)  # in the theme's series; the others are those of validation and penalty


def fork_place(number: int) -> int:
    """The place in the theme's series of the colour of the fork of this number."""
    return PLACES[number % len(PLACES)]


def fork_colour(number: int) -> QColor:
    """The colour of the fork of this number, in the present theme."""
    return QColor(theme.current().series[fork_place(number)])


def fork_icon(number: int, size: int = 14) -> QIcon:
    """A round swatch of a fork's colour."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(fork_colour(number))
    painter.drawEllipse(QRectF(2, 2, size - 4, size - 4))
    painter.end()
    return QIcon(pixmap)
