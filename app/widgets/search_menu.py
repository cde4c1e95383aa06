"""A menu in families that is searched by typing."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import QLineEdit, QMenu, QWidget, QWidgetAction

KEYS = (Qt.Key.Key_Backspace, Qt.Key.Key_Delete)


class SearchMenu(QMenu):
    """What is typed is looked for in the names, families and meanings of the entries; Enter takes the first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTipsVisible(True)
        self.field = QLineEdit(self)
        self.field.setPlaceholderText("Type to search")
        self.field.setAccessibleName("Search")
        self.field.setToolTip("Type a name, a family or a word of its meaning; Enter takes the first")
        self.field.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the menu has the keys, and hands them on
        self.field.setReadOnly(True)
        self.field.setContentsMargins(6, 4, 6, 4)
        holder = QWidgetAction(self)
        holder.setDefaultWidget(self.field)
        self.addAction(holder)
        self._families: dict[QAction, list[QAction]] = {}
        self.field.textChanged.connect(self._filter)
        self.aboutToShow.connect(self.field.clear)

    def add_family(self, title: str) -> QAction:
        """A heading under which the next entries stand."""
        heading = self.addAction(title.upper())
        heading.setEnabled(False)
        self._families[heading] = []
        return heading

    def add_entry(self, heading: QAction, title: str, meaning: str, chosen: Callable[[], object]) -> QAction:
        """An entry of the family last begun, with its meaning as its tool tip."""
        entry = self.addAction(title)
        entry.triggered.connect(lambda _=False: chosen())
        entry.setToolTip(meaning)
        self._families[heading].append(entry)
        return entry

    def found(self) -> list[QAction]:
        """The entries that are shown now."""
        return [entry for entries in self._families.values() for entry in entries if entry.isVisible()]

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        for heading, entries in self._families.items():
            for entry in entries:
                told = f"{entry.text()} {heading.text()} {entry.toolTip()}".casefold()
                entry.setVisible(all(word in told for word in words))
            heading.setVisible(any(entry.isVisible() for entry in entries))
        self._mark()

    def _mark(self) -> None:
        """Mark the entry that Enter takes: of those found, the first whose name begins so."""
        text, found = self.field.text().casefold(), self.found()
        by_name = (entry for entry in found if entry.text().casefold().startswith(text))
        if text and found:
            self.setActiveAction(next(by_name, found[0]))

    def leaveEvent(self, event: QEvent) -> None:
        """The menu has shrunk away from under the pointer: what was found stays marked."""
        super().leaveEvent(event)
        self._mark()

    def event(self, event: QEvent) -> bool:
        """While it is open no key is a command elsewhere."""
        if event.type() == QEvent.Type.ShortcutOverride:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Letters search, all other keys go through the menu."""
        text = self.field.text()
        if event.key() in KEYS:
            self.field.setText(text[:-1] if event.key() == Qt.Key.Key_Backspace else "")
        elif (event.text().isprintable() and event.text().strip()) or (text and event.key() == Qt.Key.Key_Space):
            self.field.setText(text + event.text())
        else:
            super().keyPressEvent(event)
