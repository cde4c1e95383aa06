"""The confusion matrix: how many samples of each class the network takes for each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from app import theme as themes
from app.theme import Theme
from app.widgets.numbers import count

Cell = tuple[int, int]  # class, class that it is taken for

STRENGTH = 0.45  # of the colour of a cell that holds its whole row: its number stays readable
LEAST_POINTS = 5.5  # of a cell's number; smaller ones are told by the tool tip alone
LARGEST = 2.5  # times the names' font: numbers in large cells
LONGEST_NAME = 72  # pixels
LOW = 12  # lines of text; a lower matrix has its caption at the left
WIDEST, FEW = 2.4, 4  # times its height, unless there are so few classes that cells are large anyway
CAPTIONS, SHORT = ("true ↓", "predicted →"), ("true ↓", "pred. →")
KEYS = {Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0), Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1)}


class Confusion(QWidget):
    """A row for each class, a column for each class named; framed where they agree. A click on a cell chooses it."""

    key_help: ClassVar = (("Shift+arrows", "The cell beside"), ("Backspace", "All mistakes"))

    chosen = Signal(object)  # Cell, or None where none is chosen any more

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: NDArray[Any] = np.zeros((0, 0), int)
        self._names: tuple[str, ...] = ()
        self._cell: Cell | None = None
        self._metrics: QFontMetricsF | None = None  # of the names' font, until it changes
        self._grid: QRectF | None = None  # where the cells are, until that changes
        self.setAccessibleName("confusion matrix")
        self.setToolTip("Rows: the true class; columns: the class predicted. Click a cell to see its samples")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_counts(self, counts: NDArray[Any], names: Sequence[str]) -> None:
        """Show counts (K, K) for classes of these names, the rest by their numbers."""
        if counts.shape != self._counts.shape:
            self._cell = None
        self._counts = counts.astype(int)
        self._names = (*names, *(str(k) for k in range(len(names), len(counts))))
        self._grid = None
        right = int(np.trace(self._counts))
        self.setAccessibleDescription(f"{count(right)} of {count(int(self._counts.sum()))} right; Shift and arrows")
        self.update()

    @property
    def counts(self) -> NDArray[Any]:
        """What is shown, (K, K)."""
        return self._counts

    @property
    def cell(self) -> Cell | None:
        """The cell chosen."""
        return self._cell

    def choose(self, cell: Cell | None) -> None:
        """Choose a cell, or none."""
        if cell != self._cell:
            self._cell = cell
            self.update()
            self.chosen.emit(cell)

    def tell(self, cell: Cell) -> str:
        """A cell in words."""
        row, column = cell
        here, whole = int(self._counts[cell]), int(self._counts[row].sum())
        taken = "recognised" if row == column else f"taken for {self._names[column]}"
        return f"{self._names[row]} {taken}: {count(here)} of {count(whole)}"

    # --- geometry -----------------------------------------------------------------------------

    def _font(self) -> QFont:
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.85)
        return font

    def _measure(self) -> QFontMetricsF:
        """Of the names' font; measuring anew for every cell would take longer than to draw it."""
        if self._metrics is None:
            self._metrics = QFontMetricsF(self._font())
        return self._metrics

    @property
    def _low(self) -> bool:
        """Whether there is no height for a caption below."""
        return self.height() < LOW * self._measure().height()

    @property
    def _widest(self) -> float:
        return WIDEST if len(self._counts) > FEW else 1.0

    def _names_room(self) -> float:
        metrics = self._measure()
        return min(max((metrics.horizontalAdvance(n) for n in self._names), default=0.0), LONGEST_NAME) + 6

    def _caption_room(self) -> float:
        """The width for a caption at the left."""
        return self._measure().horizontalAdvance(SHORT[1]) + 8 if self._low else 0.0

    def grid_rect(self) -> QRectF:
        """Where the cells are, with names at the left and above; where it is low they may be wider than high."""
        if self._grid is None:
            line, left = self._measure().height(), self._names_room() + self._caption_room()
            high = max(self.height() - line - 3 - (0 if self._low else line + 2), 8.0)
            wide = max(min(self.width() - left - 1, high * (self._widest if self._low else 1.0)), 8.0)
            high = high if self._low else min(high, wide)
            across = left + max((self.width() - left - 1 - wide) / 2, 0)
            self._grid = QRectF(across, line + 2, wide, high)
        return self._grid

    def width_for(self, height: int) -> int:
        """The width that is put to use at a height."""
        line = self._measure().height()
        if height < LOW * line:
            caption = self._measure().horizontalAdvance(SHORT[1]) + 8
            return round(self._names_room() + caption + self._widest * (height - line)) + 1
        return round(self._names_room() + height - 2 * line) + 1

    def cell_rect(self, row: int, column: int) -> QRectF:
        """Where a cell is."""
        grid, size = self.grid_rect(), max(len(self._counts), 1)
        wide, high = grid.width() / size, grid.height() / size
        return QRectF(grid.left() + column * wide, grid.top() + row * high, wide, high)

    def cell_at(self, place: QPointF) -> Cell | None:
        """The cell under a place of the widget."""
        grid, size = self.grid_rect(), len(self._counts)
        if not size or not grid.contains(place):
            return None
        row, column = ((place.y() - grid.top()), (place.x() - grid.left()))
        return min(int(row / grid.height() * size), size - 1), min(int(column / grid.width() * size), size - 1)

    def sizeHint(self) -> QSize:
        return QSize(180, 170)

    def minimumSizeHint(self) -> QSize:
        return QSize(90, 80)

    # --- painting -----------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if not len(self._counts):
            return
        theme, painter = themes.current(), QPainter(self)
        self._paint_cells(painter, theme)
        self._paint_numbers(painter, theme)
        self._paint_names(painter, theme)
        if self._cell is not None:
            rect = self.cell_rect(*self._cell).adjusted(0.5, 0.5, -0.5, -0.5)
            for colour, width in (("panel", 4.0), ("text", 2.0)):
                painter.setPen(QPen(theme.color(colour), width))
                painter.drawRect(rect)

    def _paint_cells(self, painter: QPainter, theme: Theme) -> None:
        """Blue on the diagonal, orange beside it, as strong as the cell's share of its row."""
        whole = np.maximum(self._counts.sum(axis=1, keepdims=True), 1)
        shares = (self._counts / whole * STRENGTH).tolist()
        for row, line in enumerate(shares):
            for column, share in enumerate(line):
                if share:
                    colour = QColor(theme.forward if row == column else theme.backward)
                    colour.setAlphaF(share)
                    painter.fillRect(self.cell_rect(row, column), colour)
        painter.setPen(QPen(theme.color("line"), 1))
        grid, size = self.grid_rect(), len(self._counts)
        for number in range(size + 1):
            along, down = QPointF(number * grid.width() / size, 0), QPointF(0, number * grid.height() / size)
            painter.drawLine(grid.topLeft() + along, grid.bottomLeft() + along)
            painter.drawLine(grid.topLeft() + down, grid.topRight() + down)
        painter.setPen(QPen(theme.color("muted"), 1))
        for number in range(size):
            painter.drawRect(self.cell_rect(number, number).adjusted(1, 1, -1, -1))

    def _paint_numbers(self, painter: QPainter, theme: Theme) -> None:
        """The counts, where they fit; an empty cell holds none."""
        font, side = self._font(), self.cell_rect(0, 0).width()
        longest = "0" * len(str(int(self._counts.max())))
        room = min(
            (side - 3) / max(QFontMetricsF(font).horizontalAdvance(longest), 1), side / QFontMetricsF(font).height()
        )
        font.setPointSizeF(font.pointSizeF() * min(room, max(1.0, 0.45 * room), LARGEST))
        if font.pointSizeF() < LEAST_POINTS:
            return
        painter.setFont(font)
        painter.setPen(theme.color("text"))
        for row, column in np.argwhere(self._counts).tolist():
            text = str(int(self._counts[row, column]))
            painter.drawText(self.cell_rect(row, column), Qt.AlignmentFlag.AlignCenter, text)

    def _paint_names(self, painter: QPainter, theme: Theme) -> None:
        font = self._font()
        painter.setFont(font)
        painter.setPen(theme.color("muted"))
        metrics, grid = QFontMetricsF(font), self.grid_rect()
        line, right, middle = metrics.height(), Qt.AlignmentFlag.AlignRight, Qt.AlignmentFlag.AlignCenter
        down, across = (max(1, -(-round(line - 3) // max(round(side), 1))) for side in self._sides())
        for k in range(0, len(self._counts), down):  # names that would overlap are left out
            beside = QRectF(grid.left() - self._names_room(), self.cell_rect(k, k).center().y() - line / 2, 0, line)
            beside.setRight(grid.left() - 4)
            name = metrics.elidedText(self._names[k], Qt.TextElideMode.ElideRight, beside.width())
            painter.drawText(beside, right | Qt.AlignmentFlag.AlignVCenter, name)
        for k in range(0, len(self._counts), across):
            wide = self._sides()[1] * across
            above = QRectF(self.cell_rect(k, k).center().x() - wide / 2, 0, wide, line)
            name = metrics.elidedText(self._names[k], Qt.TextElideMode.ElideRight, wide - 1)
            painter.drawText(above, middle, name)
        if self._low:
            room = QRectF(grid.left() - self._names_room() - self._caption_room(), grid.top(), 0, grid.height())
            room.setWidth(self._caption_room())
            painter.drawText(room, Qt.AlignmentFlag.AlignVCenter, "\n".join(SHORT))
        else:
            below = QRectF(grid.left() - 30, grid.bottom() + 2, grid.width() + 60, line)
            painter.drawText(below, middle, "   ".join(CAPTIONS))

    def _sides(self) -> tuple[float, float]:
        """Height and width of a cell."""
        cell = self.cell_rect(0, 0)
        return cell.height(), cell.width()

    # --- acting -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Choose the cell under the pointer, or let go of it."""
        cell = self.cell_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton:
            self.choose(None if cell == self._cell else cell)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Shift and an arrow choose the next cell, Backspace none."""
        move, size = KEYS.get(Qt.Key(event.key())), len(self._counts)
        if event.key() == Qt.Key.Key_Backspace:
            self.choose(None)
        elif move is not None and event.modifiers() & Qt.KeyboardModifier.ShiftModifier and size:
            row, column = (0, 0) if self._cell is None else (self._cell[0] + move[0], self._cell[1] + move[1])
            self.choose((min(max(row, 0), size - 1), min(max(column, 0), size - 1)))
        else:
            super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            cell = self.cell_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), self.toolTip() if cell is None else self.tell(cell), self)
            return True
        return super().event(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._grid = None

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._metrics = self._grid = None
            self.update()
