"""Paints what is to be said of rulers on and beside tiles: values beyond them, and a tensor's own ruler."""

from __future__ import annotations

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from app import theme as themes
from app.widgets.flow_backdrop import legend_bar, row_title
from app.widgets.flow_clipping import draw_corner, draw_ends, draw_told, together
from app.widgets.flow_images import FlowImages
from app.widgets.flow_layout import FlowLayout
from app.widgets.flow_model import Row
from app.widgets.picture import Ruler, compact, draw_colour_ramp

RAMP = 5  # pixels of a tile's own ruler


class MarkPainter:
    """Draws marks in content coordinates."""

    def __init__(self, painter: QPainter, layout: FlowLayout, images: FlowImages) -> None:
        self._p, self._layout, self._images, self._theme = painter, layout, images, themes.current()

    def on_tile(self, address: str) -> None:
        """A corner where values are beyond the ruler; the ruler itself where it is this tensor's own by choice."""
        rect = self._layout.tiles[address]
        if address in self._images.rulers.scales.alone:
            ruler = self._images.ruler(address)
            if ruler is not None:
                self._own_ruler(rect, ruler)
        if address in self._images.beyond:
            draw_corner(self._p, rect)

    def _own_ruler(self, tile: QRect, ruler: Ruler) -> None:
        """Its colours along the tile's lower edge, over them where they are full, where there is room."""
        ramp = QRect(tile.left(), tile.bottom() + 1 - RAMP, tile.width(), RAMP)
        draw_colour_ramp(self._p, QRectF(ramp), self._theme)
        self._p.setPen(QPen(self._theme.color("text"), 1))
        self._p.drawRect(QRectF(ramp).adjusted(-0.5, -0.5, 0.5, 0.5))
        text, font = f"±{compact(ruler.limit)}", self._layout.fonts.small
        self._p.setFont(font)
        metrics = self._p.fontMetrics()
        wide = metrics.horizontalAdvance(text) + 4
        if wide <= tile.width() and metrics.height() + RAMP <= tile.height() / 2:
            plate = QRect(tile.left(), ramp.top() - metrics.height(), wide, metrics.height())
            self._p.fillRect(plate, self._theme.color("panel"))
            self._p.setPen(self._theme.color("text"))
            self._p.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)

    def beside_rulers(self, visible: QRect) -> None:
        """At the colour bar and at the rows' titles: how much is beyond in all."""
        images, layout = self._images, self._layout
        if not images.beyond:
            return
        tiles = layout.model.tiles
        shared = [b for a, b in images.beyond.items() if tiles[a].gradient and a not in images.rulers.scales.alone]
        gradients = together(shared)
        if gradients is not None:
            bar = legend_bar(layout).translated(visible.left(), 0)
            line = QRectF(visible.left(), bar.bottom() + 2, bar.left() - 12 - visible.left(), layout.line)
            draw_told(self._p, line, gradients, layout.fonts.small, to_right=True)
            draw_ends(self._p, bar, gradients)
        for row, top in layout.row_titles.items():
            values = together(b for a, b in images.beyond.items() if tiles[a].row is row and not tiles[a].gradient)
            if values is not None and row in (Row.ACTIVATIONS, Row.PARAMETERS):
                left = max(layout.spans[0].left, visible.left() + 6)
                self._p.setFont(layout.fonts.small)
                left += self._p.fontMetrics().horizontalAdvance(row_title(layout, images, row)) + 14
                draw_told(self._p, QRectF(left, top, 10, layout.line + 2), values, layout.fonts.small, to_right=False)
