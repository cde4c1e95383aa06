"""One entry of a tensor that was checked, in numbers: both gradients, both losses, h, and whether a mask flipped."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from app import theme as themes
from app.widgets.numbers import NONE, count, exact, tiny
from app.widgets.picture import compact
from app.widgets.verdict_table import verdict_text
from engine.protocol import Entry

NAMES = ("analytic", "numeric", "L(θ + h)", "L(θ − h)", "h", "")


class EntryFacts(QWidget):
    """A heading, and pairs of names and numbers in two columns."""

    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.heading = _label()
        self.close_button = QToolButton(self)
        self.close_button.setText("×")
        self.close_button.setToolTip("Back to the verdicts")
        self.close_button.setAccessibleName("close the entry")
        self.close_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.close_button.setProperty("role", "quiet")
        self.close_button.clicked.connect(self.closed)
        self.values = tuple(_label() for _ in NAMES)
        self._names = tuple(_label(name) for name in NAMES)
        top = QHBoxLayout()
        top.addWidget(self.heading, 1)
        top.addWidget(self.close_button)
        grid = QGridLayout()
        grid.setHorizontalSpacing(6)
        grid.setVerticalSpacing(1)
        for place, (name, value) in enumerate(zip(self._names, self.values, strict=True)):
            row, side = divmod(place, 2)
            grid.addWidget(name, row, 2 * side)
            if NAMES[place]:
                grid.addWidget(value, row, 2 * side + 1)
            else:
                grid.addWidget(value, row, 2 * side, 1, 2)
        for column in (1, 3):
            grid.setColumnStretch(column, 1)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.setSpacing(2)
        column_.addLayout(top)
        column_.addLayout(grid)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
        self._set_fonts()

    def ask(self, address: str, index: tuple[int, ...]) -> None:
        """This entry was chosen; its numbers are still to come."""
        self.heading.setText(entry_name(address, index))
        for value in self.values:
            value.setText("…")
        self.values[-1].setText("")

    def show_entry(self, entry: Entry) -> None:
        """Its numbers are here."""
        size = max(abs(entry.analytic), abs(entry.numeric))
        looked_at = entry.numeric == entry.numeric
        error = f" · error {tiny(abs(entry.analytic - entry.numeric) / size)}" if size and looked_at else ""
        self.heading.setText(f"{entry_name(entry.address, entry.index)}  {verdict_text(entry.verdict)}{error}")
        self.heading.setToolTip(f"{entry_name(entry.address, entry.index)} = {exact(entry.value, 'float64')}")
        numbers = (
            _digits(entry.analytic, 9),
            _digits(entry.numeric, 9) if looked_at else NONE,
            _digits(entry.loss_up, 13),
            _digits(entry.loss_down, 13),
            compact(float(f"{entry.h:.3g}")),
            flips_text(entry.flips),
        )
        for label, text in zip(self.values, numbers, strict=True):
            label.setText(text)
            label.setToolTip(text)
        themes.mark(self.values[-1], "error" if entry.flips > 0 else "muted")

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_names"):
            self._set_fonts()

    def _set_fonts(self) -> None:
        mono, small = themes.mono_font(0.86), themes.tabular(self.font())
        small.setPointSizeF(themes.mono_font(0.9).pointSizeF())
        for label in self.values[:-1]:
            label.setFont(mono)
        for label in (*self._names, self.values[-1]):
            label.setFont(small)
            themes.mark(label, "muted")


def entry_name(address: str, index: tuple[int, ...]) -> str:
    """2.W[3, 7]."""
    return f"{address}[{', '.join(map(str, index))}]"


def flips_text(flips: int) -> str:
    """Whether a decision differs between θ − h and θ + h."""
    if flips < 0:
        return "no masks behind it"
    if flips == 0:
        return "no mask flips"
    return f"{count(flips)} mask{'s flip' if flips > 1 else ' flips'}: a kink"


def _digits(value: float, digits: int) -> str:
    """So many significant figures, with a real minus sign."""
    return f"{value:.{digits}g}".replace("-", "−", 1) if value < 0 else f"{value:.{digits}g}"


def _label(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
