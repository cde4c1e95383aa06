"""The verdicts of a gradient check as a table: tensor, verdict in a sign and a word, error."""

from __future__ import annotations

from typing import Any, cast

from PySide6.QtCore import QAbstractTableModel, QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
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
    """A row a tensor, in the order of the network or sorted by any column."""

    HEADINGS = ("tensor", "verdict", "error")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[Judged, ...] = ()
        self._given: tuple[Judged, ...] = ()
        self._sorted_by = (-1, Qt.SortOrder.AscendingOrder)

    def show(self, rows: tuple[Judged, ...]) -> None:
        """Show these verdicts, sorted as before."""
        self._given = rows
        self.sort(*self._sorted_by)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """By a column; −1: as the network has them. What has no error comes last either way."""
        self._sorted_by = column, order
        self.beginResetModel()
        falling = order == Qt.SortOrder.DescendingOrder
        keys = (self._by_place, self._by_verdict, self._by_error)
        rows = sorted(self._given, key=keys[column], reverse=falling) if column >= 0 else list(self._given)
        if column == 2:
            rows.sort(key=lambda row: row.error != row.error)
        self.rows = tuple(rows)
        self.endResetModel()

    def _by_place(self, row: Judged) -> tuple[int, int]:
        """The data first, then layer by layer, in the order given."""
        place = row.address.partition(".")[0]
        return int(place) if place.isdigit() else -1, self._given.index(row)

    @staticmethod
    def _by_verdict(row: Judged) -> int:
        return WORST_FIRST.index(row.verdict)

    @staticmethod
    def _by_error(row: Judged) -> float:
        return row.error

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self.HEADINGS)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return self.HEADINGS[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return int(self._side(section) | Qt.AlignmentFlag.AlignVCenter)
        return None

    @staticmethod
    def _side(column: int) -> Qt.AlignmentFlag:
        return Qt.AlignmentFlag.AlignRight if column == 2 else Qt.AlignmentFlag.AlignLeft

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            error = tiny(row.error) if row.error == row.error else NONE
            return (row.address, verdict_text(row.verdict), error)[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(self._side(column) | Qt.AlignmentFlag.AlignVCenter)
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
        header = self.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        header.setHighlightSections(False)
        header.setSortIndicatorClearable(True)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setToolTip("Click to sort; a third click brings the network's order back")
        self.setSortingEnabled(True)
        self._fit()
        self._address = ""
        self.verdicts.modelReset.connect(self._choose_again)

    def _fit(self) -> None:
        """Rows and heading as high as their text."""
        line = self.fontMetrics().height()
        self.verticalHeader().setDefaultSectionSize(line + 5)
        self.horizontalHeader().setFixedHeight(line + 7)
        self.setMinimumHeight(2 * line + 20)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_address"):
            self._fit()

    def natural_height(self) -> int:
        """With every row in sight."""
        return self.horizontalHeader().height() + self.verticalHeader().length() + 4

    def sizeHint(self) -> QSize:
        """As high as its rows."""
        return QSize(super().sizeHint().width(), self.natural_height())

    def show_verdicts(self, rows: tuple[Judged, ...], address: str) -> None:
        """Show these verdicts with one of them chosen."""
        self._address = address
        self.verdicts.show(rows)

    def _choose_again(self) -> None:
        """The row chosen before, wherever it stands now."""
        rows = self.verdicts.rows
        place = next((i for i, row in enumerate(rows) if row.address == self._address), 0)
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
        if row is not None and row.address != self._address:
            self._address = row.address
            self.chosen.emit(row.address)
