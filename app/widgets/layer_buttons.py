"""The row of buttons above the layers: add, move, duplicate, remove; each with its key."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from app import icons, theme
from engine.layers import KINDS

FAMILIES = ("Linear", "Convolution", "Activation", "Shape")  # first in the menu, then the others as they come


class LayerButtons(QWidget):
    """Offers every kind of layer in a menu, and actions for the chosen one. Keys work while `where` has the focus."""

    added = Signal(object)  # the spec class of the layer wanted

    def __init__(self, where: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.up = self._action("up", "Move layer up", "Alt+Up", where)
        self.down = self._action("down", "Move layer down", "Alt+Down", where)
        self.duplicate = self._action("duplicate", "Duplicate layer", "Ctrl+D", where)
        self.remove = self._action("remove", "Remove layer", "Delete", where)
        self._actions = (self.up, self.down, self.duplicate, self.remove)
        where.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.add = QToolButton(self)
        self.add.setText("Add layer")
        self.add.setAccessibleName("Add layer")
        self.add.setToolTip("Add a layer after the chosen card")
        self.add.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.add.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.add.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.menu = self._make_menu()
        self.add.setMenu(self.menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.add)
        layout.addStretch(1)
        for action in self._actions:
            layout.addWidget(self._button(action))
        self._paint_icons()

    def enable(self, *, up: bool, down: bool, duplicate: bool, remove: bool) -> None:
        """Say what can be done with the chosen card."""
        for action, possible in zip(self._actions, (up, down, duplicate, remove), strict=True):
            action.setEnabled(possible)

    def _action(self, icon: str, text: str, key: str, where: QWidget) -> QAction:
        action = QAction(text, self)
        action.setObjectName(icon)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        action.setToolTip(f"{text} ({QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)})")
        where.addAction(action)
        return action

    def _button(self, action: QAction) -> QToolButton:
        button = QToolButton(self)
        button.setDefaultAction(action)
        button.setAccessibleName(action.text())
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        return button

    def _make_menu(self) -> QMenu:
        """All kinds of layers, each family under its name."""
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        for family in dict.fromkeys((*FAMILIES, *(kind.family for kind in KINDS))):
            kinds = [kind for kind in KINDS if kind.family == family]
            if kinds:
                menu.addAction(family.upper()).setEnabled(False)
            for kind in kinds:
                action = menu.addAction(kind.title(), partial(self.added.emit, kind))
                action.setToolTip((kind.__doc__ or "").partition("\n")[0])
        return menu

    def _paint_icons(self) -> None:
        now = theme.current()
        self.add.setIcon(icons.icon("add", now))
        for action in self._actions:
            action.setIcon(icons.icon(action.objectName(), now))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_icons()
