"""Small buttons: of windows beside the main one, and those of one sign in a title."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QPushButton, QToolButton, QWidget


def push_button(text: str, tip: str, run: Callable[[], object]) -> QPushButton:
    """A button that Enter in another field does not press."""
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    button.clicked.connect(lambda: run())
    return button


class SignButton(QToolButton):
    """One sign, such as × or ?, hardly wider than that; a click leaves the focus where it is."""

    def __init__(self, sign: str, name: str, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setText(sign)
        self.setProperty("role", "quiet")
        self.setAccessibleName(name)
        self.setToolTip(tip)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def sizeHint(self) -> QSize:
        """As high as any tool button, as wide as half of it."""
        return QSize(self.fontMetrics().horizontalAdvance(self.text()) + 12, super().sizeHint().height())
