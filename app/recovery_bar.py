"""The quiet question after a crash: whether to go on with what was saved last; in the line at the bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QToolButton, QWidget

from app.autosave import Autosave, Orphan
from app.fetch_bar import FLAT
from app.session import Session
from engine import protocol


class RecoveryBar(QWidget):
    """When it was saved, Restore and Discard; one autosave after the other, hidden once there is none left."""

    asking = Signal(bool)

    def __init__(
        self, session: Session, autosave: Autosave, found: Iterator[Orphan], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._autosave, self._found = session, autosave, found
        self.orphan: Orphan | None = None
        self._wanted = False
        self.text = QLabel(self)
        self.text.setAccessibleName("unsaved session")
        self.restore = self._button("Restore", "Go on with the session as it was saved last", self._restore)
        self.discard = self._button("Discard", "Remove it for good", self._discard)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)  # the line grows no higher for it
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 12, 0)
        row.setSpacing(8)
        for part in (self.text, self.restore, self.discard):
            row.addWidget(part)
        session.file_opened.connect(self._on_opened)
        session.file_not_opened.connect(self._on_not_opened)
        self._next()

    def _button(self, text: str, tip: str, run: Callable[[], None]) -> QToolButton:
        made = QToolButton(self)
        made.setText(text)
        made.setAccessibleName(f"{text.lower()} the unsaved session")
        made.setToolTip(tip)
        made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        made.setStyleSheet(FLAT)
        made.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        made.clicked.connect(run)
        return made

    def _next(self) -> None:
        self.orphan = next(self._found, None)
        self.setVisible(self.orphan is not None)
        self.asking.emit(self.orphan is not None)
        if self.orphan is not None:
            self.text.setText(f"A session that was not closed, saved {ago(self.orphan.age)} ago")

    def _restore(self) -> None:
        if self.orphan is not None:
            self._wanted = True
            self._session.open_file(str(self.orphan.path))

    def _discard(self) -> None:
        if self.orphan is not None:
            self.orphan.drop()
        self._next()

    def _on_opened(self, event: protocol.SessionOpened) -> None:
        if self._wanted and self.orphan is not None and event.path == str(self.orphan.path):
            self._wanted = False
            self._autosave.replaces(self.orphan)
            self._next()

    def _on_not_opened(self, _: protocol.NotOpened) -> None:
        self._wanted = False


def ago(seconds: float) -> str:
    """A stretch of time in words: "40 seconds", "3 minutes", "2 hours", "5 days"."""
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = int(seconds // size)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "a moment"
