"""Draws one card of the layer list: index, title, sizes, parameter count, and the curve of its gradient norm."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen, QPolygonF, QTransform
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from app import theme as themes
from app.theme import Theme
from app.widgets.card_model import CARD, PHASE, TRACE, Card

PAD = 10  # pixels between a card's edge and its text
TRACE_WIDTH = 64


class _Fonts:
    """The fonts of a card and their measures, made once for a base font."""

    def __init__(self, font: QFont) -> None:
        self.bold, self.small = QFont(font), themes.tabular(font)
        self.bold.setBold(True)
        self.small.setPointSizeF(font.pointSizeF() * 0.9)
        self.bold_metrics, self.small_metrics = QFontMetrics(self.bold), QFontMetrics(self.small)
        self.line = QFontMetrics(font).height()
        self.index = self.small_metrics.horizontalAdvance("00") + 6
        self.count = self.small_metrics.horizontalAdvance("00,000") + 6


class CardDelegate(QStyledItemDelegate):
    """Paints cards on two lines, or compact on one."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.compact = False
        self._height = 0
        self._fonts = _Fonts(QFont())

    def choose_density(self, font: QFont, room: int) -> None:
        """Take two lines if `room` pixels a card allow it, else one, as high as there is room."""
        self._fonts = _Fonts(font)
        line = self._fonts.line
        self.compact = room < 2 * line + 10
        self._height = min(max(room, line + 8), line + 18) if self.compact else 2 * line + 10

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, self._height)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        theme, card, phase = themes.current(), cast(Card, index.data(CARD)), index.data(PHASE)
        rect = cast(QRect, option.rect)  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_frame(painter, rect, cast(QStyle.StateFlag, option.state), theme)  # type: ignore[attr-defined]
        if phase:
            _paint_phase(painter, rect, theme, phase)
        paint = _paint_line if self.compact else _paint_two_lines
        paint(painter, rect.adjusted(PAD, 0, -PAD, 0), self._fonts, theme, card, index.data(TRACE))
        painter.restore()


def _paint_frame(painter: QPainter, rect: QRect, state: QStyle.StateFlag, theme: Theme) -> None:
    chosen, hovered = bool(state & QStyle.StateFlag.State_Selected), bool(state & QStyle.StateFlag.State_MouseOver)
    painter.setBrush(theme.color("lit" if chosen else "field"))
    painter.setPen(QPen(theme.color("forward" if chosen else "muted" if hovered else "line"), 1.5 if chosen else 1))
    painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), 6, 6)


def _paint_phase(painter: QPainter, rect: QRect, theme: Theme, field: str) -> None:
    """A bar at the left edge: this layer is computed now."""
    painter.setBrush(theme.color(field))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(QRectF(rect.left() + 3, rect.top() + 5, 3, rect.height() - 10), 1.5, 1.5)


def _paint_two_lines(
    painter: QPainter, inner: QRect, fonts: _Fonts, theme: Theme, card: Card, trace: QPolygonF | None
) -> None:
    line = fonts.line
    upper = QRect(inner.left(), inner.top() + 5, inner.width(), line)
    lower = upper.translated(0, line)
    _paint_head(painter, upper.adjusted(0, 0, -TRACE_WIDTH - 6 if trace is not None else 0, 0), fonts, theme, card)
    if trace is not None:
        _paint_trace(painter, QRectF(upper.right() - TRACE_WIDTH, upper.top() + 2, TRACE_WIDTH, line - 4), theme, trace)
    used = _paint_count(painter, lower, fonts, theme, card)
    indent = fonts.index if card.place == "layer" else 0
    _paint_caption(painter, lower.adjusted(indent, 0, -used, 0), fonts, theme, card)


def _paint_line(
    painter: QPainter, inner: QRect, fonts: _Fonts, theme: Theme, card: Card, trace: QPolygonF | None
) -> None:
    """Everything on one line; what there is no room for is left out from the right."""
    used = _paint_count(painter, inner, fonts, theme, card)
    if card.place == "layer":
        used = max(used, fonts.count)  # curves stand below each other
    left = inner.adjusted(0, 0, -used, 0)
    head = _paint_head(painter, left, fonts, theme, card)
    room = left.width() - head - fonts.small_metrics.horizontalAdvance(card.caption) - 16
    if trace is not None and room >= 24:
        across = min(TRACE_WIDTH, room)
        high = min(left.height() - 8, fonts.line)
        top = left.top() + (left.height() - high) / 2
        _paint_trace(painter, QRectF(left.right() - across, top, across, high), theme, trace)
    _paint_caption(painter, left.adjusted(head + 8, 0, 0, 0), fonts, theme, card)


def _paint_head(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> int:
    """Index and title; returns the width taken."""
    used = 0
    if card.place == "layer":
        painter.setFont(fonts.small)
        painter.setPen(theme.color("muted"))
        painter.drawText(rect, _MIDDLE, str(card.index))
        used = fonts.index if card.index < 100 else 2 * fonts.index
    painter.setFont(fonts.bold)
    painter.setPen(theme.color("text"))
    title = fonts.bold_metrics.elidedText(card.title, Qt.TextElideMode.ElideRight, rect.width() - used)
    painter.drawText(rect.adjusted(used, 0, 0, 0), _MIDDLE, title)
    return used + fonts.bold_metrics.horizontalAdvance(title)


def _paint_caption(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> None:
    painter.setFont(fonts.small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    caption = fonts.small_metrics.elidedText(card.caption, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, _MIDDLE, caption)


def _paint_count(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> int:
    """The parameter count at the right; returns the width taken."""
    if not card.count:
        return 0
    text = f"{card.count:,}"
    painter.setFont(fonts.small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    painter.drawText(rect, _MIDDLE_RIGHT, text)
    return fonts.small_metrics.horizontalAdvance(text) + 6


def _paint_trace(painter: QPainter, rect: QRectF, theme: Theme, trace: QPolygonF) -> None:
    place = QTransform.fromTranslate(rect.left(), rect.top()).scale(rect.width(), rect.height())
    painter.setPen(QPen(theme.color("backward"), 1))
    painter.drawPolyline(place.map(trace))


_MIDDLE = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_MIDDLE_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
