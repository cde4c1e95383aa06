"""A field to type a cell's new number into: it opens over the cell's value, and lets NaN and infinity be meant."""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QWidget


class CellEditor(QLineEdit):
    """Enter takes the number, Escape gives up; what is no number is told by `problem`, and stays to be mended."""

    entered = Signal(float)
    problem = Signal(str)
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("new value of the cell")
        self.setToolTip("Enter takes the number (nan and inf too), Escape gives up")
        self.hide()
        self.returnPressed.connect(self._take)

    def open(self, text: str) -> None:
        """Begin with the present value."""
        self.setText(text)
        self.show()
        self.selectAll()
        self.setFocus()

    def _take(self) -> None:
        number = parsed(self.text())
        if number is None:
            self.problem.emit(f"{self.text()!r} is not a number; type one such as 0.5, nan or inf")
            self.selectAll()
        else:
            self._close()
            self.entered.emit(number)

    def _close(self) -> None:
        self.hide()
        self.closed.emit()

    def event(self, event: QEvent) -> bool:
        """Keys are for typing while it is open, whatever commands they are elsewhere."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape gives up."""
        if event.key() == Qt.Key.Key_Escape:
            self._close()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """To click elsewhere is to give up."""
        super().focusOutEvent(event)
        if self.isVisible() and event.reason() != Qt.FocusReason.PopupFocusReason:
            self._close()


def parsed(text: str) -> float | None:
    """The number that was typed; None where it is none."""
    plain = text.strip().replace("−", "-").replace("∞", "inf").replace("\u2007", "")
    try:
        number = float(plain)
    except ValueError:
        return None
    meant = math.isfinite(number) or plain.lstrip("+-").lower() in ("nan", "inf", "infinity")
    return number if meant else None
