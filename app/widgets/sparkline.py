"""A short curve without axes at the end of a list's row."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app import theme as themes
from app.widgets.curve_data import Array

WIDTH = 72  # pixels
POINTS = 72
CURVE = Qt.ItemDataRole.UserRole + 1  # a tuple of heights, 0 … 1, NaN for gaps


def heights(values: Array) -> tuple[float, ...]:
    """A curve's values as heights between their extremes, in as many points as it has pixels; () if none is finite.

    Of the values that fall on one point the last is taken.
    """
    if not np.isfinite(values).any():
        return ()
    places = np.unique(np.linspace(0, len(values) - 1, min(len(values), POINTS)).astype(int))
    chosen = np.where(np.isfinite(values), values, np.nan)[places]
    low, high = np.nanmin(chosen) if np.isfinite(chosen).any() else 0.0, np.nanmax(chosen, initial=-np.inf)
    spread = high - low
    scaled = (
        (chosen - low) / spread if spread > 1e-9 * max(abs(low), abs(high)) else np.where(chosen == chosen, 0.5, chosen)
    )
    return tuple(scaled.tolist())


class SparklineDelegate(QStyledItemDelegate):
    """Draws the row's text, and its curve in the text's colour at the right."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """The text in what the curve leaves."""
        curve, rect = index.data(CURVE), QRect(option.rect)
        if curve:
            option.rect = rect.adjusted(0, 0, -WIDTH - 8, 0)
        super().paint(painter, option, index)
        if curve:
            height = min(rect.height() - 6, 2 * option.fontMetrics.height())
            box = QRectF(rect.right() - WIDTH, rect.center().y() - height / 2, WIDTH - 2, height)
            _draw(painter, box, curve)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """As high as the text needs beside the curve."""
        if index.data(CURVE):
            option.rect = QRect(option.rect).adjusted(0, 0, -WIDTH - 8, 0)
        return super().sizeHint(option, index)


def _draw(painter: QPainter, box: QRectF, curve: tuple[float, ...]) -> None:
    theme = themes.current()
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.fillRect(box, theme.color("field"))
    painter.setPen(QPen(theme.color("backward"), 1.2 * themes.stroke()))
    last = max(len(curve) - 1, 1)
    points = [
        QPointF(box.left() + box.width() * i / last, box.bottom() - 1 - (box.height() - 2) * y)
        for i, y in enumerate(curve)
        if y == y
    ]
    painter.drawPolyline(QPolygonF(points))
    painter.restore()
