"""The live check in one row: how often, its history, and what it said last."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from app import theme as themes
from app.live_history import LiveHistory
from app.widgets.live_strip import LiveStrip
from app.widgets.numbers import tiny
from app.widgets.verdict_table import SIGNS
from engine.protocol import LiveChecked

RATES: tuple[tuple[str, int | None, str], ...] = (
    ("live: auto", 0, "While training, as often as fits a fiftieth of the time; at every step when stepping"),
    ("live: each", 1, "A live check at every step: slower training"),
    ("live: 10th", 10, "A live check at every tenth step"),
    ("live: 100th", 100, "A live check at every hundredth step"),
    ("live: off", None, "No live check"),
)
LIVE = "live check "
TIP = "The last live check: one slope along a random direction of all parameters, measured by two losses"
ROLES: dict[str, themes.Role] = {"pass": "good", "fail": "bug"}


class LiveBar(QWidget):
    """The setting at the left, the last verdict at the right, the strip between."""

    rate_chosen = Signal(object)  # steps between two checks; 0: as often as fits; None: never
    picked = Signal(int)  # a step of the strip

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rate_box = QComboBox(self)
        self.rate_box.setAccessibleName("how often to check live")
        self.rate_box.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for words, every, tip in RATES:
            self.rate_box.addItem(words, every)
            self.rate_box.setItemData(self.rate_box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.strip = LiveStrip(self)
        self.last = LiveBadge(self, "")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.rate_box)
        row.addWidget(self.strip, 1)
        row.addWidget(self.last)
        self.rate_box.activated.connect(lambda _: self.rate_chosen.emit(self.rate_box.currentData()))
        self.strip.picked.connect(self.picked)

    def show_rate(self, every: int | None) -> None:
        """What is set."""
        place = next((i for i, (_, rate, _) in enumerate(RATES) if rate == every), 0)
        with QSignalBlocker(self.rate_box):
            self.rate_box.setCurrentIndex(place)
        self.rate_box.setToolTip(RATES[place][2])

    def show_history(self, live: LiveHistory, last_step: int) -> None:
        """Draw what has been found so far."""
        self.strip.show_checks(live.steps, live.errors, live.verdicts, last_step)
        self.last.show_last(live.last)


class LiveBadge(QLabel):
    """What the live check said last, such as "✓ live check 3e-10", in its verdict's colour."""

    def __init__(self, parent: QWidget | None = None, words: str = LIVE) -> None:
        super().__init__(parent)
        self._words = words
        self._row: LiveChecked | None = None
        self.setAccessibleName("last live check")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setFont(themes.tabular(self.font()))
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._fit()

    def _fit(self) -> None:
        """Room for the longest text, so that nothing moves."""
        metrics = self.fontMetrics()
        self.setFixedSize(metrics.horizontalAdvance(f"✓ {self._words}4e-10 ") + 4, metrics.height() + 2)

    def say_in(self, words: str) -> None:
        """Say it with these words before the number."""
        if words != self._words:
            self._words = words
            self._fit()
            self.show_last(self._row)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_words"):
            self._fit()

    def show_last(self, row: LiveChecked | None) -> None:
        """Say this."""
        self._row = row
        text = "" if row is None else f"{SIGNS[row.verdict]} {self._words}{_error(row)}".rstrip()
        if text != self.text():
            self.setText(text)
            role: themes.Role = ROLES.get(row.verdict, "muted") if row is not None else "muted"
            if role != self.property("role"):
                themes.mark(self, role)
        self.setToolTip(row.sentence if row is not None and row.sentence else TIP)


def _error(row: LiveChecked) -> str:
    return tiny(row.error) if row.error == row.error else ""
