"""Paints a fold: for each layer folded away how large its y and its ‖grad_y‖ are, so that one that dies is seen."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from app import theme as themes
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import Row
from app.widgets.picture import Ruler

WIDE_BARS = 5  # pixels of a bar, from which on there is a gap between two
BODY, CAP = 0.4, 2  # opacity of a bar, and pixels of its end, which is opaque


class FoldPainter:
    """Draws folds in content coordinates."""

    def __init__(self, painter: QPainter, layout: FlowLayout) -> None:
        self._p, self._layout, self._theme = painter, layout, themes.current()

    def paint(self, column: int, scalars: Mapping[str, float], images: FlowImages) -> None:
        """Bars from the left to the right, as the layers stand; what is not computed yet has none."""
        hidden = self._layout.model.columns[column].hidden
        forward = [images.activity(h.rms) if h.rms in scalars else None for h in hidden]
        backward = [bar_share(scalars[h.norm], images.norm_ruler) if h.norm in scalars else None for h in hidden]
        bad = [not math.isfinite(scalars.get(h.norm, 0.0)) for h in hidden]
        odd = [not math.isfinite(scalars.get(h.rms, 0.0)) for h in hidden]
        self._bars(self._layout.fold_rect(column, Row.ACTIVATIONS), forward, odd, "forward")
        self._bars(self._layout.fold_rect(column, Row.GRADIENTS), backward, bad, "backward")
        for row in (Row.PARAMETERS, Row.PARAMETER_GRADIENTS):
            if row in self._layout.row_tops:
                self._deck(self._layout.fold_rect(column, row))

    def _bars(self, rect: QRect, shares: list[float | None], bad: list[bool], hue: str) -> None:
        self._p.fillRect(rect.adjusted(-1, -1, 1, 1), self._theme.color("line"))
        self._p.fillRect(rect, self._theme.color("field"))
        pitch = rect.width() / len(shares)
        gap = 1 if pitch >= WIDE_BARS else 0
        for index, share in enumerate(shares):
            if share is None:
                continue
            left, right = round(rect.left() + index * pitch), round(rect.left() + (index + 1) * pitch) - gap
            height = max(round(rect.height() * share), 1)
            colour = self._theme.color("alarm" if bad[index] else hue)
            body = QRect(left, rect.bottom() + 1 - height, max(right - left, 1), height)
            self._p.setOpacity(BODY)
            self._p.fillRect(body, colour)
            self._p.setOpacity(1.0)
            self._p.fillRect(body.left(), body.top(), body.width(), min(CAP, height), colour)

    def _deck(self, rect: QRect) -> None:
        """Sheets behind each other: tensors that are not shown."""
        self._p.setPen(QPen(self._theme.color("line"), 1))
        side = min(rect.width(), rect.height()) * 0.5
        sheet = QRectF(0, 0, side, side)
        sheet.moveCenter(QRectF(rect).center())
        for step in (5.0, 0.0, -5.0):
            self._p.fillRect(sheet.translated(step, -step), self._theme.color("panel"))
            self._p.setBrush(Qt.BrushStyle.NoBrush)
            self._p.drawRect(sheet.translated(step, -step))


def bar_share(norm: float, ruler: Ruler) -> float:
    """How much of its trough a norm fills; what is no number fills it."""
    if not math.isfinite(norm):
        return 1.0
    if norm <= ruler.floor:
        return 0.0
    return min(math.log(norm / ruler.floor) / math.log(ruler.limit / ruler.floor), 1.0)
