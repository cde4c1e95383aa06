"""Draws one card of the layer list: index, title, sizes, parameter count, and the curve of its gradient norm."""

from __future__ import annotations

from typing import cast

from PySide6.QtCore import QModelIndex, QObject, QPersistentModelIndex, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter, QPen, QPixmap, QTransform
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from app import theme as themes
from app.theme import Theme
from app.widgets.card_model import Card, CardModel
from app.widgets.sharpness import is_vector, pixel_ratio

PAD = 10  # pixels between a card's edge and its text
TRACE_WIDTH, LEAST_TRACE = 64, 24
MOST_KEPT = 500  # drawn cards

_Look = tuple[Card, str | None, bool, QStyle.StateFlag, QStyle.StateFlag]
_CHOSEN, _HOVERED = QStyle.StateFlag.State_Selected, QStyle.StateFlag.State_MouseOver


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
        self._extra = -1, 0  # the row of the card that has a problem, and the pixels it takes
        self._fonts = _Fonts(QFont())
        self._drawn: dict[object, tuple[QPixmap, QRectF]] = {}

    def choose_density(self, font: QFont, room: int, extra: tuple[int, int] = (-1, 0)) -> None:
        """Take two lines if `room` pixels a card allow it, else one, as high as there is room.

        `extra`: the row of a card that has more to show below, and how many pixels of it.
        """
        self._extra = extra
        self._fonts = _Fonts(font)
        self._drawn.clear()
        line = self._fonts.line
        self.compact = room < 2 * line + 10
        self._height = min(max(room, line + 6), line + 18) if self.compact else 2 * line + 10

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(120, self._height + (self._extra[1] if index.row() == self._extra[0] else 0))

    def updateEditorGeometry(
        self, editor: QWidget, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Below what the card says."""
        editor.setGeometry(option.rect.adjusted(PAD, self._height, -PAD, 0))

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        theme, model, row = themes.current(), cast(CardModel, index.model()), index.row()
        trace = model.trace(row)
        rect, state = option.rect, option.state
        look = model.card(row), model.phase(row), trace is not None, state & _CHOSEN, state & _HOVERED
        if is_vector(painter):
            painter.save()
            painter.translate(rect.topLeft())
            room = self._draw(painter, QRect(QPoint(0, 0), rect.size()), look, theme)
            painter.restore()
        else:
            pixmap, room = self._card(look, rect.size(), pixel_ratio(painter.device()), theme)
            painter.drawPixmap(rect.topLeft(), pixmap)
        if trace is not None and not room.isEmpty():
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            place = QTransform.fromTranslate(rect.left() + room.left(), rect.top() + room.top())
            painter.setPen(QPen(theme.color("backward"), 1))
            painter.drawPolyline(place.scale(room.width(), room.height()).map(trace))

    def _card(self, look: _Look, size: QSize, ratio: float, theme: Theme) -> tuple[QPixmap, QRectF]:
        """A card without its curve, and the room for that; kept, since only the curves change while training."""
        key = look, size.toTuple(), ratio, theme.name
        found = self._drawn.get(key)
        if found is None:
            if len(self._drawn) > MOST_KEPT:
                self._drawn.clear()
            pixmap = QPixmap(size * ratio)
            pixmap.setDevicePixelRatio(ratio)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            found = self._drawn[key] = pixmap, self._draw(painter, QRect(QPoint(0, 0), size), look, theme)
            painter.end()
        return found

    def _draw(self, painter: QPainter, rect: QRect, look: _Look, theme: Theme) -> QRectF:
        """Draw a card and return the room for its curve."""
        card, phase, traced, chosen, hovered = look
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        edge = "bad" if card.broken else "forward" if chosen else "muted" if hovered else "line"
        _paint_frame(painter, rect, theme, edge, bool(chosen))
        if phase:
            _paint_phase(painter, rect, theme, phase)
        paint = _paint_line if self.compact else _paint_two_lines
        told = QRect(rect.left() + PAD, rect.top(), rect.width() - 2 * PAD, min(rect.height(), self._height))
        return paint(painter, told, self._fonts, theme, card, traced)


def _paint_frame(painter: QPainter, rect: QRect, theme: Theme, edge: str, chosen: bool) -> None:
    painter.setBrush(theme.color("lit" if chosen else "field"))
    painter.setPen(QPen(theme.color(edge), 1.5 if chosen or edge == "bad" else 1))
    painter.drawRoundedRect(QRectF(rect).adjusted(1, 1, -1, -1), 6, 6)


def _paint_phase(painter: QPainter, rect: QRect, theme: Theme, field: str) -> None:
    """A bar at the left edge: this layer is computed now."""
    painter.setBrush(theme.color(field))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(QRectF(rect.left() + 3, rect.top() + 5, 3, rect.height() - 10), 1.5, 1.5)


def _paint_two_lines(painter: QPainter, inner: QRect, fonts: _Fonts, theme: Theme, card: Card, traced: bool) -> QRectF:
    """Title and curve above, sizes and count below; returns the room for the curve."""
    line = fonts.line
    upper = QRect(inner.left(), inner.top() + 5, inner.width(), line)
    lower = upper.translated(0, line)
    _paint_head(painter, upper.adjusted(0, 0, -TRACE_WIDTH - 6 if traced else 0, 0), fonts, theme, card)
    used = _paint_count(painter, lower, fonts, theme, card)
    indent = fonts.index if card.place == "layer" else 0
    _paint_caption(painter, lower.adjusted(indent, 0, -used, 0), fonts, theme, card)
    return QRectF(upper.right() - TRACE_WIDTH, upper.top() + 2, TRACE_WIDTH, line - 4)


def _paint_line(painter: QPainter, inner: QRect, fonts: _Fonts, theme: Theme, card: Card, traced: bool) -> QRectF:
    """Everything on one line, the curve only where there is room for it; returns that room."""
    used = _paint_count(painter, inner, fonts, theme, card)
    if card.place == "layer":
        used = max(used, fonts.count)  # curves stand below each other
    left = inner.adjusted(0, 0, -used, 0)
    head = _paint_head(painter, left, fonts, theme, card)
    _paint_caption(painter, left.adjusted(head + 8, 0, 0, 0), fonts, theme, card)
    room = left.width() - head - fonts.small_metrics.horizontalAdvance(card.caption) - 16
    if not traced or room < LEAST_TRACE:
        return QRectF()
    across, high = min(TRACE_WIDTH, room), min(left.height() - 8, fonts.line)
    return QRectF(left.right() - across, left.top() + (left.height() - high) / 2, across, high)


def _paint_head(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> int:
    """Index and title; returns the width taken."""
    used = 0
    if card.place == "layer":
        painter.setFont(fonts.small)
        painter.setPen(theme.color("muted"))
        painter.drawText(rect, _MIDDLE, str(card.index))
        used = fonts.index if card.index < 100 else 2 * fonts.index
    painter.setFont(fonts.bold)
    painter.setPen(theme.color("muted" if card.off else "text"))
    title = fonts.bold_metrics.elidedText(card.title, Qt.TextElideMode.ElideRight, rect.width() - used)
    painter.drawText(rect.adjusted(used, 0, 0, 0), _MIDDLE, title)
    return used + fonts.bold_metrics.horizontalAdvance(title)


def _paint_caption(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> None:
    painter.setFont(fonts.small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    caption = fonts.small_metrics.elidedText(card.caption, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, _MIDDLE, caption)


def _paint_count(painter: QPainter, rect: QRect, fonts: _Fonts, theme: Theme, card: Card) -> int:
    """The parameter count and the cost at the right, as far as there is room; returns the width taken."""
    text = counts_text(card)
    if fonts.small_metrics.horizontalAdvance(f"{text}  {card.caption}") > rect.width() - fonts.index - 12:
        text = f"{card.count:,}" if card.count else ""
    if not text:
        return 0
    painter.setFont(fonts.small)
    painter.setPen(theme.color("disabled" if card.dimmed else "muted"))
    painter.drawText(rect, _MIDDLE_RIGHT, text)
    return fonts.small_metrics.horizontalAdvance(text) + 6


def counts_text(card: Card) -> str:
    """Parameters and multiply-adds a sample, such as "2,080 · 2.0k ×+"."""
    work = f"{short_count(card.work)} ×+" if card.work else ""
    return " · ".join(part for part in (f"{card.count:,}" if card.count else "", work) if part)


def short_count(count: int) -> str:
    """A count in three digits or so: 640, 2.0k, 31k, 1.2M."""
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{name}" if count < 10 * unit else f"{count / unit:,.0f}{name}"
    return str(count)


_MIDDLE = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
_MIDDLE_RIGHT = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
