"""What stands on the card where a chain of layers breaks: why, and the cures as buttons."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from app import theme


class CardProblem(QWidget):
    """One sentence and a button for each cure; `chosen` carries the number of the cure."""

    chosen = Signal(int)

    def __init__(self, sentence: str, cures: Sequence[str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 4)
        layout.setSpacing(4)
        self.label = QLabel(sentence, self)
        self.label.setWordWrap(True)
        self.label.setAccessibleName("Why the layers do not fit")
        self.label.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        theme.mark(self.label, "error")
        layout.addWidget(self.label)
        self.buttons = [QPushButton(cure, self) for cure in cures]
        for number, button in enumerate(self.buttons):
            button.setAccessibleName(cures[number])
            button.setToolTip("Make this change; it can be undone")
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.clicked.connect(partial(self._choose, number))
            layout.addWidget(button)

    def height_for(self, width: int) -> int:
        """How high it must be at this width, in pixels."""
        layout = self.layout()
        return 0 if layout is None else max(layout.totalHeightForWidth(width), layout.totalMinimumSize().height())

    def _choose(self, number: int, _: bool = False) -> None:
        self.chosen.emit(number)
