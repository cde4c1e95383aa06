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


class CardDelegate(QStyledItemDelegate):
    """Paints cards on two lines, or compact on one."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.compact = False

    def height(self, font: QFont, *, compact: bool) -> int:
        """How high a card is in a font."""
        line = QFontMetrics(font).height()
        return line + 8 if compact else 2 * line + 10

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, self.height(option.font, compact=self.compact))  # type: ignore[attr-defined]

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        theme, card, phase = themes.current(), cast(Card, index.data(CARD)), index.data(PHASE)
        rect, font = cast(QRect, option.rect), cast(QFont, option.font)  # type: ignore[attr-defined]
        state = cast(QStyle.StateFlag, option.state)  # type: ignore[attr-defined]
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        _paint_frame(painter, rect, state, theme)
        if phase:
            _paint_phase(painter, rect, theme, phase)
        inner = rect.adjusted(PAD, 0, -PAD, 0)
        if self.compact:
            _paint_line(painter, inner, font, theme, card, index.data(TRACE))
        else:
            _paint_two_lines(painter, inner, font, theme, card, index.data(TRACE))
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
    painter: QPainter, inner: QRect, font: QFont, theme: Theme, card: Card, trace: QPolygonF | None
) -> None:
    line = QFontMetrics(font).height()
    upper = QRect(inner.left(), inner.top() + 5, inner.width(), line)
    lower = upper.translated(0, line)
    text = upper.adjusted(0, 0, -TRACE_WIDTH - 6 if trace is not None else 0, 0)
    _paint_head(painter, text, font, theme, card)
    if trace is not None:
        _paint_trace(painter, QRectF(upper.right() - TRACE_WIDTH, upper.top() + 2, TRACE_WIDTH, line - 4), theme, trace)
    used = _paint_count(painter, lower, font, theme, card)
    _paint_caption(painter, lower.adjusted(0, 0, -used, 0), font, theme, card)


def _paint_line(
    painter: QPainter, inner: QRect, font: QFont, theme: Theme, card: Card, trace: QPolygonF | None
) -> None:
    """Everything on one line; what there is no room for is left out from the right."""
    count = max(
        _paint_count(painter, inner, font, theme, card), QFontMetrics(_small(font)).horizontalAdvance("00,000") + 6
    )
    left = inner.adjusted(0, 0, -count, 0)
    head = _paint_head(painter, left, font, theme, card)
    width = QFontMetrics(_small(font)).horizontalAdvance(card.caption)
    room = left.width() - head - width - 16
    if trace is not None and room >= 24:
        across = min(TRACE_WIDTH, room)
        _paint_trace(painter, QRectF(left.right() - across, left.top() + 6, across, left.height() - 12), theme, trace)
    _paint_caption(painter, left.adjusted(head + 8, 0, 0, 0), font, theme, card)


def _paint_head(painter: QPainter, rect: QRect, font: QFont, theme: Theme, card: Card) -> int:
    """Index and title; returns the width taken."""
    used = 0
    if card.place == "layer":
        small = _small(font)
        painter.setFont(small)
        painter.setPen(theme.color("muted"))
        painter.drawText(rect, _MIDDLE, str(card.index))
        used = (
            max(QFontMetrics(small).horizontalAdvance("00"), QFontMetrics(small).horizontalAdvance(str(card.index))) + 4
        )
    bold = QFont(font)
    bold.setBold(True)
    metrics = QFontMetrics(bold)
    painter.setFont(bold)
    painter.setPen(theme.color("text"))
    title = metrics.elidedText(card.title, Qt.TextElideMode.ElideRight, rect.width() - used)
    painter.drawText(rect.adjusted(used, 0, 0, 0), _MIDDLE, title)
    return used + metrics.horizontalAdvance(title)


def _paint_caption(painter: QPainter, rect: QRect, font: QFont, theme: Theme, card: Card) -> None:
    small = _small(font)
    painter.setFont(small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    painter.drawText(
        rect, _MIDDLE, QFontMetrics(small).elidedText(card.caption, Qt.TextElideMode.ElideRight, rect.width())
    )


def _paint_count(painter: QPainter, rect: QRect, font: QFont, theme: Theme, card: Card) -> int:
    """The parameter count at the right; returns the width taken."""
    if not card.count:
        return 0
    small, text = _small(font), f"{card.count:,}"
    painter.setFont(small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    painter.drawText(rect, _MIDDLE_RIGHT, text)
    return QFontMetrics(small).horizontalAdvance(text) + 6


def _paint_trace(painter: QPainter, rect: QRectF, theme: Theme, trace: QPolygonF) -> None:
    place = QTransform.fromTranslate(rect.left(), rect.top()).scale(rect.width(), rect.height())
    painter.setPen(QPen(theme.color("backward"), 1))
    painter.drawPolyline(place.map(trace))


def _small(font: QFont) -> QFont:
    small = themes.tabular(font)
    small.setPointSizeF(font.pointSizeF() * 0.9)
    return small


_MIDDLE = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_MIDDLE_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
