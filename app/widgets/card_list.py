"""The list of cards: drag to reorder, as dense as it must be for all cards to be seen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QListView, QWidget

from app.widgets.card_delegate import CardDelegate
from app.widgets.card_model import CardModel


class CardList(QListView):
    """The list of cards: on two lines each, or on one where they would not all be seen."""

    def __init__(self, model: CardModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._delegate = CardDelegate(self)
        self.setModel(model)
        self.setItemDelegate(self._delegate)
        self.setAccessibleName("Layers")
        self.setAccessibleDescription("Alt with the arrow keys moves a layer, Delete removes it, Ctrl+D duplicates it")
        self.setDragDropMode(QListView.DragDropMode.InternalMove)
        self.setDefaultDropAction(Qt.DropAction.MoveAction)
        self.setDropIndicatorShown(True)
        self.setUniformItemSizes(True)
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

    def _choose_density(self) -> None:
        """Two lines a card where all are seen then, else one line."""
        rows = max(self.model().rowCount(), 1)
        self._delegate.choose_density(self.font(), self.viewport().height() // rows - 2 * self.spacing())
        self.scheduleDelayedItemsLayout()
