"""The list of cards: drag to reorder, as dense as it must be for all cards to be seen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPersistentModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QDrag, QDropEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QListView, QWidget

from app.widgets.card_delegate import PAD, CardDelegate
from app.widgets.card_model import CardModel
from app.widgets.card_problem import CardProblem

BELOW = QPoint(-14, -18)  # of the pointer, in what is dragged


class CardList(QListView):
    """The list of cards: on two lines each, or on one where they would not all be seen. Several can be chosen."""

    dropped = Signal(object, int, bool)  # rows dragged; the row they are dropped before, or onto

    def __init__(self, model: CardModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._delegate = CardDelegate(self)
        self.setModel(model)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Layers")
        self.setAccessibleDescription(
            "Alt with the arrow keys moves a layer, Delete removes it, Ctrl+D duplicates it, Ctrl+E switches it off; "
            "Shift with the arrow keys chooses several"
        )
        self.setSelectionMode(QListView.SelectionMode.ExtendedSelection)
        self._problem: tuple[QPersistentModelIndex, CardProblem] | None = None
        self.setDragDropMode(QListView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDropIndicatorShown(True)
        self.setSpacing(1)
        self.setMouseTracking(True)
        self.setVerticalScrollMode(QListView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        model.rowsInserted.connect(self._choose_density)
        model.rowsRemoved.connect(self._choose_density)

    def sizeHint(self) -> QSize:
        return QSize(220, 300)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, 90)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._choose_density()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._choose_density()

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            arrows = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Home, Qt.Key.Key_End)
            if event.key() in arrows and not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
                event.accept()  # in a list they go through the list, whatever else they step through elsewhere
                return True
        return super().event(event)

    def chosen_rows(self) -> list[int]:
        """The rows of all cards that are chosen, from top to bottom."""
        return sorted(index.row() for index in self.selectionModel().selectedIndexes())

    def startDrag(self, actions: Qt.DropAction) -> None:
        """What is dragged is seen below the pointer, half as large, so that it does not hide where it would go."""
        indexes = self.selectionModel().selectedIndexes()
        if not indexes:
            return
        drag = QDrag(self)
        drag.setMimeData(self.model().mimeData(indexes))
        picture = self.viewport().grab(self.visualRect(self.currentIndex()))
        drag.setPixmap(picture.scaledToWidth(max(picture.width() // 2, 1), Qt.TransformationMode.SmoothTransformation))
        drag.setHotSpot(BELOW)
        drag.exec(actions, self.defaultDropAction())

    def dropEvent(self, event: QDropEvent) -> None:
        """Tell where cards were dropped; the recipe changes, and the cards follow it."""
        index = self.indexAt(event.position().toPoint())
        where, place = self.dropIndicatorPosition(), QListView.DropIndicatorPosition
        row = index.row() if index.isValid() else self.model().rowCount()
        rows = self.chosen_rows()
        event.setDropAction(Qt.DropAction.CopyAction)  # so that Qt removes nothing by itself
        event.accept()
        self.setState(QListView.State.NoState)
        self.viewport().update()
        self.dropped.emit(rows, row + (where == place.BelowItem), where == place.OnItem and index.isValid())

    def show_problem(self, row: int | None, problem: CardProblem | None = None) -> None:
        """Let something stand below what a card says; None takes it away."""
        if self._problem is not None:
            index, old = self._problem
            self._problem = None
            if index.isValid():
                self.setIndexWidget(self.model().index(index.row(), 0), None)  # type: ignore[arg-type]
            old.hide()
        if row is not None and problem is not None:
            self._problem = QPersistentModelIndex(self.model().index(row, 0)), problem
            self.setIndexWidget(self.model().index(row, 0), problem)
        self._choose_density()

    def _choose_density(self) -> None:
        """Two lines a card where all are seen then, else one line."""
        rows, room = max(self.model().rowCount(), 1), self.viewport().height()
        row, extra = -1, 0
        if self._problem is not None and self._problem[0].isValid():
            row, extra = self._problem[0].row(), self._problem[1].height_for(self.viewport().width() - 2 * PAD - 2)
        self._delegate.choose_density(self.font(), (room - extra) // rows - 2 * self.spacing(), (row, extra))
        self.scheduleDelayedItemsLayout()
