"""Paints what every frame of the Flow view changes: tiles, norms, the loss, and the outlines around tiles."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPainterPath, QPen, QPolygonF

from app import theme as themes
from app.widgets.flow_backdrop import CENTRE, draw_arrow, draw_text
from app.widgets.flow_fold_painter import FoldPainter, bar_share
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import BAR, FlowLayout
from app.widgets.flow_marks import MarkPainter
from app.widgets.flow_model import Direction, Lit, Row
from app.widgets.flow_skips import SkipPainter
from app.widgets.heatmap import draw_ring
from app.widgets.sharpness import pixel_ratio
from engine.frames import Frame

NOT_YET = "not yet"
DIM = 0.3  # opacity of an arrow nothing has flowed along yet
THINNEST, THICKEST = 1.2, 7.0  # pixels of an arrow


class FlowPainter:
    """One painting of what lies before the backdrop, in content coordinates."""

    def __init__(self, painter: QPainter, layout: FlowLayout, images: FlowImages, frame: Frame | None) -> None:
        self._p, self._layout, self._images, self._frame = painter, layout, images, frame
        self._model, self._fonts, self._theme = layout.model, layout.fonts, themes.current()
        self._ratio = pixel_ratio(painter.device())
        self._scalars = frame.scalars if frame is not None else {}
        self._thickest = min(THICKEST, max(0.4 * layout.gap, THINNEST + 0.4))
        self._marks = MarkPainter(painter, layout, images)
        self._skips = SkipPainter(painter, layout)
        self._folds = FoldPainter(painter, layout)

    def paint(self, visible: QRect, part: QRect) -> None:
        """Tiles and numbers of the columns in a part of the visible content."""
        seen, columns = self._layout.seen(part), self._model.columns
        self._paint_tiles(seen)
        if not self._layout.crowded:
            for index in seen:
                if index + 1 < len(columns):
                    self._paint_arrows(index)
        self._paint_skips(part)
        for index in seen:
            if columns[index].hidden:
                self._folds.paint(index, self._scalars, self._images)
        self._paint_norms([index for index in seen if columns[index].norm and not columns[index].hidden])
        self._paint_loss()
        self._marks.beside_rulers(visible)

    def _paint_tiles(self, seen: list[int]) -> None:
        """Images only: frames, and the look of what is not computed, are in the backdrop."""
        ratio, rects, images = self._ratio, self._layout.tiles, self._images
        tiles = [tile.address for index in seen for tile in self._model.columns[index].tiles]
        images.draw({a: (int(rects[a].width() * ratio), int(rects[a].height() * ratio)) for a in tiles})
        for address in tiles:
            image = images.image(address)
            if image is not None:
                self._p.drawImage(rects[address], image)
                self._marks.on_tile(address)

    def _paint_arrows(self, index: int) -> None:
        """To the column at the right: forward along the activations, backward along the gradients.

        Their width is what is passed on: the root mean square of y, ‖grad_y‖, each on a log scale.
        """
        columns = self._model.columns
        routes: tuple[tuple[Row, int, Direction, str, str], ...] = (
            (Row.ACTIVATIONS, index + 1, "forward", columns[index].rms, columns[index + 1].rms),
            (Row.GRADIENTS, index, "backward", columns[index].norm, columns[index].norm),
        )
        for row, into, direction, passed, after in routes:
            flowed = self._flowed(into, row)
            self._p.setOpacity(1.0 if flowed else DIM)
            block = self._model.sums.get((index, row))
            if block is None or not self._skips.has_room:
                left, right, y = self._layout.arrow(index, row)
                draw_arrow(self._p, left, right, y, self._theme.color(direction), direction, self._width(passed))
            else:
                before = passed if direction == "forward" else f"passed.{block.place}.0"
                self._skips.paint_sum(index, row, direction, self._width(before), self._width(after))
        self._p.setOpacity(1.0)

    def _paint_skips(self, visible: QRect) -> None:
        """Around every block, as wide as what goes there: x or its projection, grad_y or what that makes of it."""
        seen = range(*self._between(visible))
        for block in self._model.blocks:
            if not (block.first - 1 in seen or block.last in seen):
                continue
            ways: tuple[tuple[Direction, str, str, bool], ...] = (
                ("forward", "rms", self._model.columns[block.first - 1].rms, self._flowed(block.last, Row.ACTIVATIONS)),
                ("backward", "passed", f"delta.{block.place}", self._flowed(block.first - 1, Row.GRADIENTS)),
            )
            for direction, kind, plain, flowed in ways:
                projected = f"{kind}.{block.place}.skip"
                self._p.setOpacity(1.0 if flowed else DIM)
                self._skips.paint_skip(
                    block, direction, self._width(projected if projected in self._scalars else plain)
                )
        self._p.setOpacity(1.0)

    def _between(self, visible: QRect) -> tuple[int, int]:
        seen = self._layout.seen(visible)
        return (seen[0], seen[-1] + 1) if seen else (0, 0)

    def _flowed(self, column: int, row: Row) -> bool:
        """Whether what flows into a column in a row has arrived in this mini-batch."""
        into = self._model.columns[column]
        if into.hidden:
            name = into.hidden[0].rms if row is Row.ACTIVATIONS else into.norm
            return name in self._scalars
        return any(tile.address in self._images.shapes for tile in into.row(row))

    def _width(self, name: str) -> float:
        """Of the line along which something of this size is passed on; thin where it is not known yet."""
        size = self._scalars.get(name)
        if size is None:
            return THINNEST + (self._thickest - THINNEST) * 0.25
        share = self._images.activity(name) if name.startswith("rms") else bar_share(size, self._images.norm_ruler)
        return THINNEST + (self._thickest - THINNEST) * share

    def _paint_norms(self, columns: list[int]) -> None:
        """A bar in each column's trough and, where there is room, the number under it."""
        theme, scalars = self._theme, self._scalars
        norms = {index: scalars.get(self._model.columns[index].norm) for index in columns}
        for index, norm in norms.items():
            if norm is not None:
                rect = self._layout.norm_rect(index)
                filled = round(rect.width() * bar_share(norm, self._images.norm_ruler))
                colour = theme.color("backward" if math.isfinite(norm) else "alarm")
                self._p.fillRect(rect.left(), rect.top(), filled, BAR, colour)
        if self._layout.crowded:
            return
        self._p.setFont(self._fonts.number)  # which is chosen so that every norm fits
        for index, norm in norms.items():
            line = self._layout.text_rect(index, self._layout.norm_rect(index).bottom() + 4, self._layout.line + 2)
            if norm is None:
                draw_text(self._p, line, NOT_YET, self._fonts.small, theme.color("muted"))
                self._p.setFont(self._fonts.number)
                continue
            finite = math.isfinite(norm)
            self._p.setPen(theme.color("text" if finite else "bad_text"))
            self._p.drawText(line, CENTRE, format(norm, self._fonts.number_format) if finite else no_number(norm))

    def _paint_loss(self) -> None:
        """The loss as a number, at the height of the gradients it starts."""
        if self._layout.crowded:
            return
        theme, frame, box = self._theme, self._frame, self._layout.loss_rect()
        if frame is None or frame.position.phase < self._model.loss_made_by:
            draw_text(self._p, box, NOT_YET, self._fonts.small, theme.color("muted"))
            return
        colour = theme.color("text" if math.isfinite(frame.loss) else "bad_text")
        draw_text(self._p, box, loss_text(frame.loss), self._fonts.loss, colour)

    def outline(self, lit: Lit, marked: str | None, hovered: str | None, focused: bool, part: QRect) -> None:
        """What was just written hugs its tile in the phase's colour; what is selected has a ring around it."""
        theme, tiles = self._theme, self._layout.tiles
        hue, near = theme.color(lit.direction), part.adjusted(-2, -2, 2, 2)
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        for addresses, width in ((lit.earlier, 1.0), (lit.fresh, 2.0 if lit.columns is not None else 1.0)):
            for address in addresses:
                if near.intersects(tiles[address]):
                    self._ring(tiles[address], 1, hue, width)
        if marked in self._model.hidden:
            tile = self._model.hidden[marked]
            self._ring(self._layout.fold_rect(tile.column, tile.row), 3.5, theme.color("text"), 2.0 if focused else 1.5)
        if hovered in tiles and hovered != marked:
            self._ring(tiles[hovered], 3, theme.color("muted"), 1.0)
        if marked in tiles:
            self._ring(tiles[marked], 3.5, theme.color("text"), 2.0 if focused else 1.5)

    def trace(self, lit: Lit, sources: tuple[str, ...]) -> None:
        """Lines to the tiles just written from those that they were computed from."""
        colour = self._theme.color(lit.direction)
        tiles = self._layout.tiles
        known = dict.fromkeys(address for a in sources if (address := self._model.tile_of(a)) in tiles)
        layers = {self._model.tiles[address].column for address in lit.fresh}
        plain = lit.columns is not None and len(layers) == 1  # an update stands right above its gradient
        for target in lit.fresh if plain else ():  # what went through several layers would be a tangle
            for source in known:
                if source != target:
                    self._line(tiles[source], tiles[target], colour)
        for source in known:
            self._p.setPen(QPen(colour, 1.4, Qt.PenStyle.DashLine))
            self._p.drawRect(QRectF(tiles[source]).adjusted(-2, -2, 2, 2))

    def _line(self, source: QRect, target: QRect, colour: QColor) -> None:
        """A curve from one tile to another, with an arrow at its end."""
        start, end = QPointF(source.center()), QPointF(target.center())
        across = abs(end.x() - start.x()) > max(source.width(), target.width()) / 2
        if across:
            right = end.x() > start.x()
            start.setX(source.right() + 3 if right else source.left() - 3)
            end.setX(target.left() - 4 if right else target.right() + 4)
            bend = QPointF((end.x() - start.x()) / 2, 0)
        else:
            down = end.y() > start.y()
            start.setY(source.bottom() + 3 if down else source.top() - 3)
            end.setY(target.top() - 4 if down else target.bottom() + 4)
            bend = QPointF(0, (end.y() - start.y()) / 2)
        path = QPainterPath(start)
        path.cubicTo(start + bend, end - bend, end)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        for shade, width in ((self._theme.color("panel"), 4.0), (colour, 1.8)):
            self._p.setPen(QPen(shade, width * themes.stroke()))
            self._p.drawPath(path)
        length = math.hypot(bend.x(), bend.y()) or 1.0
        along = QPointF(bend.x() / length * 7, bend.y() / length * 7)
        beside = QPointF(-along.y() * 0.6, along.x() * 0.6)
        self._p.setPen(Qt.PenStyle.NoPen)
        self._p.setBrush(colour)
        self._p.drawPolygon(QPolygonF([end + along * 0.4, end - along + beside, end - along - beside]))
        self._p.setBrush(Qt.BrushStyle.NoBrush)
        self._p.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def ring(self, address: str, index: tuple[int, ...]) -> None:
        """A ring around one cell of a tensor, in the tile that shows it."""
        shown = self._model.tile_of(address)
        tile, sheet = self._layout.tiles.get(shown), self._images.sheet(shown) if shown in self._model.tiles else None
        cell = sheet.cell_of(index) if sheet is not None else None
        if tile is None or sheet is None or cell is None:
            return
        width, height = tile.width() / sheet.size[1], tile.height() / sheet.size[0]
        place = QRectF(tile.left() + cell[1] * width, tile.top() + cell[0] * height, width, height)
        draw_ring(self._p, place, self._theme)

    def _ring(self, tile: QRect, out: float, colour: QColor, width: float) -> None:
        self._p.setPen(QPen(colour, width, j=Qt.PenJoinStyle.MiterJoin))
        self._p.drawRect(QRectF(tile).adjusted(-out, -out, out, out))


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
