"""The first values of a mini-batch as a table, for data that is neither pictures nor points in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QTableView, QWidget

from app import theme as themes
from app.widgets.guesses import Guess

Index = QModelIndex | QPersistentModelIndex
MOST_VALUES = 8  # of a sample


class ValuesModel(QAbstractTableModel):
    """A row a sample: what the network says of it, then its first values."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: NDArray[Any] = np.zeros((0, 0))
        self._guesses: Sequence[Guess] = ()
        self._names: Sequence[str] = ()

    def show(self, values: NDArray[Any], guesses: Sequence[Guess], names: Sequence[str] = ()) -> None:
        """Show samples (B, n) and a guess for each; `names`: what each is called."""
        values, self._names = values[:, :MOST_VALUES], names
        if values.shape != self._values.shape:
            self.beginResetModel()
            self._values, self._guesses = values, guesses
            self.endResetModel()
        else:
            self._values, self._guesses = values, guesses
            self.dataChanged.emit(self.index(0, 0), self.index(len(values) - 1, values.shape[1]))

    def field(self, row: int) -> str:
        """The field of the theme that colours a sample's guess."""
        return self._guesses[row].field

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self._values)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else self._values.shape[1] + 1

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = index.row(), index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return f"{self._values[row, column - 1]:+.3f}" if column else self._guesses[row].text
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            value = "" if not column else f", x[{column - 1}] = {self._values[row, column - 1]:.6g}"
            name = self._names[row] if self._names else f"sample {row} of the mini-batch"
            return f"{name}: {self._guesses[row].sentence}{value}"
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        if orientation == Qt.Orientation.Vertical:
            return str(section)
        return f"x[{section - 1}]" if section else "says"


class GuessDelegate(QStyledItemDelegate):
    """Colours a guess. The model gives texts only: PySide 6.10 now and then dies of a Qt object from `data`."""

    def __init__(self, model: ValuesModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        option.palette.setColor(QPalette.ColorRole.Text, themes.current().color(self._model.field(index.row())))


class ValuesTable(QTableView):
    """Shows a ValuesModel in figures of one width."""

    def __init__(self, parent: QWidget | None = None, *, name: str = "First values of the mini-batch") -> None:
        super().__init__(parent)
        self.values = ValuesModel(self)
        self.setModel(self.values)
        self.setItemDelegateForColumn(0, GuessDelegate(self.values, self))
        self.setAccessibleName(name)
        self.setFont(themes.mono_font(0.85))
        self.setShowGrid(False)
        self.setSelectionMode(QTableView.SelectionMode.NoSelection)
        self.horizontalHeader().setDefaultSectionSize(self.fontMetrics().horizontalAdvance("+00.0000 "))
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 6)
