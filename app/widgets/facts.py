"""A line of numbers with their names above them, each in a place of its own; instead, when need be, an alarm."""

from __future__ import annotations

import re

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from app import theme as themes

GAP = 6  # pixels between two numbers
LARGE, SMALL = 0.9, 0.65  # of the application's size, figures are drawn


class Facts(QWidget):
    """Some named numbers side by side."""

    def __init__(self, names: tuple[str, ...], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names = names
        self._values = ("",) * len(names)
        self._alarm: tuple[str, str] | None = None
        self.setAccessibleName(", ".join(names))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    @property
    def text(self) -> str:
        """Everything said, as one line."""
        if self._alarm is not None:
            return " ".join(self._alarm)
        return "  ".join(f"{name} {value.strip()}" for name, value in zip(self._names, self._values, strict=True))

    def show_values(self, values: tuple[str, ...]) -> None:
        """The numbers, in order."""
        self._show(values, None)

    def show_alarm(self, first: str, second: str) -> None:
        """Two lines instead of the numbers."""
        self._show(self._values, (first, second))

    def _show(self, values: tuple[str, ...], alarm: tuple[str, str] | None) -> None:
        if (values, alarm) != (self._values, self._alarm):
            self._values, self._alarm = values, alarm
            self.setAccessibleDescription(self.text)
            self.update()

    def _line(self) -> float:
        return QFontMetricsF(QApplication.font()).height()

    def sizeHint(self) -> QSize:
        """Two lines."""
        return QSize(200, round(2 * self._line()) + 2)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Names above numbers, or the alarm."""
        theme, painter, line = themes.current(), QPainter(self), self._line()
        if self._alarm is not None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme.color("bad_text"))
            painter.drawRoundedRect(self.rect(), 4, 4)
            painter.setPen(theme.color("panel"))
            for row, text in enumerate(self._alarm):
                font = self.font()
                font.setBold(row == 0)
                painter.setFont(font)
                box = QRectF(8, 1 + row * line, self.width() - 12, line)
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, text)
            return
        width = self.width() / len(self._names)
        small = themes.tabular(self.font())
        small.setPointSizeF(small.pointSizeF() * 0.9)
        texts, figures = self._fitting(width - GAP)
        for place, (name, value) in enumerate(zip(self._names, texts, strict=True)):
            painter.setFont(small)
            painter.setPen(theme.color("muted"))
            painter.drawText(QRectF(place * width, 0, width, line), Qt.AlignmentFlag.AlignVCenter, name)
            painter.setFont(figures)
            painter.setPen(theme.color("text"))
            painter.drawText(QRectF(place * width, line, width, line), Qt.AlignmentFlag.AlignVCenter, value)

    def _fitting(self, width: float) -> tuple[tuple[str, ...], QFont]:
        """Texts and a font in which each keeps to its place: shorter exponents first, then smaller figures."""
        font = themes.mono_font(LARGE)
        one = QFontMetricsF(font).horizontalAdvance("0")
        texts = self._values
        if max(map(len, texts)) * one > width:
            texts = tuple(re.sub(r"e([+-])0", r"e\1", text) for text in texts)
        longest = max(map(len, texts)) * one
        if longest > width:
            font = themes.mono_font(max(LARGE * width / longest, SMALL))
        return texts, font
