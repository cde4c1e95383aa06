"""One line of text that never asks for another layout, however often it changes; a QLabel does with every new text."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRect, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app import theme as themes

ELLIPSIS = "…"


class TextLine(QWidget):
    """As wide as its place; what does not fit ends in … and is told by the tool tip."""

    def __init__(
        self,
        text: str = "",
        parent: QWidget | None = None,
        *,
        colour: str = "text",
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
    ) -> None:
        super().__init__(parent)
        self._text, self._colour, self._align = "", colour, align
        self.setFont(themes.tabular(self.font()))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def text(self) -> str:
        """What is shown."""
        return self._text

    def setText(self, text: str) -> None:  # as a label has it
        """Show another text."""
        if text != self._text:
            self._text = text
            self.setAccessibleDescription(text)
            self.setToolTip(text if self.minimumSizeHint().width() > self.width() else "")
            self.update()

    def shown(self) -> str:
        """The text, or as much of it as fits: never a part of a number, which would be another number."""
        text = self.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, self.width())
        if text == self._text:
            return text
        kept = text.removesuffix(ELLIPSIS)
        start = kept.rfind(" ") + 1
        cut = self._text[start:].partition(" ")[0]
        if any(letter.isdigit() for letter in cut) and len(kept) < start + len(cut):
            return kept[:start] + ELLIPSIS
        return text

    def set_colour(self, colour: str) -> None:
        """A field of the theme."""
        if colour != self._colour:
            self._colour = colour
            self.update()

    def sizeHint(self) -> QSize:
        """One line high."""
        return QSize(80, self.fontMetrics().height() + 1)

    def minimumSizeHint(self) -> QSize:
        """What the text needs; the place may be narrower."""
        return QSize(self.fontMetrics().horizontalAdvance(self._text), self.fontMetrics().height() + 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        """The text, or as much of it as fits."""
        painter = QPainter(self)
        painter.setPen(themes.current().color(self._colour))
        text = self.shown()
        painter.drawText(QRect(0, 0, self.width(), self.height()), self._align | Qt.AlignmentFlag.AlignVCenter, text)

    def changeEvent(self, event: QEvent) -> None:
        """A larger font is higher."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
