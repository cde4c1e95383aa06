"""How far a download is, with a way to cancel it: in the line at the bottom for as long as it lasts."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QSizePolicy, QToolButton, QWidget

from app import theme
from app.session import Session
from engine.protocol import Fetching

WHOLE = 1000  # the bar's length in steps: bytes may be more than it can count
FLAT = "QToolButton { padding: 0 8px; border-radius: 4px; }"


class FetchBar(QWidget):
    """File, bytes of bytes, bar and button; hidden while nothing is fetched."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self.text, self.bar, self.cancel = QLabel(self), QProgressBar(self), QToolButton(self)
        self.text.setFont(theme.tabular(self.text.font()))
        self.text.setAccessibleName("download")
        self.bar.setAccessibleName("progress of the download")
        self.bar.setTextVisible(False)
        self.bar.setFixedSize(140, 10)
        self.cancel.setText("Cancel")
        self.cancel.setAccessibleName("cancel the download")
        self.cancel.setToolTip("Stop fetching; what has come is kept for the next time  (Esc)")
        self.cancel.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        self.cancel.setStyleSheet(FLAT)
        for widget in (self, self.cancel):  # the line it stands in grows no higher for it
            widget.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 12, 0)
        row.setSpacing(8)
        for part in (self.text, self.bar, self.cancel):
            row.addWidget(part)
        self.cancel.clicked.connect(session.cancel_fetch)
        self._escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self, session.cancel_fetch)  # only while it is seen
        session.fetching_changed.connect(self._show)
        self._show(session.fetching)

    def _show(self, fetching: Fetching | None) -> None:
        self.setVisible(fetching is not None)
        if fetching is None:
            return
        title = self._session.recipe.data.title()
        if not fetching.name:
            self.text.setText(f"Fetching {title}: connecting …")
        elif fetching.total:
            self.text.setText(f"Fetching {fetching.name}: {amount(fetching.done, fetching.total)}")
        else:
            self.text.setText(f"Fetching {fetching.name}: {amount(fetching.done, fetching.done)}")
        self.bar.setRange(0, WHOLE if fetching.total else 0)
        self.bar.setValue(WHOLE * fetching.done // fetching.total if fetching.total else 0)
        self.bar.setAccessibleDescription(self.text.text())


def amount(done: int, total: int) -> str:
    """Bytes of bytes, in one unit: "3.1 of 9.9 MB"; the same number twice is told once."""
    unit, size = next((u, s) for u, s in (("MB", 10**6), ("kB", 10**3), ("bytes", 1)) if total >= s or s == 1)
    digits = 1 if size > 1 else 0
    first = "" if done == total else f"{done / size:.{digits}f} of "
    return f"{first}{total / size:.{digits}f} {unit}"
