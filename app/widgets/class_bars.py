"""How many samples there are of each class: a small bar each, so that an uneven share is seen at once."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QSizePolicy, QToolTip, QWidget

from app import theme as themes
from app.widgets.numbers import count
from app.widgets.plane import class_colours

TALLEST, WIDEST = 26, 14  # pixels of a bar
MOST_TOLD = 20  # classes that are named to who cannot see the bars


class ClassBars(QWidget):
    """A bar a class; its number above and its name below where there is room, in a tool tip always."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._counts: tuple[int, ...] = ()
        self._names: tuple[str, ...] = ()
        self._coloured = False
        self.setAccessibleName("training samples of each class")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_counts(self, counts: Sequence[int], names: Sequence[str], *, coloured: bool) -> None:
        """Show the counts of these classes; `coloured`: each in the colour it has in the plane."""
        self._counts, self._names, self._coloured = tuple(counts), tuple(names), coloured
        told = [self.tell(number) for number in range(min(len(self._counts), MOST_TOLD))]
        self.setAccessibleDescription("; ".join(told) + ("; …" if len(self._counts) > MOST_TOLD else ""))
        self.update()

    @property
    def counts(self) -> tuple[int, ...]:
        """What is shown."""
        return self._counts

    def tell(self, number: int) -> str:
        """A class in words: its name, how many samples, and their share."""
        here, whole = self._counts[number], max(sum(self._counts), 1)
        return f"class {self._names[number]}: {count(here)} training samples, {100 * here / whole:.1f} %"

    def bar_rect(self, number: int) -> QRectF:
        """Where the bar of a class stands."""
        place = self._place(number)
        width = min(WIDEST, place.width() * 0.6) if place.width() > 3 else place.width()
        height = TALLEST * self._counts[number] / max(*self._counts, 1)
        if self._counts[number]:
            height = max(height, 1.0)
        return QRectF(place.center().x() - width / 2, place.bottom() - height, width, height)

    def _place(self, number: int) -> QRectF:
        width = self.width() / max(len(self._counts), 1)
        return QRectF(number * width, self._line(), width, TALLEST)

    def _font(self) -> QFont:
        font = themes.tabular(QApplication.font())
        font.setPointSizeF(font.pointSizeF() * 0.88)
        return font

    def _line(self) -> float:
        return QFontMetricsF(self._font()).height()

    def sizeHint(self) -> QSize:
        """A line of numbers, the bars, a line of names."""
        return QSize(200, round(2 * self._line()) + TALLEST + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Bars on a line; numbers and names where all of them fit."""
        if not self._counts:
            return
        theme, painter = themes.current(), QPainter(self)
        painter.setFont(self._font())
        colours = class_colours(theme) if self._coloured else (theme.muted,)
        numbers, names = [count(n) for n in self._counts], list(self._names)
        with_numbers, with_names = self._fit(numbers), self._fit(names)
        painter.fillRect(QRectF(0, self._line() + TALLEST, self.width(), 1), theme.color("line"))
        painter.setPen(theme.color("muted"))
        for number in range(len(self._counts)):
            bar = self.bar_rect(number)
            painter.fillRect(bar, colours[number % len(colours)])
            if with_numbers:
                self._write(painter, number, bar.top() - self._line(), numbers[number])
            if with_names:
                self._write(painter, number, self._line() + TALLEST + 2, names[number])

    def _fit(self, texts: Sequence[str]) -> bool:
        metrics = QFontMetricsF(self._font())
        return max(metrics.horizontalAdvance(text) for text in texts) <= self._place(0).width() - 2

    def _write(self, painter: QPainter, number: int, top: float, text: str) -> None:
        place = self._place(number)
        painter.drawText(QRectF(place.left(), top, place.width(), self._line()), Qt.AlignmentFlag.AlignCenter, text)

    def number_at(self, point: QPoint) -> int | None:
        """The class at a point."""
        number = int(point.x() * len(self._counts) / max(self.width(), 1))
        return number if 0 <= number < len(self._counts) else None

    def event(self, event: QEvent) -> bool:
        """The tool tip of the class under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.number_at(event.pos())
            QToolTip.showText(event.globalPos(), "" if number is None else self.tell(number), self)
            return True
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.PaletteChange):
            self.updateGeometry()
            self.update()
        return super().event(event)
