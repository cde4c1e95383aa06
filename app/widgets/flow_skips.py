"""Paints the way around a residual block: the skip, forwards and backwards, and the sums where both ways meet.

Every line is as wide as what is passed along it, on the same scales as the arrows.
"""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen

from app import theme as themes
from app.widgets.flow_backdrop import draw_arrow
from app.widgets.flow_layout import SKIP_ROOM, FlowLayout
from app.widgets.flow_model import Block, Direction, Row

BEND = 5.0  # pixels, the radius of a skip's corners
SUM_RADIUS = 7.0
SMALLEST_SUM = 3.0


class SkipPainter:
    """Draws blocks in content coordinates; widths are in pixels, see FlowPainter."""

    def __init__(self, painter: QPainter, layout: FlowLayout) -> None:
        self._p, self._layout = painter, layout
        self._theme = themes.current()
        self.radius = min(SUM_RADIUS, layout.gap / 2 - 4)
        self.has_room = self.radius >= SMALLEST_SUM  # for a ⊕ that is seen as one

    def paint_skip(self, block: Block, direction: Direction, width: float) -> None:
        """From where the ways part, around the block, to the sum where they meet again."""
        layout, forward = self._layout, direction == "forward"
        row = Row.ACTIVATIONS if forward else Row.GRADIENTS
        top, height = layout.row_tops[row], layout.tile_height
        line = top + height / 2
        out = SKIP_ROOM * block.height - SKIP_ROOM / 2 + 1
        far = top - out if forward else top + height + out
        start, end = self.middle(block.first - 1), self.middle(block.last - 1)
        if not forward:
            start, end = end, start
        stop = line
        if self.has_room:
            stop += -self.radius if forward else self.radius
        path = QPainterPath(QPointF(start, line))
        bend = min(BEND, abs(end - start) / 2)
        side, away = (1 if end > start else -1), (-1 if forward else 1)
        path.lineTo(start, far - away * bend)
        path.quadTo(start, far, start + side * bend, far)
        path.lineTo(end - side * bend, far)
        path.quadTo(end, far, end, far - away * bend)
        path.lineTo(end, stop)
        colour = self._theme.color(direction)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        self._p.setPen(QPen(colour, width * themes.stroke(), c=Qt.PenCapStyle.FlatCap, j=Qt.PenJoinStyle.RoundJoin))
        self._p.drawPath(path)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def paint_sum(self, gap: int, row: Row, direction: Direction, before: float, after: float) -> None:
        """A ⊕ in the middle of a gap; arrows as wide as what comes into it from the block, and what leaves it."""
        left, right = self._layout.spans[gap].right + 2.5, self._layout.spans[gap + 1].left - 2.5
        middle, y = self.middle(gap), self._layout.row_tops[row] + self._layout.tile_height / 2
        colour, radius = self._theme.color(direction), self.radius
        widths = (before, after) if direction == "forward" else (after, before)
        draw_arrow(self._p, max(left, middle - radius - 16), middle - radius, y, colour, direction, widths[0])
        draw_arrow(self._p, middle + radius, min(right, middle + radius + 16), y, colour, direction, widths[1])
        self._circle(QPointF(middle, y), colour)

    def _circle(self, centre: QPointF, colour: QColor) -> None:
        radius = self.radius
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._p.setPen(QPen(colour, 1.5 * themes.stroke()))
        self._p.setBrush(self._theme.color("panel"))
        self._p.drawEllipse(QRectF(centre.x() - radius, centre.y() - radius, 2 * radius, 2 * radius))
        self._p.drawLine(QPointF(centre.x() - radius + 2, centre.y()), QPointF(centre.x() + radius - 2, centre.y()))
        self._p.drawLine(QPointF(centre.x(), centre.y() - radius + 2), QPointF(centre.x(), centre.y() + radius - 2))
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def middle(self, gap: int) -> float:
        """The middle of the gap after a column."""
        return (self._layout.spans[gap].right + self._layout.spans[gap + 1].left) / 2
