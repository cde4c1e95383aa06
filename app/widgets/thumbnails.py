"""The pictures of a mini-batch, each with what the network says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QImage, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QToolTip, QWidget

from app import theme as themes
from app.widgets.guesses import Guess

GAP = 6  # pixels between two pictures
NO_ROOM = "not computed yet: step once"


class Thumbnails(QAbstractScrollArea):
    """As many columns as the width allows; all pictures are drawn by one painter, from one image."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._guesses: Sequence[Guess] = ()
        self._levels: NDArray[np.uint8] = np.zeros((0, 1, 1), np.uint8)
        self._sheet = QImage()
        self._message = NO_ROOM
        self._longest = 1  # characters of the longest class name
        self.setAccessibleName("Pictures of the mini-batch")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setAutoFillBackground(False)

    def set_classes(self, names: Sequence[str]) -> None:
        """Make room for the names of the classes."""
        self._longest = min(max((len(name) for name in names), default=1), 10)
        self._settle()

    def show_pictures(self, pictures: NDArray[Any], guesses: Sequence[Guess]) -> None:
        """Show pictures (B, rows, columns), 0 … 1, and one guess for each."""
        anew = pictures.shape != self._levels.shape
        with np.errstate(invalid="ignore"):
            self._levels = (np.clip(np.nan_to_num(pictures), 0.0, 1.0) * 255).astype(np.uint8)
        self._guesses = guesses
        self._make_sheet()
        if anew:
            self._settle()
        self.viewport().update()

    def show_message(self, message: str) -> None:
        """Say why there are no pictures."""
        self._guesses, self._message = (), message
        self._levels = np.zeros((0, 1, 1), np.uint8)
        self._settle()
        self.viewport().update()

    # --- geometry -----------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """How many pictures stand side by side."""
        return max(1, (self._room() + GAP) // (self._least_width() + GAP))

    def cell_rect(self, number: int) -> QRect:
        """Where a picture and its text are drawn, in the viewport."""
        columns, room = self.columns, self._room()
        row, column = divmod(number, columns)
        left, right = (round(c * (room + GAP) / columns) for c in (column, column + 1))
        height = self._cell_height()
        top = row * (height + GAP) - self.verticalScrollBar().value()
        return QRect(left, top, right - left - GAP, height)

    def number_at(self, point: QPoint) -> int | None:
        """The picture under a point of the viewport."""
        return next((n for n in range(len(self._guesses)) if self.cell_rect(n).contains(point)), None)

    def _room(self) -> int:
        """The width for pictures; the scroll bar's is never used, so that nothing moves when it comes."""
        return self.width() - self.verticalScrollBar().sizeHint().width()

    def _least_width(self) -> int:
        sample = "0" * self._longest
        text = QFontMetrics(self._font()).horizontalAdvance(f"✗{sample}/{sample} 100%")
        return max(text, 40)

    def _picture_side(self) -> int:
        cell = (self._room() + GAP) // self.columns - GAP
        return max(16, min(cell, round(1.35 * self._least_width())))

    def _cell_height(self) -> int:
        rows, columns = self._levels.shape[1:]
        return round(self._picture_side() * rows / max(rows, columns)) + QFontMetrics(self._font()).height() + 1

    def _font(self) -> QFont:
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.88)
        return font

    def _settle(self) -> None:
        """Set the scroll bar's range."""
        lines = -(-len(self._guesses) // self.columns)
        pitch = self._cell_height() + GAP
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, lines * pitch - GAP - self.viewport().height()))
        bar.setPageStep(max(1, self.viewport().height()))
        bar.setSingleStep(pitch)

    # --- painting -----------------------------------------------------------------------------

    def _make_sheet(self) -> None:
        """All pictures below each other in one image, in shades from paper to ink."""
        count, rows, columns = self._levels.shape
        padded = np.zeros((count * rows, -(-columns // 4) * 4), np.uint8)  # Qt wants whole words a line
        padded[:, :columns] = self._levels.reshape(count * rows, columns)
        sheet = QImage(padded.data, columns, count * rows, padded.shape[1], QImage.Format.Format_Indexed8)
        sheet.setColorTable(shades(themes.current()))
        self._sheet = sheet.copy()

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, view = themes.current(), self.viewport().rect()
        painter = QPainter(self.viewport())
        painter.setFont(self._font())
        if not self._guesses:
            painter.setPen(theme.color("muted"))
            painter.drawText(view, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        rows, columns = self._levels.shape[1:]
        side = self._picture_side()
        width, height = side * columns / max(rows, columns), side * rows / max(rows, columns)
        colours = {field: theme.color(field) for field in ("good_text", "bad_text", "muted")}
        for number, guess in enumerate(self._guesses):
            cell = self.cell_rect(number)
            if not cell.intersects(view):
                continue
            target = QRectF(cell.left() + (cell.width() - width) / 2, cell.top(), width, height)
            painter.drawImage(target, self._sheet, QRectF(0, number * rows, columns, rows))
            painter.setPen(colours[guess.field])
            painter.drawText(cell.adjusted(-GAP // 2, 0, GAP // 2, 0), _BELOW, guess.text)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._settle()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and len(self._guesses):
            self._make_sheet()
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange):
            self._settle()
            self.viewport().update()

    def sizeHint(self) -> QSize:
        return QSize(220, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 70)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.number_at(event.pos())
            tip = "" if number is None else f"sample {number} of the mini-batch: {self._guesses[number].sentence}"
            QToolTip.showText(event.globalPos(), tip, self.viewport())
            return True
        return super().viewportEvent(event)


def shades(theme: themes.Theme) -> list[int]:
    """256 colours from the paper of a picture to its ink."""
    paper, ink = theme.color("field"), theme.color("text")
    low, high = (np.array([c.red(), c.green(), c.blue()], float) for c in (paper, ink))
    mixed = np.rint(low + np.linspace(0, 1, 256)[:, None] * (high - low)).astype(np.int64)
    return [int(0xFF000000 | red << 16 | green << 8 | blue) for red, green, blue in mixed]


_BELOW = Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom
