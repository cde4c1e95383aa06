"""The verdicts of a gradient check as a table: tensor, verdict in a sign and a word, error."""

from __future__ import annotations

from typing import Any, cast

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QBrush, QPalette
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app import theme as themes
from app.widgets.numbers import NONE, tiny
from engine.protocol import Judged

Index = QModelIndex | QPersistentModelIndex
SIGNS = {"pass": "✓", "fail": "✗", "kink": "△", "unresolvable": "○", "not checked": "–"}
COLORS = {"pass": "good_text", "fail": "bad_text", "kink": "backward_text"}
MEANINGS = {
    "pass": "analytic and numerical gradient agree",
    "fail": "they differ by more than rounding can explain",
    "kink": "an entry sits on a kink, such as ReLU at 0, where the slope differs on either side",
    "unresolvable": "the gradient is too small to be told from rounding: neither right nor wrong",
}
WORST_FIRST = ("fail", "unresolvable", "kink", "not checked", "pass")


def verdict_text(verdict: str) -> str:
    """A sign and the word."""
    return f"{SIGNS.get(verdict, '?')} {verdict}"


class VerdictModel(QAbstractTableModel):
    """A row a tensor."""

    HEADINGS = ("tensor", "verdict", "error")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Judged, ...] = ()

    def show(self, rows: tuple[Judged, ...]) -> None:
        """Show these verdicts."""
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self.HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.DisplayRole and orientation == Qt.Orientation.Horizontal:
            return self.HEADINGS[section]
        return None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            error = tiny(row.error) if row.error == row.error else NONE
            return (row.address, verdict_text(row.verdict), error)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column == 2 else Qt.AlignmentFlag.AlignLeft
            return int(side | Qt.AlignmentFlag.AlignVCenter)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{row.verdict}: {MEANINGS.get(row.verdict, '')}\n{row.note}"
        return None


class VerdictDelegate(QStyledItemDelegate):
    """Colours the verdicts, also in the chosen row.

    Colours and fonts do not come through the model's `data`: Qt's own objects sent that way have crashed PySide 6.10.
    """

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """The verdict in its colour, the rest in figures of one width; a lit background in place of the selection's."""
        super().initStyleOption(option, index)
        if index.column() == 1:
            verdict = cast(VerdictModel, index.model()).rows[index.row()].verdict
            option.palette.setColor(QPalette.ColorRole.Text, themes.current().color(COLORS.get(verdict, "muted")))
        else:
            option.font = themes.mono_font(0.95)
        if option.state & QStyle.StateFlag.State_Selected:
            option.state &= ~QStyle.StateFlag.State_Selected
            option.backgroundBrush = QBrush(themes.current().color("lit"))


class VerdictTable(QTableView):
    """One row can be chosen."""

    chosen = Signal(str)  # the address of its tensor

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.verdicts = VerdictModel(self)
        self.setModel(self.verdicts)
        self.setItemDelegate(VerdictDelegate(self))
        self.setAccessibleName("verdict on each tensor")
        self.setShowGrid(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTabKeyNavigation(False)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.verticalHeader().hide()
        self.horizontalHeader().hide()
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 8)
        self.setMinimumHeight(self.fontMetrics().height() + 10)

    def show_verdicts(self, rows: tuple[Judged, ...], address: str) -> None:
        """Show these verdicts with one of them chosen."""
        self.verdicts.show(rows)
        place = next((i for i, row in enumerate(rows) if row.address == address), 0)
        if rows:
            self.selectRow(place)

    def current(self) -> Judged | None:
        """The chosen row."""
        place = self.currentIndex().row()
        return self.verdicts.rows[place] if 0 <= place < len(self.verdicts.rows) else None

    def currentChanged(self, current: Index, previous: Index) -> None:
        """Tell which row is chosen now."""
        super().currentChanged(current, previous)
        row = self.current()
        if row is not None and current.row() != previous.row():
            self.chosen.emit(row.address)
