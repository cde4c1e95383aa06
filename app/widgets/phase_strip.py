"""The phases of one mini-batch as cells in a row, lit as far as it has been computed; a click goes to one."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app import theme as themes
from engine.frames import Phase

GAP = 2.0
COLOURS = {"forward": "forward", "loss": "text", "backward": "backward"}


class PhaseStrip(QWidget):
    """`sought` tells the number of the phase that was clicked."""

    sought = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._phases: tuple[Phase, ...] = ()
        self._done = -1
        self.setAccessibleName("phases of the mini-batch")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def set_phases(self, phases: tuple[Phase, ...]) -> None:
        """Another network's."""
        self._phases = phases
        self.update()

    def show_phase(self, number: int) -> None:
        """The phase just computed; −1: none."""
        if number != self._done:
            self._done = number
            self.setAccessibleDescription(str(self._phases[number]) if 0 <= number < len(self._phases) else "none")
            self.update()

    def sizeHint(self) -> QSize:
        """A slim row."""
        return QSize(120, 14)

    def cell(self, number: int) -> QRectF:
        """Where a phase is drawn."""
        width = (self.width() + GAP) / max(len(self._phases), 1)
        return QRectF(number * width, 2, max(width - min(GAP, width / 3), 1), self.height() - 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Forward in one colour, backward in the other; what is not computed yet is an outline."""
        theme, painter = themes.current(), QPainter(self)
        painter.setPen(Qt.PenStyle.NoPen)
        for number, phase in enumerate(self._phases):
            colour = theme.color(COLOURS.get(phase.kind, "muted"))
            if number > self._done:
                colour = theme.color("line")
            painter.setBrush(colour)
            cell = self.cell(number)
            painter.drawRect(cell if number == self._done else cell.adjusted(0, 3, 0, -3))

    def at(self, x: float) -> int | None:
        """The phase drawn at a place."""
        number = int(x * len(self._phases) / max(self.width() + GAP, 1))
        return number if 0 <= number < len(self._phases) else None

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Go to the phase."""
        number = self.at(event.position().x())
        if number is not None and event.button() == Qt.MouseButton.LeftButton:
            self.sought.emit(number)

    def event(self, event: QEvent) -> bool:
        """Name the phase under the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.at(event.pos().x())
            text = "" if number is None else f"{self._phases[number]}: click to see this mini-batch as it was then"
            QToolTip.showText(event.globalPos(), text, self)
            return True
        return super().event(event)
