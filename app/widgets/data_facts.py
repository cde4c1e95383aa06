"""The dataset in numbers: one line, which unfolds into batches, the spread of the values, and the classes' shares."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app import theme as themes
from app.widgets.class_bars import ClassBars
from app.widgets.facts import Facts
from app.widgets.numbers import count, signed
from engine.protocol import Built

FOLDED, UNFOLDED = "▸", "▾"
QUIET = """QPushButton { background: transparent; border: 1px solid transparent; padding: 0 1px; text-align: left;
    color: palette(placeholder-text); }
    QPushButton:hover { color: palette(text); }
    QPushButton:focus { border-color: palette(highlight); }"""


class DataFacts(QWidget):
    """Folded at first: the pictures of the samples need the room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._summary = ""
        self.fold = QPushButton(self)
        self.fold.setCheckable(True)
        self.fold.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the transport
        self.fold.setAccessibleName("facts about the data")
        self.fold.setStyleSheet(QUIET)
        self.batches = QLabel(self)
        themes.mark(self.batches, "muted")
        for widget in (self.fold, self.batches):
            widget.setFont(themes.tabular(widget.font()))
            widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.spread = Facts(("x min", "x max", "x mean", "x std"), self)
        self.spread.setToolTip("Over all values of the training samples, as the network sees them")
        self.bars = ClassBars(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(8, 0, 11, 0)
        column.setSpacing(3)
        for part in (self.fold, self.batches, self.spread, self.bars):
            column.addWidget(part)
        self.fold.toggled.connect(self._unfold)
        self._unfold(False)
        self.hide()

    def show_facts(self, network: Built) -> None:
        """The data of a network."""
        data, spread = network.data, network.data.statistics
        self._summary = f"{count(data.training)} + {count(data.validation)} samples · {_batches(network.batches)}"
        self.batches.setText(f"{_batches(network.batches)} of {count(network.recipe.batch_size)}{last_batch(network)}")
        self.batches.setToolTip(f"In an epoch: {self.batches.text()}")
        self.spread.show_values(tuple(map(signed, (spread.minimum, spread.maximum, spread.mean, spread.std))))
        self.bars.show_counts(spread.per_class, data.classes, coloured=data.extent is not None)
        samples = f"{count(data.training)} samples to train, {count(data.validation)} to validate"
        self.fold.setToolTip("\n".join((samples, self.batches.toolTip(), self.spread.text)))
        self.fold.setAccessibleDescription(self.fold.toolTip().replace("\n", "; "))
        self._unfold(self.fold.isChecked())
        self.show()

    def _unfold(self, wide: bool) -> None:
        self.fold.setText(f"{UNFOLDED if wide else FOLDED} {self._summary}")
        for widget in (self.batches, self.spread):
            widget.setVisible(wide)
        self.bars.setVisible(wide and bool(self.bars.counts))


def _batches(number: int) -> str:
    return f"{count(number)} batch{'' if number == 1 else 'es'}"


def last_batch(network: Built) -> str:
    """What becomes of the samples that fill no whole mini-batch; "" where there are none."""
    data = network.data
    if data.left_out:
        return f", {count(data.left_out)} sample{'' if data.left_out == 1 else 's'} left out"
    return f", the last of {count(data.last_batch)}" if data.last_batch < network.recipe.batch_size else ""
