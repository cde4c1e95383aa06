"""What somebody who starts for the first time needs to know, in one line that can be sent away for good."""

from __future__ import annotations

from PySide6.QtCore import QSettings, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QWidget

from app import theme
from app.guide import TOUR
from app.widgets.buttons import push_button

KEY = "help/first_hint_seen"
TEXT = (
    "New here? <b>Space</b> trains, <b>→</b> takes one mini-batch, <b>↓</b> one operation; click a tile to see it large."
)


def is_wanted(store: QSettings | None) -> bool:
    """Whether this user has not sent it away yet; never where nobody's settings are kept."""
    return store is not None and not store.value(KEY, False, type=bool)


class FirstHint(QFrame):
    """A line with a way into the tour, and ×."""

    tour_wanted = Signal(str)

    def __init__(self, store: QSettings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store = store
        theme.mark(self, "chip")
        self.setAccessibleName("first hint")
        self.text = QLabel(TEXT, self)
        self.text.setWordWrap(True)
        self.tour = push_button("Take the tour", "Five minutes with this window", self._take_tour)
        self.dismiss = QToolButton(self)
        self.dismiss.setText("×")
        self.dismiss.setProperty("role", "quiet")
        self.dismiss.setToolTip("Do not show this again")
        self.dismiss.setAccessibleName("dismiss the first hint")
        self.dismiss.clicked.connect(self.send_away)
        for button in (self.tour, self.dismiss):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        row = QHBoxLayout(self)
        row.setContentsMargins(12, 4, 6, 4)
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
