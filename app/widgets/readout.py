"""One line of text that can be selected and never moves its neighbours."""

from __future__ import annotations

from typing import Literal

from PySide6.QtCore import Qt
from PySide6.QtGui import QResizeEvent
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
        self._forms: tuple[str, ...] = ()

    def say(self, text: str, *, quiet: bool = False, shorter: tuple[str, ...] = ()) -> None:
        """Another text, muted or not; where it has no room, the first of the shorter ones that has."""
        self._forms = (text, *shorter)
        self._fit()
        role: Literal["muted", "strong"] = "muted" if quiet else "strong"
        if self.property("role") != role:
            self.setProperty("role", role)  # "strong" has no rule of its own: the plain look
            self.style().unpolish(self)
            self.style().polish(self)

    def _fit(self) -> None:
        fitting = (form for form in self._forms if self.has_room_for(form))
        text = next(fitting, self._forms[-1])
        if text != self.text():
            self.setText(text)
        if len(self._forms) > 1:
            self.setToolTip(self._forms[0] if text != self._forms[0] else "")

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Perhaps there is room for more, or for less."""
        super().resizeEvent(event)
        if len(self._forms) > 1:
            self._fit()

    def has_room_for(self, text: str) -> bool:
        """Whether a text is not cut."""
        return self.fontMetrics().horizontalAdvance(text) <= self.width()
