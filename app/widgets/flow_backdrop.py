"""What stays between most frames of the Flow view: words, legend, the lit column, lines around tiles."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QPoint, QPointF, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap, QPolygonF

from app import theme as themes
from app.theme import Theme
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import Bracket, Direction, Lit, Row, times
from app.widgets.flow_rulers import log_ruler
from app.widgets.picture import compact, draw_colour_bar, hatch

CENTRE = Qt.AlignmentFlag.AlignCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
OWN_RULER = log_ruler(1.0)  # in units of the largest
ARROW = 22  # length of an arrow in the legend


class Backdrop:
    """A picture of the view without tiles and numbers, made anew only when something in it is another."""

    def __init__(self) -> None:
        self._key: object = None
        self._pixmap = QPixmap()

    def pixmap(
        self, layout: FlowLayout, images: FlowImages, lit: Lit, now: int, offset: QPoint, size: QSize, ratio: float
    ) -> QPixmap:
        """The picture for a view scrolled by `offset`, at the position `now` (the number of its phase)."""
        theme = themes.current()
        rulers = images.gradient_ruler, images.norm_ruler, tuple(images.rulers.told(row) for row in Row)
        spot = offset.x(), offset.y(), size.width(), size.height(), ratio
        key = (layout, theme, lit, now, spot, rulers, images.rulers.scales, images.shapes, images.awaited)
        if key != self._key:
            self._key = key
            self._pixmap = QPixmap(size * ratio)
            self._pixmap.setDevicePixelRatio(ratio)
            self._pixmap.fill(theme.color("panel"))
            painter = QPainter(self._pixmap)
            paint_backdrop(painter, layout, images, lit, now, QRect(offset, size))
            painter.end()
        return self._pixmap


def paint_backdrop(
    painter: QPainter, layout: FlowLayout, images: FlowImages, lit: Lit, now: int, visible: QRect
) -> None:
    """Paint it anew for this part of the content."""
    painter.save()
    _Painting(painter, layout, images, lit, now, themes.current()).paint(visible)
    painter.restore()


class _Painting:
    def __init__(
        self, painter: QPainter, layout: FlowLayout, images: FlowImages, lit: Lit, now: int, theme: Theme
    ) -> None:
        self._p, self._layout, self._images = painter, layout, images
        self._lit, self._now, self._theme = lit, now, theme
        self._model, self._fonts = layout.model, layout.fonts

    def paint(self, visible: QRect) -> None:
        """Everything in the visible part of the content; row titles and legend stay when columns scroll."""
        self._p.translate(-visible.topLeft())
        self._paint_lit()
        for index in self._layout.seen(visible):
            self._paint_head(index)
            self._paint_shape(index)
            self._paint_frames(index)
            if self._model.columns[index].norm and not self._model.columns[index].hidden:
                self._p.fillRect(self._layout.norm_rect(index), self._theme.color("field"))
        for bracket in self._model.brackets:
            self._paint_bracket(bracket)
        self._paint_convention()
        self._p.translate(visible.left(), 0)
        self._paint_row_titles(visible)
        self._paint_legend(self._layout.legend)

    def _paint_lit(self) -> None:
        lit, layout = self._lit, self._layout
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._p.setPen(Qt.PenStyle.NoPen)
        self._p.setBrush(self._theme.color("lit"))
        if lit.columns is not None:
            self._p.drawRoundedRect(layout.lit_rect(*lit.columns), 6, 6)
        elif lit.row is not None:
            self._p.drawRoundedRect(layout.band_rect(lit.row), 6, 6)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def _paint_head(self, index: int) -> None:
        layout, column = self._layout, self._model.columns[index]
        reached = column.made_by <= self._now
        colour = f"{self._lit.direction}_text" if self._lit.holds(index) else "text" if reached else "muted"
        title = layout.text_rect(index, layout.title_top, QFontMetrics(self._fonts.title).height())
        if layout.crowded:  # its number alone
            if column.short.isdigit() and int(column.short) % layout.every == 0:
                wide = title.adjusted(-title.width(), 0, title.width(), 0)
                draw_text(self._p, wide, column.short, self._fonts.small, self._theme.color(colour))
            return
        draw_text(self._p, title, column.title, self._fonts.title, self._theme.color(colour))
        caption = QRect(title.left(), title.bottom() + 2, title.width(), layout.line)
        text = column.caption if layout.long_captions else column.short
        draw_text(self._p, caption, text, self._fonts.small, self._theme.color("muted"))

    def _paint_bracket(self, bracket: Bracket) -> None:
        """A line over columns that belong together, with its words in the middle where they have room."""
        rect, font, painter = self._layout.bracket_rect(bracket), self._fonts.small, self._p
        metrics = QFontMetrics(font)
        text = bracket.text
        if metrics.horizontalAdvance(text) > rect.width() - 16:
            text = text.rpartition(" ")[2] if bracket.repeat is None else text.partition(" × ")[0] + " ×"
        wide = metrics.horizontalAdvance(text) + 8
        y, foot = rect.center().y() + 0.5, rect.bottom() + 0.5
        painter.setPen(QPen(self._theme.color("muted"), 1))
        left, right = rect.left() + 0.5, rect.right() + 0.5
        room = rect.width() >= wide + 4
        painter.drawLine(QLineF(left, y, left, foot))
        painter.drawLine(QLineF(right, y, right, foot))
        middle = (left + right) / 2
        painter.drawLine(QLineF(left, y, middle - wide / 2 if room else right, y))
        if room:
            painter.drawLine(QLineF(middle + wide / 2, y, right, y))
            draw_text(painter, rect, text, font, self._theme.color("muted"))

    def _paint_shape(self, index: int) -> None:
        """The true shape under an activation; the last mini-batch of an epoch may be smaller than the others."""
        for tile in self._model.columns[index].row(Row.ACTIVATIONS) if not self._layout.crowded else ():
            top = self._layout.tiles[tile.address].bottom() + 3
            line = self._layout.text_rect(index, top, self._layout.line)
            text = times(self._images.shapes.get(tile.address, tile.shape))
            draw_text(self._p, line, text, self._fonts.number, self._theme.color("muted"))

    def _paint_frames(self, index: int) -> None:
        """A line around each tile; blank where it was not asked for yet, hatched where it is not computed."""
        for tile in self._model.columns[index].tiles:
            rect = self._layout.tiles[tile.address]
            self._p.fillRect(rect.adjusted(-1, -1, 1, 1), self._theme.color("line"))
            if tile.address in self._images.awaited:
                self._p.fillRect(rect, self._theme.color("field"))
            elif tile.address not in self._images.shapes:
                self._p.fillRect(rect, self._theme.color("panel"))
                self._p.save()
                self._p.setClipRect(rect)
                hatch(self._p, rect.adjusted(-1, -1, 1, 1), self._theme)  # the tile has a frame of its own
                self._p.restore()

    def _paint_convention(self) -> None:
        """What the loss averages over, under its number, where nothing else is."""
        box, metrics = self._layout.loss_rect(), QFontMetrics(self._fonts.small)
        if self._layout.crowded or metrics.horizontalAdvance("mean over") > box.width():
            return
        below = QRect(box.left(), box.bottom() + 3, box.width(), self._layout.size.height() - box.bottom() - 6)
        below.setRight(min(below.right(), self._layout.size.width() - 4))
        self._p.setFont(self._fonts.small)
        self._p.setPen(self._theme.color("muted"))
        wrap = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        self._p.drawText(below, wrap, self._model.network.loss_convention)

    def _paint_row_titles(self, visible: QRect) -> None:
        layout, ruler = self._layout, self._images.norm_ruler
        left = max(layout.spans[0].left - visible.left(), 6)
        texts = [(top, row_title(layout, self._images, row)) for row, top in layout.row_titles.items()]
        texts.append((layout.norm_title, f"‖grad_y‖  log, {compact(ruler.floor)} … {compact(ruler.limit)}"))
        self._p.setFont(self._fonts.small)
        self._p.setPen(self._theme.color("muted"))
        for top, text in texts:
            self._p.drawText(QRect(left, top, visible.width() - left, layout.line + 2), LEFT, text)

    def _paint_legend(self, rect: QRect) -> None:
        """The colours of all gradients at the right; what the two arrows mean at the left, where there is room."""
        painter, theme = self._p, self._theme
        painter.setFont(self._fonts.small)
        metrics = painter.fontMetrics()
        bar = QRectF(legend_bar(self._layout))
        bar.setHeight(rect.height())
        together = self._images.rulers.scales.gradients_together
        draw_colour_bar(painter, bar, self._images.gradient_ruler if together else OWN_RULER, theme)
        painter.setPen(theme.color("muted"))
        middle, height = rect.top() + 5, metrics.height()
        words = "all gradients, log" if together else "each gradient, log, share of its largest"
        end = bar.left() - metrics.horizontalAdvance(words) - 14
        painter.drawText(QRectF(end, middle - height / 2, bar.left() - end, height), LEFT, words)
        directions: tuple[Direction, ...] = ("forward", "backward")
        left = float(rect.left())
        if left + sum(metrics.horizontalAdvance(d) + ARROW + 24 for d in directions) > end:
            return
        for direction in directions:
            draw_arrow(painter, left, left + ARROW, middle, theme.color(direction), direction)
            painter.setPen(theme.color("muted"))
            advance = metrics.horizontalAdvance(direction)
            painter.drawText(QRectF(left + ARROW + 6, middle - height / 2, advance + 4, height), LEFT, direction)
            left += ARROW + advance + 24


def row_title(layout: FlowLayout, images: FlowImages, row: Row) -> str:
    """The words over a row, and what they say of its ruler."""
    return f"{layout.model.title(row)}   {images.rulers.told(row)}".rstrip()


def legend_bar(layout: FlowLayout) -> QRectF:
    """The colours of all gradients at the right of the legend, as high as they are."""
    rect = layout.legend
    bar = QRectF(0, rect.top(), min(max(rect.width() * 0.28, 130), 260), rect.height() - layout.line - 4)
    bar.moveRight(rect.right() + 1)
    return bar


def draw_text(painter: QPainter, rect: QRect, text: str, font: QFont, colour: QColor) -> None:
    """A line of text in the middle of a rectangle, cut with … where it is too long."""
    painter.setFont(font)
    painter.setPen(colour)
    metrics = painter.fontMetrics()
    if metrics.horizontalAdvance(text) > rect.width():
        text = metrics.elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, CENTRE, text)


def draw_arrow(
    painter: QPainter, left: float, right: float, y: float, colour: QColor, direction: Direction, width: float = 2.6
) -> None:
    """An arrow from left to right (forward) or from right to left (backward)."""
    tail, tip = (left, right) if direction == "forward" else (right, left)
    back = tip + math.copysign(min(6.0, abs(tip - tail) * 0.6), tail - tip)
    half, edge = width / 2 * themes.stroke(), 3.5 + width / 2 * themes.stroke()
    above = [QPointF(tail, y - half), QPointF(back, y - half), QPointF(back, y - edge)]
    below = [QPointF(back, y + edge), QPointF(back, y + half), QPointF(tail, y + half)]
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([*above, QPointF(tip, y), *below]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
