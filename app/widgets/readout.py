"""One line of text that can be selected and never moves its neighbours."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from app import theme as themes


class Readout(QLabel):
    """Says something, in plain or in muted text."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFont(themes.tabular(self.font()))
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def say(self, text: str, *, quiet: bool = False) -> None:
        """Another text, muted or not."""
        self.setText(text)
        role: Literal["muted", "strong"] = "muted" if quiet else "strong"
        if self.property("role") != role:
            self.setProperty("role", role)  # "strong" has no rule of its own: the plain look
            self.style().unpolish(self)
            self.style().polish(self)

    def has_room_for(self, text: str) -> bool:
        """Whether a text is not cut."""
        return self.fontMetrics().horizontalAdvance(text) <= self.width()
