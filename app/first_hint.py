"""What somebody who starts for the first time needs to know, in one line that can be sent away for good."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QWidget

from app import theme
from app.guide import TOUR
from app.widgets.buttons import SignButton, push_button

KEY = "help/first_hint_seen"
TEXT = "New here? <b>Space</b> trains, <b>→</b> takes a mini-batch, <b>↓</b> one operation."


def is_wanted(store: QSettings | None) -> bool:
    """Whether this user has not sent it away yet; never where nobody's settings are kept."""
    return store is not None and not store.value(KEY, False, type=bool)


class FirstHint(QWidget):
    """A line with a way into the tour, and ×."""

    tour_wanted = Signal(str)

    def __init__(self, store: QSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        self.setAccessibleName("first hint")
        chip = QFrame(self)
        theme.mark(chip, "chip")
        self.text = QLabel(TEXT, chip)
        self.text.setWordWrap(True)
        self.tour = push_button("Take the tour", "Five minutes with this window", self._take_tour)
        self.tour.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.dismiss = SignButton("×", "dismiss the first hint", "Do not show this again", chip)
        self.dismiss.clicked.connect(self.send_away)
        around, row = QHBoxLayout(self), QHBoxLayout(chip)
        around.setContentsMargins(8, 2, 8, 2)
        around.addWidget(chip)
        row.setContentsMargins(10, 4, 6, 4)
        row.addWidget(self.text, 1)
        row.addWidget(self.tour)
        row.addWidget(self.dismiss)

    def _take_tour(self) -> None:
        self.send_away()
        self.tour_wanted.emit(TOUR)

    def send_away(self) -> None:
        """Now, and from every later start."""
        self._store.setValue(KEY, True)
        self.hide()
