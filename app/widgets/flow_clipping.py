"""What lies beyond a ruler that does not follow: how much of a tensor, and the mark that tells so."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPolygonF

from app import theme as themes
from app.widgets.picture import Values, compact

CORNER = 9  # pixels of a mark, across and down


@dataclass(frozen=True)
class Beyond:
    """Entries whose size is beyond a ruler's limit."""

    count: int
    greatest: float  # the one of the greatest size, with its sign
    whole: bool = True  # whether all entries were counted: of a reduced picture only its cells are

    @property
    def text(self) -> str:
        """Such as "12 beyond, up to −3.4"."""
        few = "" if self.whole else "≥ "
        return f"{few}{self.count:,} beyond, up to {compact(float(f'{self.greatest:.2g}'))}"


def beyond(values: Values, limit: float, whole: bool) -> Beyond | None:
    """What of these values is beyond ±limit; infinity and NaN have a look of their own and do not count."""
    with np.errstate(all="ignore"):
        if not values.size or (values.max() <= limit and values.min() >= -limit):
            return None
        over = values[np.isfinite(values) & (np.abs(values) > limit)]
    return Beyond(over.size, float(over[np.argmax(np.abs(over))]), whole) if over.size else None


def together(found: Iterable[Beyond]) -> Beyond | None:
    """All of several tensors."""
    each = list(found)
    if not each:
        return None
    greatest = max((one.greatest for one in each), key=abs)
    return Beyond(sum(one.count for one in each), greatest, all(one.whole for one in each))


def draw_corner(painter: QPainter, tile: QRect) -> None:
    """A triangle in the upper right corner of a tile, with an edge that sets it off from any colour."""
    theme, size = themes.current(), min(CORNER * themes.stroke(), tile.width() / 2, tile.height() / 2)
    right, top = tile.right() + 1.0, float(tile.top())
    corner = QPolygonF([QPointF(right - size, top), QPointF(right, top), QPointF(right, top + size)])
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(theme.color("panel"), 1.5))
    painter.setBrush(theme.color("text"))
    painter.drawPolygon(corner)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def draw_told(painter: QPainter, rect: QRectF, found: Beyond, font: QFont, *, to_right: bool) -> None:
    """The same triangle and how much is beyond, in a line; `to_right`: it ends at the right of the rectangle."""
    theme = themes.current()
    painter.setFont(font)
    metrics = painter.fontMetrics()
    wide = metrics.horizontalAdvance(found.text)
    left = rect.right() - wide - CORNER - 5 if to_right else rect.left()
    side = CORNER - 1.0
    top = rect.center().y() - side / 2
    _triangle(painter, left, top, side, theme.color("text"))
    painter.setPen(theme.color("text"))
    words = QRectF(left + CORNER + 4, rect.top(), wide + 4, rect.height())
    painter.drawText(words, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, found.text)


def draw_ends(painter: QPainter, bar: QRectF, found: Beyond) -> None:
    """Arrows at the ends of a colour bar: there is more than it shows."""
    colour, y, half = themes.current().color("text"), bar.center().y(), bar.height() / 2 + 1
    ends = ((bar.right() + 2, 6.0), (bar.left() - 2, -6.0))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    x, length = ends[0] if math.copysign(1, found.greatest) > 0 else ends[1]
    painter.drawPolygon(QPolygonF([QPointF(x, y - half), QPointF(x + length, y), QPointF(x, y + half)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)


def _triangle(painter: QPainter, left: float, top: float, side: float, colour: QColor) -> None:
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(left, top), QPointF(left + side, top), QPointF(left + side, top + side)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
