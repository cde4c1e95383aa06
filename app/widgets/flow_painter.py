"""Paints what every frame of the Flow view changes: tiles, norms, the loss, and the outlines around tiles."""

from __future__ import annotations

import math

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPixmapCache

from app import theme as themes
from app.theme import Theme
from app.widgets.flow_backdrop import draw_text
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import BAR, FlowLayout
from app.widgets.flow_model import Lit
from app.widgets.picture import Ruler, hatch
from engine.frames import Frame

NOT_YET = "not yet"


class FlowPainter:
    """One painting of what lies before the backdrop, in content coordinates."""

    def __init__(self, painter: QPainter, layout: FlowLayout, images: FlowImages, frame: Frame | None) -> None:
        self._p, self._layout, self._images, self._frame = painter, layout, images, frame
        self._model, self._fonts, self._theme = layout.model, layout.fonts, themes.current()
        self._ratio = painter.device().devicePixelRatioF()

    def paint(self, visible: QRect) -> None:
        """Tiles and numbers of the columns in the visible part of the content."""
        line = self._theme.color("line")
        for index in self._layout.seen(visible):
            for tile in self._model.columns[index].tiles:
                self._paint_tile(tile.address, line)
            if self._model.columns[index].norm:
                self._paint_norm(index)
        self._paint_loss()

    def _paint_tile(self, address: str, line: QColor) -> None:
        rect, ratio = self._layout.tiles[address], self._ratio
        image = self._images.image(address, int(rect.width() * ratio), int(rect.height() * ratio))
        self._p.fillRect(rect.adjusted(-1, -1, 1, 1), line)
        if image is None:
            self._p.drawPixmap(rect.topLeft(), hatched(rect, ratio, self._theme))
        else:
            self._p.drawImage(rect, image)

    def _paint_norm(self, index: int) -> None:
        theme, rect = self._theme, self._layout.norm_rect(index)
        line = self._layout.text_rect(index, rect.bottom() + 4, self._layout.line + 2)
        norm = self._frame.scalars.get(self._model.columns[index].norm) if self._frame is not None else None
        if norm is None:
            draw_text(self._p, line, NOT_YET, self._fonts.small, theme.color("muted"))
            return
        finite = math.isfinite(norm)
        filled = round(rect.width() * bar_share(norm, self._images.norm_ruler))
        self._p.fillRect(rect.left(), rect.top(), filled, BAR, theme.color("backward" if finite else "alarm"))
        text = format(norm, self._fonts.number_format) if finite else no_number(norm)
        draw_text(self._p, line, text, self._fonts.number, theme.color("text" if finite else "bad_text"))

    def _paint_loss(self) -> None:
        """The loss as a number, at the height of the gradients it starts."""
        theme, frame, box = self._theme, self._frame, self._layout.loss_rect()
        if frame is None or frame.position.phase < self._model.loss_made_by:
            draw_text(self._p, box, NOT_YET, self._fonts.small, theme.color("muted"))
            return
        colour = theme.color("text" if math.isfinite(frame.loss) else "bad_text")
        draw_text(self._p, box, loss_text(frame.loss), self._fonts.loss, colour)

    def outline(self, lit: Lit, marked: str | None, hovered: str | None, focused: bool) -> None:
        """What was just written hugs its tile in the phase's colour; what is selected has a ring around it."""
        theme, tiles = self._theme, self._layout.tiles
        hue = theme.color(lit.direction)
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        for address in lit.earlier:
            self._ring(tiles[address], 1, hue, 1.0)
        for address in lit.fresh:
            self._ring(tiles[address], 1, hue, 2.0 if lit.column is not None else 1.0)
        if hovered in tiles and hovered != marked:
            self._ring(tiles[hovered], 3, theme.color("muted"), 1.0)
        if marked in tiles:
            self._ring(tiles[marked], 3.5, theme.color("text"), 2.0 if focused else 1.5)

    def _ring(self, tile: QRect, out: float, colour: QColor, width: float) -> None:
        self._p.setPen(QPen(colour, width, j=Qt.PenJoinStyle.MiterJoin))
        self._p.drawRect(QRectF(tile).adjusted(-out, -out, out, out))


def bar_share(norm: float, ruler: Ruler) -> float:
    """How much of its trough a norm fills; what is no number fills it."""
    if not math.isfinite(norm):
        return 1.0
    if norm <= ruler.floor:
        return 0.0
    return min(math.log(norm / ruler.floor) / math.log(ruler.limit / ruler.floor), 1.0)


def no_number(value: float) -> str:
    """NaN or infinity, as people write them."""
    return "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"


def loss_text(loss: float) -> str:
    """A loss in three decimals whatever its digits, so that it does not jump: 0.472, 12.345; 1.2e5, 6e141, ∞."""
    if not math.isfinite(loss):
        return no_number(loss)
    if loss == 0 or 1e-3 <= abs(loss) < 1e3:
        return f"{loss:.3f}"
    mantissa, _, exponent = f"{loss:.1e}".partition("e")
    return f"{mantissa if abs(int(exponent)) < 100 else mantissa.partition('.')[0]}e{int(exponent)}"


def hatched(rect: QRect, ratio: float, theme: Theme) -> QPixmap:
    """The look of "not computed yet" at a tile's size; slanted lines are slow to draw, so Qt's own cache keeps it."""
    size = QSize(round(rect.width() * ratio), round(rect.height() * ratio))
    key = f"nablascope/hatched/{size.width()}/{size.height()}/{ratio}/{theme.name}"
    pixmap = QPixmap(size)
    if not QPixmapCache.find(key, pixmap):
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(theme.color("panel"))
        painter = QPainter(pixmap)
        hatch(painter, QRect(-1, -1, rect.width() + 2, rect.height() + 2), theme)  # the tile has a frame of its own
        painter.end()
        QPixmapCache.insert(key, pixmap)
    return pixmap
