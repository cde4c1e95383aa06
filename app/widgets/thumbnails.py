"""Pictures of samples, each with what the network says of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QImage, QPainter, QPaintEvent, QResizeEvent, QStaticText
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QToolTip, QWidget

from app import theme as themes
from app.widgets.guesses import Guess
from app.widgets.sharpness import draw_part, pixel_ratio

GAP = 6  # pixels between two pictures
NO_ROOM = "not computed yet: step once"


class Thumbnails(QAbstractScrollArea):
    """As many columns as the width allows; all pictures are drawn by one painter, from one image."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "Pictures of the mini-batch") -> None:
        super().__init__(parent)
        self._guesses: Sequence[Guess] = ()
        self._names: Sequence[str] = ()
        self._levels: NDArray[np.uint8] = np.zeros((0, 1, 1), np.uint8)
        self._sheet: QImage | None = None
        self._labels: dict[str, tuple[QStaticText, int]] = {}
        self._label_font = QFont()
        self._columns, self._pitch, self._picture = 1, 1, QSize(1, 1)
        self._message = NO_ROOM
        self._longest = 1  # characters of the longest class name
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setAutoFillBackground(False)

    def set_classes(self, names: Sequence[str]) -> None:
        """Make room for the names of the classes."""
        self._longest = min(max((len(name) for name in names), default=1), 10)
        self._settle()

    def show_pictures(self, pictures: NDArray[Any], guesses: Sequence[Guess], names: Sequence[str] = ()) -> None:
        """Show pictures (B, rows, columns), 0 … 1, and one guess for each; `names`: what each is called."""
        anew = pictures.shape != self._levels.shape or len(guesses) != len(self._guesses)
        with np.errstate(invalid="ignore"):
            self._levels = (np.clip(np.nan_to_num(pictures), 0.0, 1.0) * 255).astype(np.uint8)
        self._guesses, self._names, self._sheet = guesses, names, None
        if anew:
            self._settle()
        self.viewport().update()

    def show_message(self, message: str) -> None:
        """Say why there are no pictures."""
        self._guesses, self._message, self._sheet = (), message, None
        self._levels = np.zeros((0, 1, 1), np.uint8)
        self._settle()

    # --- geometry -----------------------------------------------------------------------------

    @property
    def columns(self) -> int:
        """How many pictures stand side by side."""
        return self._columns

    def cell_rect(self, number: int) -> QRect:
        """Where a picture and its text are drawn, in the viewport."""
        row, column = divmod(number, self._columns)
        left, right = (c * (self._room() + GAP) // self._columns for c in (column, column + 1))
        top = row * self._pitch - self.verticalScrollBar().value()
        return QRect(left, top, right - left - GAP, self._pitch - GAP)

    def number_at(self, point: QPoint) -> int | None:
        """The picture under a point of the viewport."""
        return next((n for n in range(len(self._guesses)) if self.cell_rect(n).contains(point)), None)

    def _room(self) -> int:
        """The width for pictures; the scroll bar's is never used, so that nothing moves when it comes."""
        return self.width() - self.verticalScrollBar().sizeHint().width()

    def _settle(self) -> None:
        """Choose columns and the pictures' size; set the scroll bar's range."""
        self._label_font = themes.tabular(QApplication.font())
        self._label_font.setPointSizeF(self._label_font.pointSizeF() * 0.88)
        metrics, sample = QFontMetrics(self._label_font), "0" * self._longest
        least = max(metrics.horizontalAdvance(f"✗{sample}/{sample} 100%"), 40)
        self._columns = max(1, (self._room() + GAP) // (least + GAP))
        lines = max(1, -(-len(self._guesses) // self._columns))
        cell, text, view = (self._room() + GAP) // self._columns - GAP, metrics.height() + 1, self.viewport().height()
        side = max(16, min(cell, max((view + GAP) // lines - GAP - text, round(0.75 * least))))
        rows, columns = self._levels.shape[1:]
        self._picture = QSize(side * columns // max(rows, columns), side * rows // max(rows, columns))
        self._pitch = self._picture.height() + text + GAP
        self._sheet = None
        self._labels.clear()
        bar = self.verticalScrollBar()
        bar.setRange(0, max(0, lines * self._pitch - GAP - view))
        bar.setPageStep(max(1, view))
        bar.setSingleStep(self._pitch)
        self.viewport().update()

    # --- painting -----------------------------------------------------------------------------

    def _make_sheet(self) -> QImage:
        """All pictures below each other in one image, at the size they are shown, in shades from paper to ink.

        Enlarged by numpy: Qt takes a quarter of a millisecond a picture for that.
        """
        ratio, (count, rows, columns) = pixel_ratio(self), self._levels.shape
        width, height = round(self._picture.width() * ratio), round(self._picture.height() * ratio)
        down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
        pixels = shades(themes.current())[self._levels.take(down, axis=1).take(across, axis=2)]
        sheet = QImage(pixels.data, width, count * height, 4 * width, QImage.Format.Format_RGB32).copy()
        sheet.setDevicePixelRatio(ratio)
        return sheet

    def paintEvent(self, event: QPaintEvent) -> None:
        theme, view = themes.current(), self.viewport().rect()
        made = self._sheet is not None and self._sheet.devicePixelRatio() == pixel_ratio(self)
        if not made and self._guesses:
            self._sheet = self._make_sheet()
        sheet = self._sheet  # made before there is a painter: an error while one is active would crash
        painter = QPainter(self.viewport())
        painter.setFont(self._label_font)
        if sheet is None:
            painter.setPen(theme.color("muted"))
            painter.drawText(view, Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap, self._message)
            return
        height = round(self._picture.height() * sheet.devicePixelRatio())
        colours = {field: theme.color(field) for field in ("good_text", "bad_text", "muted")}
        for number, guess in enumerate(self._guesses):
            cell = self.cell_rect(number)
            if cell.top() > view.bottom():
                break
            if not cell.intersects(view):
                continue
            left = cell.left() + (cell.width() - self._picture.width()) // 2
            place = QRect(QPoint(left, cell.top()), self._picture)
            draw_part(painter, place, sheet, QRect(0, number * height, sheet.width(), height))
            painter.setPen(colours[guess.field])
            label, width = self._label(guess.text)
            below = cell.top() + self._picture.height() + 1
            painter.drawStaticText(cell.left() + (cell.width() - width) // 2, below, label)

    def _label(self, text: str) -> tuple[QStaticText, int]:
        """A laid out text and its width; the same few come again and again."""
        found = self._labels.get(text)
        if found is None:
            if len(self._labels) > 2000:
                self._labels.clear()
            label = QStaticText(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.prepare(font=self._label_font)
            found = self._labels[text] = (label, round(label.size().width()))
        return found

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._settle()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange):
            self._settle()

    def sizeHint(self) -> QSize:
        return QSize(220, 200)

    def minimumSizeHint(self) -> QSize:
        return QSize(80, 70)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.number_at(event.pos())
            QToolTip.showText(event.globalPos(), "" if number is None else self._tell(number), self.viewport())
            return True
        return super().viewportEvent(event)

    def _tell(self, number: int) -> str:
        name = self._names[number] if self._names else f"sample {number} of the mini-batch"
        return f"{name}: {self._guesses[number].sentence}"


@lru_cache(maxsize=4)
def shades(theme: themes.Theme) -> NDArray[np.uint32]:
    """256 colours from the paper of a picture to its ink."""
    paper, ink = theme.color("field"), theme.color("text")
    low, high = (np.array([c.red(), c.green(), c.blue()], float) for c in (paper, ink))
    red, green, blue = np.rint(low + np.linspace(0, 1, 256)[:, None] * (high - low)).astype(np.uint32).T
    return np.asarray(0xFF000000 | red << 16 | green << 8 | blue, np.uint32)
