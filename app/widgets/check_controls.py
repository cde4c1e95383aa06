"""What starts a gradient check and says how; in its place while one runs, progress and a way out."""

from __future__ import annotations

from PySide6.QtCore import QSignalBlocker, Qt, Signal
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QMenu,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QWidget,
)

from app import theme as themes
from app.widgets.numbers import count
from engine.differences import Difference
from engine.gradcheck import Mode

MODES: dict[Mode, tuple[str, str]] = {
    "full": ("every entry", "Measures the slope along every single entry"),
    "sampled": ("a sample of each tensor", "Measures some entries of each tensor and one random direction"),
    "projected": ("one direction a tensor", "Measures one slope a tensor, along a random direction: quickest"),
}
DIFFERENCES: dict[Difference, tuple[str, str]] = {  # sign on the button, words in its menu
    "central": ("±h", "central: (L(θ + h) − L(θ − h)) / 2h, error of order h²"),
    "forward": ("+h", "forward: (L(θ + h) − L(θ)) / h, error of order h"),
    "complex": ("ih", "complex step: Im L(θ + ih) / h, no rounding; only where forward takes complex numbers"),
}


class CheckControls(QStackedWidget):
    """The button, what is checked, by which difference; or cancel and progress."""

    started = Signal()
    cancelled = Signal()
    mode_chosen = Signal(str)
    difference_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.check_button = QPushButton("Check gradients")
        self.check_button.setToolTip("Check the gradients of this mini-batch  (F9)")
        themes.mark(self.check_button, "primary")
        self.mode_box = QComboBox()
        self.mode_box.setAccessibleName("what to check")
        self.mode_box.setToolTip("How much of each tensor to check")
        self.mode_box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        for mode, (words, tip) in MODES.items():
            self.mode_box.addItem(words, mode)
            self.mode_box.setItemData(self.mode_box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
        self.difference_button = self._make_difference_button()
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Give this check up")
        for button in (self.check_button, self.cancel_button, self.difference_button):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        self.progress = QProgressBar()
        self.progress.setAccessibleName("progress of the check")
        self.progress.setFont(themes.tabular(self.progress.font()))
        self.addWidget(_row(self.check_button, self.mode_box, self.difference_button))
        self.addWidget(_row(self.cancel_button, self.progress))
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.check_button.clicked.connect(self.started)
        self.cancel_button.clicked.connect(self.cancelled)
        self.mode_box.currentIndexChanged.connect(lambda _: self.mode_chosen.emit(self.mode_box.currentData()))

    def _make_difference_button(self) -> QToolButton:
        button = QToolButton()
        button.setAccessibleName("difference")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu, group = QMenu(button), QActionGroup(button)
        for difference, (_, words) in DIFFERENCES.items():
            action = QAction(words, group, checkable=True)
            action.setData(difference)
            menu.addAction(action)
        group.triggered.connect(lambda action: self.difference_chosen.emit(action.data()))
        button.setMenu(menu)
        return button

    def show_choice(self, mode: Mode, difference: Difference, advice: str = "") -> None:
        """What is set; `advice` says why, where that is the app's own choice."""
        with QSignalBlocker(self.mode_box):
            self.mode_box.setCurrentIndex(list(MODES).index(mode))
        self.mode_box.setToolTip(advice or f"How much of each tensor to check: {MODES[mode][1].lower()}")
        sign, words = DIFFERENCES[difference]
        self.difference_button.setText(sign)
        self.difference_button.setToolTip(f"How slopes are measured: {words}")
        for action in self.difference_button.menu().actions():
            action.setChecked(action.data() == difference)

    def show_progress(self, done: int, total: int) -> None:
        """A check runs."""
        had_focus = self.check_button.hasFocus()
        self.setCurrentIndex(1)
        if had_focus:
            self.cancel_button.setFocus()
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        self.progress.setFormat(f"{count(done)} of {count(total)}" if total else "")

    def show_ready(self) -> None:
        """None runs."""
        had_focus = self.cancel_button.hasFocus()
        self.setCurrentIndex(0)
        if had_focus:
            self.check_button.setFocus()


def _row(*widgets: QWidget) -> QWidget:
    """Side by side; the second takes the room there is."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(8)
    for place, widget in enumerate(widgets):
        layout.addWidget(widget, int(place == 1))
    return row
