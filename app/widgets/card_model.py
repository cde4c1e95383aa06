"""The cards of the network as a model: what each says, and layers that can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal
from PySide6.QtGui import QPolygonF
from PySide6.QtWidgets import QWidget

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True)
class Card:
    """What one card says. `spec` tells which card it is when cards come and go."""

    place: Literal["data", "layer", "loss", "training"]
    index: int  # of a layer, from 0; −1 elsewhere
    spec: object
    title: str
    caption: str = ""
    count: int | None = None  # parameters
    dimmed: bool = False  # sizes are those of the network before the last edit
    tip: str = ""
    work: int | None = None  # multiply-adds a sample
    off: bool = False
    broken: bool = False  # the chain breaks here
    block: bool = False  # layers can be dropped onto it

    @property
    def text(self) -> str:
        """The card in one line, as a screen reader says it."""
        number = f"{self.index} " if self.place == "layer" else ""
        parameters = f", {self.count:,} parameters" if self.count else ""
        work = f", {self.work:,} multiply-adds a sample" if self.work else ""
        return f"{number}{self.title} {self.caption}{parameters}{work}"


class CardModel(QAbstractListModel):
    """Data, the layers, loss and training, in this order; only layers can be moved, and only among themselves."""

    moved = Signal(int, int)  # a layer's index before and after; the model has already moved its card

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cards: list[Card] = []
        self._traces: dict[int, QPolygonF] = {}
        self._phase: tuple[int, str] | None = None

    @property
    def cards(self) -> tuple[Card, ...]:
        """The cards from top to bottom."""
        return tuple(self._cards)

    def show(self, cards: Sequence[Card]) -> None:
        """Show these cards; those that stay keep their selection."""
        old, new = [c.spec for c in self._cards], [c.spec for c in cards]
        if len(old) != len(new):
            head = _common(old, new)
            tail = _common(old[head:][::-1], new[head:][::-1])
            if len(old) > head + tail:
                self.beginRemoveRows(QModelIndex(), head, len(old) - tail - 1)
                del self._cards[head : len(old) - tail]
                self.endRemoveRows()
            if len(new) > head + tail:
                self.beginInsertRows(QModelIndex(), head, len(new) - tail - 1)
                self._cards[head:head] = cards[head : len(new) - tail]
                self.endInsertRows()
        if self._cards != list(cards):
            self._cards = list(cards)
            self._changed()

    def show_traces(self, traces: dict[int, QPolygonF]) -> None:
        """Show the curve of each layer's gradient norm, in a unit square with y downwards."""
        self._traces = traces
        self._changed()

    def show_phase(self, phase: tuple[int, str] | None) -> None:
        """Light the layer that is computed now: its index and the field of the theme that colours it."""
        if phase != self._phase:
            self._phase = phase
            self._changed()

    def row_of(self, place: str, index: int = -1) -> int | None:
        """The row of a card."""
        return next((row for row, c in enumerate(self._cards) if (c.place, c.index) == (place, index)), None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own default)
        return 0 if parent.isValid() else len(self._cards)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._cards):
            return None
        card = self._cards[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole | Qt.ItemDataRole.AccessibleTextRole:
                return card.text
            case Qt.ItemDataRole.ToolTipRole:
                return card.tip
        return None

    # What the delegate paints comes past `data`: objects and polygons sent through QVariant lose a reference now and
    # then in PySide 6.10, and after some ten thousand paints the process dies.

    def card(self, row: int) -> Card:
        """The card in a row."""
        return self._cards[row]

    def trace(self, row: int) -> QPolygonF | None:
        """The curve of a layer's card, if it has one."""
        card = self._cards[row]
        return self._traces.get(card.index) if card.place == "layer" else None

    def phase(self, row: int) -> str | None:
        """The colour of the phase that a layer's card is lit for, if it is."""
        card = self._cards[row]
        lit = card.place == "layer" and self._phase is not None and self._phase[0] == card.index
        return self._phase[1] if lit and self._phase is not None else None

    def flags(self, index: Index) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled  # exactly this: one drops between cards
        flags = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemNeverHasChildren
        card = self._cards[index.row()]
        if card.block:
            flags |= Qt.ItemFlag.ItemIsDropEnabled
        return flags | Qt.ItemFlag.ItemIsDragEnabled if card.place == "layer" else flags

    def supportedDropActions(self) -> Qt.DropAction:
        return Qt.DropAction.MoveAction

    def moveRows(self, source: Index, row: int, count: int, target: Index, before: int) -> bool:
        """Move one layer's card before row `before`; above Data or below Loss means the first or last layer's place."""
        layers = [r for r, c in enumerate(self._cards) if c.place == "layer"]
        if count != 1 or row not in layers:
            return False
        before = min(max(before, layers[0]), layers[-1] + 1)
        if before in (row, row + 1):
            return False
        self.beginMoveRows(QModelIndex(), row, row, QModelIndex(), before)
        card = self._cards.pop(row)
        to = before - (before > row)
        self._cards.insert(to, card)
        self.endMoveRows()
        self.moved.emit(row - layers[0], to - layers[0])
        return True

    def _changed(self) -> None:
        if self._cards:
            self.dataChanged.emit(self.index(0), self.index(len(self._cards) - 1))


def _common(first: Sequence[object], second: Sequence[object]) -> int:
    """How many items two sequences have in common from their start."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
