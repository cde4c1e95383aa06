"""The terms of a cell, the largest first: each factor with its number, the value, and its share."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractTableModel, QEvent, QModelIndex, QPersistentModelIndex, QRectF, Qt, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from app import theme as themes
from app.widgets.latex_text import plain
from app.widgets.numbers import count, exact, percent, signed
from engine.terms import Explanation, Factor

AnyIndex = QModelIndex | QPersistentModelIndex
FIRST_FACTOR = 2  # columns before: the value and its share


class TermModel(QAbstractTableModel):
    """Rows are terms; columns are the value, its share of Σ|terms|, then the factors."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.found: Explanation | None = None
        self.dtype = "float32"
        self._factors = 0
        self._texts: dict[tuple[int, int], str] = {}  # Qt asks for each several times

    def show(self, found: Explanation | None, dtype: str) -> None:
        """Show the terms of another cell."""
        self.beginResetModel()
        self.found, self.dtype = found, dtype
        self._factors = max((len(term.factors) for term in found.terms), default=0) if found else 0
        self._texts.clear()
        self.endResetModel()

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # as Qt has it
        """One a term, and one for all that are not told one by one."""
        if self.found is None or parent.isValid():
            return 0
        return len(self.found.terms) + (self.left_out() > 0)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008  # as Qt has it
        """Factors, value and share."""
        return 0 if self.found is None or parent.isValid() else self._factors + 2

    def left_out(self) -> int:
        """How many terms are told as a sum only."""
        return 0 if self.found is None else self.found.count - len(self.found.terms)

    def share(self, row: int) -> float:
        """A term's share of the sum of all absolute values; NaN where that is nothing."""
        found = self.found
        if found is None or row >= len(found.terms) or not found.size > 0:
            return float("nan")
        return abs(found.terms[row].value) / found.size

    def factor(self, row: int, column: int) -> Factor | None:
        """The factor in a cell of the table."""
        if self.found is None or row >= len(self.found.terms):
            return None
        factors, place = self.found.terms[row].factors, column - FIRST_FACTOR
        return factors[place] if 0 <= place < len(factors) else None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What stands in a column."""
        if role != Qt.ItemDataRole.DisplayRole or orientation != Qt.Orientation.Horizontal:
            return None
        return ("value", "share", "term")[section] if section <= FIRST_FACTOR else "×"

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Text only: Qt values out of a model's data crash the binding."""
        if self.found is None:
            return None
        if role == Qt.ItemDataRole.ToolTipRole and index.column() == 0 and index.row() < len(self.found.terms):
            return exact(self.found.terms[index.row()].value, "float64")
        if role != Qt.ItemDataRole.DisplayRole:
            return None
        place = index.row(), index.column()
        if place not in self._texts:
            self._texts[place] = self.text(*place)
        return self._texts[place]

    def text(self, row: int, column: int) -> str:
        """What stands in a cell of the table."""
        found = self.found
        if found is None:
            return ""
        if row >= len(found.terms):
            return {0: signed(found.rest), FIRST_FACTOR: f"… {count(self.left_out())} others"}.get(column, "")
        if column < FIRST_FACTOR:
            return (signed(found.terms[row].value), percent(self.share(row)))[column]
        factor = self.factor(row, column)
        return "" if factor is None else self._tell(factor)

    def _tell(self, factor: Factor) -> str:
        """Such as "x[3,5] 0.4375": the tensor's own number, to the last bit."""
        shown = factor.cell if factor.address else factor.value
        number = exact(shown, self.dtype) if factor.address else f"{factor.value:.6g}".replace("-", "−")
        text = f"{plain(factor.symbol)} {number}"
        return text if factor.value == shown or not factor.address else f"{text} → {factor.value:.6g}"


class ShareDelegate(QStyledItemDelegate):
    """A bar behind the share."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        """The bar, then the text."""
        model = index.model()
        if isinstance(model, TermModel) and index.column() == FIRST_FACTOR - 1:
            share = model.share(index.row())
            if share == share:
                colour = themes.current().color("backward")
                colour.setAlpha(70)
                rect = QRectF(option.rect)
                painter.fillRect(rect.adjusted(0, 2, rect.width() * (share - 1), -2), colour)
        super().paint(painter, option, index)


class TermTable(QTableView):
    """`pointed` tells the factors of the row under the pointer, `chosen` the one that was clicked."""

    pointed = Signal(object)  # tuple of Factor
    chosen = Signal(object)  # Factor

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.terms = TermModel(self)
        self.setModel(self.terms)
        self.setItemDelegate(ShareDelegate(self))
        self.setAccessibleName("terms")
        self.setToolTip("Point at a term to see its cells light up; click a number to go to its cell")
        self.setMouseTracking(True)
        self.setShowGrid(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(self.fontMetrics().height() + 5)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setResizeContentsPrecision(0)  # of the rows in sight
        self.horizontalHeader().hide()
        self.setFont(themes.tabular(self.font()))
        self.entered.connect(lambda index: self.pointed.emit(self._factors(index.row())))
        self.clicked.connect(self._choose)
        self.activated.connect(self._choose)

    def show_terms(self, found: Explanation | None, dtype: str) -> None:
        """Show the terms of a cell."""
        self.terms.show(found, dtype)

    def light(self, address: str, index: tuple[int, ...]) -> None:
        """Choose the row whose factor is this cell, and bring it into view."""
        found = self.terms.found
        for row, term in enumerate(found.terms if found is not None else ()):
            if any(factor.address == address and factor.index == index for factor in term.factors):
                self.selectRow(row)
                self.scrollTo(self.terms.index(row, 0))
                return
        self.clearSelection()

    def _factors(self, row: int) -> tuple[Factor, ...]:
        found = self.terms.found
        return found.terms[row].factors if found is not None and row < len(found.terms) else ()

    def _choose(self, index: AnyIndex) -> None:
        factor = self.terms.factor(index.row(), index.column())
        if factor is not None and factor.address:
            self.chosen.emit(factor)

    def leaveEvent(self, event: QEvent) -> None:
        """Nothing is pointed at."""
        super().leaveEvent(event)
        self.pointed.emit(())
