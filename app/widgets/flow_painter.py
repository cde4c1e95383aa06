"""Paints the Flow view: backgrounds, tiles, arrows, numbers and words, from a layout, images and a frame."""

from __future__ import annotations

import math

from PySide6.QtCore import QLineF, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPixmap, QPolygonF

from app import theme as themes
from app.theme import Theme
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import BAR, FlowLayout
from app.widgets.flow_model import Column, Direction, Lit, Row, Tile, times
from app.widgets.picture import compact, draw_colour_bar, hatch
from engine.frames import Frame

CENTRE = Qt.AlignmentFlag.AlignCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
NOT_YET = "not yet"
DIM = 0.3  # opacity of an arrow nothing has flowed along yet


class FlowPainter:
    """One painting of the view. `visible` is the part of the content that is to be painted."""

    def __init__(
        self, painter: QPainter, layout: FlowLayout, images: FlowImages, frame: Frame | None, lit: Lit, visible: QRect
    ) -> None:
        self._p, self._layout, self._images = painter, layout, images
        self._model, self._frame, self._lit, self._visible = layout.model, frame, lit, visible
        self._theme = themes.current()
        self._fonts = layout.fonts
        self._now = frame.position.phase if frame is not None else -1
        spans, pad = layout.spans, layout.gap
        self._seen = [
            i for i, s in enumerate(spans) if s.right + pad >= visible.left() and s.left - pad <= visible.right()
        ]

    # --- the parts, from the back to the front ------------------------------------------------

    def paint(self, marked: str | None, hovered: str | None, focused: bool) -> None:
        """Everything that scrolls."""
        self._paint_lit()
        for index in self._seen:
            column = self._model.columns[index]
            self._paint_head(index, column)
            for tile in column.tiles:
                self._paint_tile(tile)
            if column.norm:
                self._paint_norm(index, column)
        self._paint_shapes()
        self._paint_loss()
        self._paint_arrows()
        self._paint_outlines(marked, hovered, focused)

    def paint_fixed(self, left: int, width: int) -> None:
        """The words over the rows and the legend, which stay where they are when columns scroll."""
        layout, theme = self._layout, self._theme
        left = max(layout.spans[0].left, left + 6)
        self._p.setFont(self._fonts.small)
        self._p.setPen(theme.color("muted"))
        ruler = self._images.norm_ruler
        texts = [(top, self._model.title(row)) for row, top in layout.row_titles.items()]
        texts.append((layout.norm_title, f"‖grad_y‖  log, {compact(ruler.floor)} … {compact(ruler.limit)}"))
        for top, text in texts:
            self._p.drawText(QRect(left, top, width, layout.line + 2), LEFT, text)
        self._paint_legend(layout.legend)

    def _paint_lit(self) -> None:
        lit, layout = self._lit, self._layout
        self._p.setPen(Qt.PenStyle.NoPen)
        self._p.setBrush(self._theme.color("lit"))
        if lit.column is not None:
            self._p.drawRoundedRect(layout.lit_rect(lit.column), 6, 6)
        elif lit.row is not None:
            self._p.drawRoundedRect(layout.band_rect(lit.row), 6, 6)
        self._p.setBrush(Qt.BrushStyle.NoBrush)

    def _paint_head(self, index: int, column: Column) -> None:
        theme, layout = self._theme, self._layout
        lit = index == self._lit.column
        reached = column.tiles[0].made_by <= self._now
        colour = f"{self._lit.direction}_text" if lit else "text" if reached else "muted"
        title = layout.text_rect(index, layout.title_top, QFontMetrics(self._fonts.title).height())
        self._text(title, column.title, self._fonts.title, theme.color(colour))
        caption = QRect(title.left(), title.bottom() + 2, title.width(), layout.line)
        text = column.caption if layout.long_captions else column.short
        self._text(caption, text, self._fonts.small, theme.color("muted"))

    def _paint_tile(self, tile: Tile) -> None:
        rect, theme = self._layout.tiles[tile.address], self._theme
        if not rect.intersects(self._visible):
            return
        ratio = self._p.device().devicePixelRatioF()
        image = self._images.image(tile.address, int(rect.width() * ratio), int(rect.height() * ratio))
        if image is None:
            self._p.drawPixmap(rect.topLeft(), hatched(rect, ratio, theme))
            return
        self._p.drawImage(rect, image)
        self._p.setPen(theme.color("line"))
        self._p.drawRect(rect.adjusted(-1, -1, 0, 0))

    def _paint_shapes(self) -> None:
        """The true shape under each activation."""
        self._p.setFont(self._fonts.number)
        self._p.setPen(self._theme.color("muted"))
        for index in self._seen:
            for tile in self._model.columns[index].row(Row.ACTIVATIONS):
                picture = self._images.picture(tile.address)
                rect = self._layout.tiles[tile.address]
                line = self._layout.text_rect(index, rect.bottom() + 3, self._layout.line)
                text = times(picture.shape if picture is not None else tile.shape)
                self._p.drawText(line, CENTRE, self._fitting(text, self._fonts.number, line.width()))

    def _paint_norm(self, index: int, column: Column) -> None:
        theme, rect = self._theme, self._layout.norm_rect(index)
        self._p.fillRect(rect, theme.color("field"))
        line = self._layout.text_rect(index, rect.bottom() + 4, self._layout.line + 2)
        norm = self._frame.scalars.get(column.norm) if self._frame is not None else None
        if norm is None:
            self._text(line, NOT_YET, self._fonts.small, theme.color("muted"))
            return
        finite = math.isfinite(norm)
        ruler = self._images.norm_ruler
        share = math.log(norm / ruler.floor) / math.log(ruler.limit / ruler.floor) if finite and norm > 0 else not finite
        filled = round(rect.width() * min(max(share, 0.0), 1.0))
        self._p.fillRect(rect.left(), rect.top(), filled, BAR, theme.color("backward" if finite else "alarm"))
        text = format(norm, self._fonts.number_format) if finite else f"{norm}".upper().replace("INF", "∞").replace("NAN", "NaN")
        self._text(line, text, self._fonts.number, theme.color("text" if finite else "bad_text"))

    def _paint_loss(self) -> None:
        """The loss as a number, at the height of the gradients it starts."""
        index, layout, theme = len(self._model.columns) - 1, self._layout, self._theme
        if index not in self._seen:
            return
        height = QFontMetrics(self._fonts.loss).height()
        tile_top, tile_height = layout.row_tops[Row.GRADIENTS], layout.tile_height
        stands = self._frame is not None and self._model.loss_made_by <= self._now
        text = loss_text(self._frame.loss) if stands and self._frame is not None else NOT_YET
        font = self._fonts.loss if stands else self._fonts.small
        box = layout.text_rect(index, tile_top + tile_height // 2 - height, height)
        wrong = stands and self._frame is not None and not math.isfinite(self._frame.loss)
        self._text(box, text, font, theme.color("bad_text" if wrong else "text" if stands else "muted"))
        self._p.setFont(self._fonts.small)
        self._p.setPen(theme.color("muted"))
        below = QRect(box.left(), box.bottom() + 3, box.width(), tile_height // 2 + 6)
        wrap = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop | Qt.TextFlag.TextWordWrap
        self._p.drawText(below, wrap, self._model.network.loss_convention)

    def _paint_arrows(self) -> None:
        """Forward along the activations, backward along the gradients; dim where nothing has flowed yet."""
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing)
        columns = self._model.columns
        for index in self._seen:
            if index + 1 == len(columns):
                continue
            self._arrow(index, Row.ACTIVATIONS, columns[index + 1].row(Row.ACTIVATIONS), "forward")
            self._arrow(index, Row.GRADIENTS, columns[index].row(Row.GRADIENTS), "backward")
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        self._p.setOpacity(1.0)

    def _arrow(self, column: int, row: Row, into: tuple[Tile, ...], direction: Direction) -> None:
        left, right, y = self._layout.arrow(column, row)
        flowed = bool(into) and self._images.picture(into[0].address) is not None
        self._p.setOpacity(1.0 if flowed else DIM)
        draw_arrow(self._p, left, right, y, self._theme.color(direction), direction)

    def _paint_outlines(self, marked: str | None, hovered: str | None, focused: bool) -> None:
        """What was just written hugs its tile in the phase's colour; what is selected has a ring around it."""
        theme, tiles = self._theme, self._layout.tiles
        hue = theme.color(self._lit.direction)
        for address in self._lit.earlier:
            self._ring(tiles[address], 1, hue, 1.0)
        for address in self._lit.fresh:
            self._ring(tiles[address], 1, hue, 2.0 if self._lit.column is not None else 1.0)
        if hovered in tiles and hovered != marked:
            self._ring(tiles[hovered], 3, theme.color("muted"), 1.0)
        if marked in tiles:
            self._ring(tiles[marked], 3.5, theme.color("text"), 2.0 if focused else 1.5)

    def _ring(self, tile: QRect, out: float, colour: QColor, width: float) -> None:
        self._p.setPen(QPen(colour, width, j=Qt.PenJoinStyle.MiterJoin))
        self._p.drawRect(QRectF(tile).adjusted(-out, -out, out, out))

    def _paint_legend(self, rect: QRect) -> None:
        """The colours of all gradients at the right; what the two arrows mean at the left."""
        painter, theme, small = self._p, self._theme, self._fonts.small
        painter.setFont(small)
        metrics = painter.fontMetrics()
        bar = QRectF(0, rect.top(), min(max(rect.width() * 0.28, 130), 260), rect.height())
        bar.moveRight(rect.right() + 1)
        draw_colour_bar(painter, bar, self._images.gradient_ruler, theme)
        painter.setPen(theme.color("muted"))
        words = "all gradients, log"
        width = metrics.horizontalAdvance(words)
        painter.drawText(QRectF(bar.left() - width - 10, rect.top() - 3, width, 14), LEFT, words)
        left, y, arrow = float(rect.left()), rect.top() + 4.5, 26
        directions: tuple[Direction, ...] = ("forward", "backward")
        needed = sum(metrics.horizontalAdvance(d) + arrow + 26 for d in directions)
        if needed > bar.left() - width - 10 - left:
            return
        for direction in directions:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw_arrow(painter, left, left + arrow - 6, y, theme.color(direction), direction)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
            painter.setPen(theme.color("muted"))
            advance = metrics.horizontalAdvance(direction)
            painter.drawText(QRectF(left + arrow, y - 8, advance + 4, 16), LEFT, direction)
            left += arrow + advance + 20

    # --- words --------------------------------------------------------------------------------

    def _text(self, rect: QRect, text: str, font: QFont, colour: QColor) -> None:
        self._p.setFont(font)
        self._p.setPen(colour)
        self._p.drawText(rect, CENTRE, self._fitting(text, font, rect.width()))

    @staticmethod
    def _fitting(text: str, font: QFont, width: int) -> str:
        return QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, width)


def loss_text(loss: float) -> str:
    """A loss in as many places whatever its digits: 0.472, 12.345, 1.2e+05, ∞."""
    if not math.isfinite(loss):
        return "NaN" if math.isnan(loss) else "∞" if loss > 0 else "−∞"
    if loss == 0 or 1e-3 <= abs(loss) < 1e3:
        return f"{loss:.3f}"
    return f"{loss:.1e}"


def draw_arrow(painter: QPainter, left: float, right: float, y: float, colour: QColor, direction: Direction) -> None:
    """An arrow from left to right (forward) or from right to left (backward)."""
    tail, tip = (left, right) if direction == "forward" else (right, left)
    back = math.copysign(min(6.0, abs(tip - tail) * 0.6), tail - tip)
    painter.setPen(QPen(colour, 2.6, c=Qt.PenCapStyle.FlatCap))
    painter.drawLine(QLineF(tail, y, tip + back, y))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawPolygon(QPolygonF([QPointF(tip, y), QPointF(tip + back, y - 4.8), QPointF(tip + back, y + 4.8)]))
    painter.setBrush(Qt.BrushStyle.NoBrush)


_hatched: dict[tuple[int, int, float, str], QPixmap] = {}


def hatched(rect: QRect, ratio: float, theme: Theme) -> QPixmap:
    """The look of "not computed yet" at a tile's size; slanted lines are slow to draw, so each size is drawn once."""
    key = rect.width(), rect.height(), ratio, theme.name
    if key not in _hatched:
        if len(_hatched) > 64:
            _hatched.clear()
        pixmap = QPixmap(round(rect.width() * ratio), round(rect.height() * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(theme.color("panel"))
        painter = QPainter(pixmap)
        hatch(painter, QRect(0, 0, rect.width(), rect.height()), theme)
        painter.end()
        _hatched[key] = pixmap
    return _hatched[key]
