"""A widget that shows one tensor as a picture and says which of its cells the pointer is on."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes
from app.theme import Theme
from app.widgets.picture import Ruler, Values, draw_colour_bar, hatch, indexed_image, shrink
from app.widgets.sharpness import pixel_ratio

__all__ = ["Heatmap", "Ruler", "draw_colour_bar", "hatch", "indexed_image", "shrink"]

OPENING = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_F2)


def draw_ring(painter: QPainter, cell: QRectF, theme: Theme) -> None:
    """A ring around a cell that is found again whatever the cell's size and colour."""
    centre, radius = cell.center(), max(7.0, 0.75 * max(cell.width(), cell.height()))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for colour, width in (("panel", 4.5), ("good", 2.2)):
        painter.setPen(QPen(theme.color(colour), width))
        painter.drawEllipse(centre, radius, radius)


class Heatmap(QWidget):
    """One tensor, whole, in its rectangle; says which cell the pointer is on and which was clicked.

    The picture may be a block-reduced one of a larger tensor: `shape` is the true shape, signals carry true indices.
    """

    key_help: ClassVar = (("Shift+arrows", "The cell beside"),)

    hovered = Signal(int, int)  # row, column; again whenever new values are shown under a still pointer
    left = Signal()
    clicked = Signal(int, int)
    opened = Signal(int, int)  # a double click, or Enter or F2 on the marked cell: to be edited

    def __init__(self, parent: QWidget | None = None, *, name: str = "heatmap", square: bool = False) -> None:
        super().__init__(parent)
        self._square = square
        self._image: QImage | None = None
        self._drawn: QImage | None = None  # the image, or a shrunken one for a widget with fewer pixels than cells
        self._magnitude = False
        self._shape = (0, 0)
        self._marked: tuple[int, int] | None = None
        self._hinted: tuple[tuple[int, int], ...] = ()
        self._pointer: QPointF | None = None
        self.setAccessibleName(name)
        self.setAccessibleDescription("Shift and the arrow keys move the marked cell")
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the full tensor, (0, 0) when nothing is shown."""
        return self._shape

    @property
    def marked(self) -> tuple[int, int] | None:
        """The marked cell (row, column)."""
        return self._marked

    def show_values(
        self, values: Values, ruler: Ruler, shape: tuple[int, int] | None = None, *, magnitude: bool = False
    ) -> None:
        """Show (rows, cols) values; they are read at once and not kept. `shape`: of the full tensor if reduced."""
        self._image = ruler.image(values, themes.current(), magnitude=magnitude)
        self._drawn = None
        self._magnitude = magnitude
        self._shape = shape or (values.shape[0], values.shape[1])
        self.update()
        self._tell_hovered()

    def clear(self) -> None:
        """Nothing computed yet: hatched."""
        self._image = self._drawn = None
        self._shape = (0, 0)
        self.update()

    def mark(self, cell: tuple[int, int] | None) -> None:
        """Frame a cell of the full tensor, or none."""
        if cell != self._marked:
            self._marked = cell
            self.update()

    def hint(self, cells: tuple[tuple[int, int], ...]) -> None:
        """Ring these cells of the full tensor, for as long as something else is pointed at."""
        if cells != self._hinted:
            self._hinted = cells
            self.update()

    def picture_rect(self) -> QRect:
        """Where the tensor is drawn: the whole widget, or with square cells the largest centred part that fits."""
        whole, (rows, cols) = self.rect(), self._shape
        if not self._square or not rows or not cols:
            return whole
        size = QSize(cols, rows).scaled(whole.size(), Qt.AspectRatioMode.KeepAspectRatio)
        size = size.expandedTo(QSize(1, 1))
        rect = QRect(QPoint(0, 0), size)
        rect.moveCenter(whole.center())
        return rect

    def cell_at(self, point: QPointF) -> tuple[int, int] | None:
        """The cell of the full tensor under a point of the widget."""
        rect, (rows, cols) = QRectF(self.picture_rect()), self._shape
        if not rows or not cols or not rect.contains(point):
            return None
        row = int((point.y() - rect.top()) / rect.height() * rows)
        col = int((point.x() - rect.left()) / rect.width() * cols)
        return min(row, rows - 1), min(col, cols - 1)

    def cell_rect(self, row: int, col: int) -> QRectF:
        """Where a cell of the full tensor is drawn."""
        rect, (rows, cols) = QRectF(self.picture_rect()), self._shape
        width, height = rect.width() / max(cols, 1), rect.height() / max(rows, 1)
        return QRectF(rect.left() + col * width, rect.top() + row * height, width, height)

    def sizeHint(self) -> QSize:
        return QSize(160, 120)

    def minimumSizeHint(self) -> QSize:
        return QSize(24, 24)

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, rect = themes.current(), self.picture_rect()
        painter = QPainter(self)
        if self._image is None or self._image.isNull():
            hatch(painter, rect, theme)
        else:
            painter.drawImage(rect, self._fitting(rect))
            painter.setPen(QPen(theme.color("forward" if self.hasFocus() else "line"), 1))
            painter.drawRect(rect.adjusted(0, 0, -1, -1))
            self._paint_mark(painter, theme)
            self._paint_hints(painter, theme)

    def _paint_mark(self, painter: QPainter, theme: Theme) -> None:
        if self._marked is None or not (self._marked[0] < self._shape[0] and self._marked[1] < self._shape[1]):
            return
        cell = self.cell_rect(*self._marked)
        grow = max(0.0, (6 - min(cell.width(), cell.height())) / 2)  # a cell of one pixel must still be found
        cell = cell.adjusted(-grow, -grow, grow, grow) & QRectF(self.picture_rect()).adjusted(1, 1, -1, -1)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for colour, width in (("panel", 4), ("text", 2)):
            painter.setPen(QPen(theme.color(colour), width))
            painter.drawRect(cell)

    def _paint_hints(self, painter: QPainter, theme: Theme) -> None:
        for cell in self._hinted:
            if cell[0] < self._shape[0] and cell[1] < self._shape[1]:
                draw_ring(painter, self.cell_rect(*cell), theme)

    def _fitting(self, rect: QRect) -> QImage:
        assert self._image is not None
        ratio = pixel_ratio(self)
        width, height = max(1, int(rect.width() * ratio)), max(1, int(rect.height() * ratio))
        if self._image.width() <= width and self._image.height() <= height:
            return self._image
        wanted = QSize(min(width, self._image.width()), min(height, self._image.height()))
        if self._drawn is None or self._drawn.size() != wanted:
            self._drawn = shrink(self._image, width, height)
        return self._drawn

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange and self._image is not None:
            theme = themes.current()
            self._image.setColorTable(themes.magnitude_table(theme) if self._magnitude else themes.signed_table(theme))
            self._drawn = None
            self.update()
        super().changeEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        self._tell_hovered()

    def enterEvent(self, event: QEnterEvent) -> None:
        self._pointer = event.position()
        self._tell_hovered()

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self.left.emit()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Open the cell."""
        cell = self.cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.opened.emit(*cell)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if cell is not None and event.button() == Qt.MouseButton.LeftButton:
            self.mark(cell)
            self.clicked.emit(*cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        moves = {
            Qt.Key.Key_Up: (-1, 0),
            Qt.Key.Key_Down: (1, 0),
            Qt.Key.Key_Left: (0, -1),
            Qt.Key.Key_Right: (0, 1),
        }
        move = moves.get(Qt.Key(event.key()))
        if event.key() in OPENING and self._marked is not None:
            self.opened.emit(*self._marked)
            return
        if move is None or not event.modifiers() & Qt.KeyboardModifier.ShiftModifier or not self._shape[0]:
            super().keyPressEvent(event)
            return
        row, col = self._marked or (0, 0)
        row, col = row + move[0], col + move[1]
        cell = min(max(row, 0), self._shape[0] - 1), min(max(col, 0), self._shape[1] - 1)
        self.mark(cell)
        self.clicked.emit(*cell)

    def _tell_hovered(self) -> None:
        cell = self.cell_at(self._pointer) if self._pointer is not None else None
        if cell is not None:
            self.hovered.emit(*cell)
