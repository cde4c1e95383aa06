"""Which keys the widget with the focus keeps for itself."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QComboBox, QWidget


class KeyGuard(QObject):
    """Lets lists, choices, buttons and widgets with `own_keys` keep them; all others stay the transport's."""

    UP_AND_DOWN = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home)
    OWN_KEYS: ClassVar[dict[type[QWidget], tuple[Qt.Key, ...]]] = {
        QAbstractItemView: UP_AND_DOWN,
        QComboBox: (*UP_AND_DOWN, Qt.Key.Key_Space),
        QAbstractButton: (Qt.Key.Key_Space,),
    }

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Accept the override of a shortcut for such controls."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.ShortcutOverride and not event.modifiers():
            own = event.key() in getattr(watched, "own_keys", ())
            own = own or any(isinstance(watched, kind) and event.key() in keys for kind, keys in self.OWN_KEYS.items())
            if own:
                event.accept()
                return True
        return False
