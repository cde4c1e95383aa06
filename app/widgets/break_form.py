"""A form for one kind of breakpoint, made from the fields of its condition."""

from __future__ import annotations

from typing import Any

import msgspec
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QPushButton, QWidget

from app.widgets.cell_editor import parsed
from engine.conditions import Condition

WORDS = {"below": "below", "above": "above", "by": "by more than"}
KINDS = {
    "NonFinite": "first NaN or infinity",
    "GradientNorm": "gradient norm",
    "UpdateRatio": "update / parameter",
    "DeadUnits": "share of dead units",
    "LossRise": "loss rises",
    "CheckFails": "live check fails",
}


class BreakForm(QWidget):
    """`entered` brings the condition, `problem` a sentence."""

    entered = Signal(object)
    problem = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._kind: type[Condition] | None = None
        self._fields: dict[str, QLineEdit] = {}
        self.layers = QComboBox(self)
        self.layers.setAccessibleName("layer")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(6)
        self._title, self.add = QLabel(self), QPushButton("Add", self)
        self.add.setToolTip("Set this breakpoint")
        self.add.clicked.connect(self._take)
        self.hide()

    def set_layers(self, names: list[str]) -> None:
        """The layers to choose from."""
        self.layers.clear()
        self.layers.addItem("any layer", None)
        for number, name in enumerate(names):
            self.layers.addItem(f"{number} {name}", number)

    def open(self, kind: type[Condition]) -> None:
        """Ask for the fields of this kind; what has none but the layer is asked for that."""
        self._kind = kind
        for field in self._fields.values():
            field.deleteLater()
        self._fields.clear()
        while self._grid.count():
            self._grid.takeAt(0)
        self._title.setText(KINDS[kind.__name__])
        self._grid.addWidget(self._title, 0, 0, 1, 2)
        row = 1
        has_layer = kind.__name__ != "LossRise"
        self.layers.setVisible(has_layer)
        if has_layer:
            self._grid.addWidget(self.layers, row, 0, 1, 2)
            row += 1
        for info in msgspec.structs.fields(kind):
            if info.name in WORDS:
                self._grid.addWidget(self._field(info.name, info.default), row, 0, 1, 2)
                row += 1
        self._grid.addWidget(self.add, row, 0, 1, 2)
        self.show()
        first = next(iter(self._fields.values()), None)
        (first or self.add).setFocus()

    def _field(self, name: str, default: Any) -> QLineEdit:
        field = self._fields[name] = QLineEdit(self)
        field.setPlaceholderText(WORDS[name])
        field.setAccessibleName(WORDS[name])
        field.setToolTip(f"{self._title.text()} {WORDS[name]} this number; empty: no bound")
        if isinstance(default, float):
            field.setText(f"{default:g}")
        field.returnPressed.connect(self._take)
        return field

    def _take(self) -> None:
        """Make the condition; one sentence where a number is none, or no bound is given."""
        kind = self._kind
        if kind is None:
            return
        values: dict[str, Any] = {} if kind.__name__ == "LossRise" else {"layer": self.layers.currentData()}
        for name, field in self._fields.items():
            text = field.text().strip()
            number = parsed(text) if text else None
            if text and number is None:
                what = f"{self._title.text()} {WORDS[name]}"
                self.problem.emit(f"breakpoint: {what} {text!r} is not a number; type one such as 0.1")
                return
            values[name] = number
        if self._fields and all(values[name] is None for name in self._fields):
            self.problem.emit(f"breakpoint: {self._title.text()} needs a number; type one such as 0.1")
            return
        try:
            condition = msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            self.problem.emit(f"breakpoint: {self._title.text()}: {str(error).partition(' - ')[0].lower()}; mend it")
            return
        self.hide()
        self.entered.emit(condition)
