"""Where everything of the Flow view lies, for a network and a size; plain arithmetic, nothing is painted here."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QFont, QFontMetrics
from PySide6.QtWidgets import QApplication

from app import theme as themes
from app.widgets.flow_model import Bracket, Column, FlowModel, Row, Tile

MARGIN, TOP = 14, 10
ROW_GAP = 8
NARROWEST, WIDEST = 6, 1.9  # of a column: pixels, and times the height of a tile
LOWEST, HIGHEST = 32, 300  # a tile's height in pixels
GAP = 0.34  # between two columns, of a column's width: room for an arrow
GAP_WITH_SUMS = 0.6
GAPS = 3, 72
ROOM_FOR_TEXT = 30  # pixels from one column to the next, below which only numbers of layers are written
STRIP_GAP = 6
BAR = 8  # thickness of a ‖grad‖ bar
WITH_PARAMETERS = 1.35  # how much wider a column with parameters is
OF_HIDDEN = 0.15  # of each column folded away, to the fold's width
SKIP_ROOM = 14  # pixels above activations and below gradients for the way around a block


@dataclass(frozen=True)
class Fonts:
    """The fonts of one layout."""

    title: QFont
    small: QFont
    number: QFont
    loss: QFont
    number_format: str  # of a norm

    @classmethod
    def of(cls, model: FlowModel, pitch: float, column: int) -> Fonts:
        """The largest that fit into the narrowest column (its share of the gap included)."""
        small = _scaled(0.86)
        texts = [c.title for c in model.columns]
        title = _fitting(themes.tabular(QApplication.font()), texts, pitch, (1.08, 1.0, 0.9, 0.8), bold=True)
        smallest = QFontMetrics(_scaled(0.72))
        places = next((n for n in (2, 1) if smallest.horizontalAdvance(f"{0:.{n}e}") <= pitch - 4), 0)
        widest = [f"{0:.{places}e}"]
        number = _fitting(themes.tabular(QApplication.font()), widest, pitch - 4, (0.86, 0.8, 0.72, 0.64, 0.56))
        loss = _fitting(
            themes.tabular(QApplication.font()), ["00.000"], column + 8, (1.9, 1.6, 1.3, 1.0, 0.8, 0.64, 0.5), bold=True
        )
        return cls(title, small, number, loss, f".{places}e")


def _fitting(font: QFont, texts: list[str], width: float, scales: tuple[float, ...], *, bold: bool = False) -> QFont:
    """The font at the largest scale at which each text is no wider than `width`; else at the smallest."""
    size = font.pointSizeF()
    font.setBold(bold)
    for scale in scales:
        font.setPointSizeF(size * scale)
        metrics = QFontMetrics(font)
        if max(metrics.horizontalAdvance(t) for t in texts) <= width:
            break
    return font


@dataclass(frozen=True)
class Span:
    """Left edge and width of a column."""

    left: int
    width: int

    @property
    def right(self) -> int:
        """The first pixel beyond it."""
        return self.left + self.width


class FlowLayout:
    """Rectangles in content coordinates; `size` is the content's, never smaller than the view it was made for."""

    def __init__(self, model: FlowModel, view: QSize, zoom: float = 1.0) -> None:
        """All columns fit into the view if they can; `zoom`, from 1, is how many times wider they are."""
        self.model = model
        self._zoom = zoom
        self.line = QFontMetrics(_scaled(0.86)).height()
        self.head = 4 + QFontMetrics(QApplication.font()).height() + 4 + self.line + 8  # title and caption
        above = self.line + 5  # a row's title
        below = self.line + 4  # the shapes under the activations
        legend = self.line + 14
        start = TOP + legend + 4
        norms = above + BAR + 4 + self.line + 6
        rows = len(model.rows)
        self.band = self.model.levels * (self.line + 5)  # brackets over the titles
        self.skips = self.model.nested * SKIP_ROOM
        self.head += self.band
        fixed = start + self.head + rows * (above + ROW_GAP) + below + norms + 6 + 2 * self.skips
        self.tile_height = min(max((view.height() - fixed) // rows, LOWEST), HIGHEST)
        self.spans = self._spread(view.width())
        self.gap = self.spans[1].left - self.spans[0].right
        needed = fixed + rows * self.tile_height
        self.size = QSize(max(view.width(), self.spans[-1].right + MARGIN), max(view.height(), needed))
        self.top = start + max(0, (view.height() - needed) // 2)
        left, right = self.spans[0].left, min(self.spans[-1].right, view.width() - MARGIN)
        self.legend = QRect(left, self.top - legend - 4, right - left, legend)
        self._stack(above, below)
        self._place_tiles()
        self._choose_fonts()

    def _choose_fonts(self) -> None:
        """Fonts that fit the narrowest column; long captions only where every one of them fits."""
        narrowest = min(span.width for span in self.spans)
        self.crowded = narrowest + self.gap < ROOM_FOR_TEXT
        self.fonts = Fonts.of(self.model, max(narrowest + self.gap, ROOM_FOR_TEXT) - 2, self.spans[-1].width)
        metrics = QFontMetrics(self.fonts.small)
        self.every = -(-metrics.horizontalAdvance("000") // (narrowest + self.gap))  # so many
        self.long_captions = all(
            metrics.horizontalAdvance(column.caption) <= span.width + self.gap - 2
            for column, span in zip(self.model.columns, self.spans, strict=True)
        )

    def _spread(self, available: int) -> list[Span]:
        """Columns as wide as the view allows, none wider than looks well, the whole centred."""
        weights = [_weight(column) for column in self.model.columns]
        room, gaps, share = available - 2 * MARGIN, len(weights) - 1, GAP_WITH_SUMS if self.model.blocks else GAP
        unit = room / (sum(weights) + share * gaps)
        gap = int(min(max(unit * share, GAPS[0]), GAPS[1]))
        unit = (room - gap * gaps) / sum(weights)
        unit = self._zoom * min(max(unit, NARROWEST), WIDEST * self.tile_height / WITH_PARAMETERS)
        gap = int(min(gap * self._zoom, GAPS[1]))
        total = sum(weights) * unit + gap * gaps
        if total < room:  # what the tiles cannot use, the arrows get, up to a point
            gap = int(min(gap + (room - total) / gaps, 1.6 * GAPS[1]))
            total = sum(weights) * unit + gap * gaps
        left, spans = max(MARGIN, (available - total) / 2), []
        for weight in weights:
            spans.append(Span(round(left), round(left + weight * unit) - round(left)))
            left += weight * unit + gap
        return spans

    def _stack(self, above: int, below: int) -> None:
        """The rows from the top down."""
        self.title_top = self.top + 4 + self.band
        y = self.top + self.head
        self.row_tops: dict[Row, int] = {}
        self.row_titles: dict[Row, int] = {}
        for row in self.model.rows:
            self.row_titles[row] = y
            y += above + (self.skips if row is Row.ACTIVATIONS else 0)
            self.row_tops[row] = y
            y += self.tile_height + ROW_GAP
            y += {Row.ACTIVATIONS: below, Row.GRADIENTS: self.skips}.get(row, 0)
        self.norm_title = y
        self.norm_top = y + above
        self.bottom = self.norm_top + BAR + 4 + self.line + 6

    def _place_tiles(self) -> None:
        self.tiles: dict[str, QRect] = {}
        for column, span in zip(self.model.columns, self.spans, strict=True):
            for row in self.model.rows:
                self._place(column.row(row), span, self.row_tops[row])

    def _place(self, tiles: tuple[Tile, ...], span: Span, top: int) -> None:
        """Matrices share the width that the narrow strips of vectors leave."""
        strips = sum(tile.strip for tile in tiles)
        wide = len(tiles) - strips
        strip = min(max(round(span.width * 0.09), 5), 16)
        if not wide and strips:
            strip = min((span.width - STRIP_GAP * (strips - 1)) // strips, 3 * strip)
        room = span.width - strips * strip - STRIP_GAP * (len(tiles) - 1)
        left = float(span.left)
        for tile in tiles:
            width = strip if tile.strip else max(room / wide, 3.0)
            self.tiles[tile.address] = QRect(round(left), top, round(left + width) - round(left), self.tile_height)
            left += width + STRIP_GAP

    def lit_rect(self, first: int, last: int) -> QRect:
        """The background of columns."""
        left, right, pad = self.spans[first].left, self.spans[last].right, min(self.gap // 2 - 1, 10)
        top = self.top + self.band
        return QRect(left - pad, top, right - left + 2 * pad, self.bottom - top)

    def bracket_rect(self, bracket: Bracket) -> QRect:
        """The line of a bracket over its columns."""
        left, right = self.spans[bracket.first].left, self.spans[bracket.last].right
        return QRect(left, self.top + bracket.level * (self.line + 5), right - left, self.line + 3)

    def fold_rect(self, column: int, row: Row) -> QRect:
        """The part of a fold in a row of tiles."""
        span = self.spans[column]
        return QRect(span.left, self.row_tops[row], span.width, self.tile_height)

    def fold_at(self, x: int, y: int) -> Bracket | None:
        """What a click at a point of the content folds or unfolds."""
        for bracket in self.model.brackets:
            rect = self.bracket_rect(bracket)
            inside = [i for i in range(bracket.first, bracket.last + 1) if self.model.columns[i].hidden]
            over_fold = any(self.lit_rect(i, i).contains(x, y) for i in inside)
            if bracket.repeat is not None and (rect.contains(x, y) or over_fold):
                return bracket
        return None

    def band_rect(self, row: Row) -> QRect:
        """The background of a row of tiles."""
        left, right = self.spans[0].left - 8, self.spans[-1].right + 8
        return QRect(
            left,
            self.row_titles[row] - 1,
            right - left,
            self.row_tops[row] + self.tile_height + 6 - self.row_titles[row],
        )

    def seen(self, visible: QRect) -> list[int]:
        """The columns that a part of the content shows."""
        left, right = visible.left() - self.gap, visible.right() + self.gap
        return [i for i, span in enumerate(self.spans) if span.right >= left and span.left <= right]

    def loss_rect(self) -> QRect:
        """Where the loss stands as a number, at the height of the gradients it starts."""
        height = QFontMetrics(self.fonts.loss).height()
        top = self.row_tops[Row.GRADIENTS] + self.tile_height // 2 - height
        return self.text_rect(len(self.spans) - 1, top, height)

    def text_rect(self, column: int, top: int, height: int) -> QRect:
        """A line of text under or over a column, as wide as the column and its share of the gaps."""
        span, share = self.spans[column], self.gap - 2
        return QRect(span.left - share // 2, top, span.width + share, height)

    def norm_rect(self, column: int) -> QRect:
        """The trough of a column's ‖grad‖ bar."""
        span = self.spans[column]
        return QRect(span.left, self.norm_top, span.width, BAR)

    def arrow(self, column: int, row: Row) -> tuple[float, float, float]:
        """The arrow between a column and the one at its right: left end, right end, height."""
        left, right = self.spans[column].right, self.spans[column + 1].left
        half = min((right - left) / 2 - 2.5, 14)
        middle = (left + right) / 2
        return middle - half, middle + half, self.row_tops[row] + self.tile_height / 2

    def tile_at(self, x: int, y: int) -> Tile | None:
        """The tile under a point of the content."""
        for address, rect in self.tiles.items():
            if rect.contains(x, y):
                return self.model.tiles[address]
        return None


def _weight(column: Column) -> float:
    if column.hidden:
        return min(1 + OF_HIDDEN * len(column.hidden), 4.0)
    return WITH_PARAMETERS if column.row(Row.PARAMETERS) else 1.0


def _scaled(scale: float) -> QFont:
    """The application's font at another size."""
    font = themes.tabular(QApplication.font())
    font.setPointSizeF(font.pointSizeF() * scale)
    return font
