"""A strip over the steps that tells in a tool tip what is at the pointer."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QToolTip, QWidget


class TellingStrip(QWidget):
    """`tell` gives the words."""

    def tell(self, x: float) -> str:
        """What is to be said of a place, x in pixels; "" for nothing."""
        raise NotImplementedError

    def event(self, event: QEvent) -> bool:
        """Tell what is at the pointer."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self.tell(event.pos().x()), self)
            return True
        return super().event(event)
