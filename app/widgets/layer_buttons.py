"""The row of buttons above the layers: add, move, switch, duplicate, remove; each with its key."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from app import icons, theme
from app.widgets.search_menu import SearchMenu
from engine.layers import KINDS
from engine.layers.off import Off

FAMILIES = ("Linear", "Convolution", "Activation", "Shape")  # first in the menu, then the others as they come
ADDABLE = tuple(kind for kind in KINDS if kind is not Off)


class LayerButtons(QWidget):
    """Offers every kind of layer and the given stacks in a menu, and actions for the chosen layers.

    Keys work while `where` has the focus. `stacks`: what each does, by name.
    """

    added = Signal(object)  # the spec class of the layer wanted
    stacked = Signal(str)  # the name of the stack wanted

    def __init__(self, where: QWidget, stacks: Mapping[str, str], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.up = self._action("up", "Move layer up", "Alt+Up", where)
        self.down = self._action("down", "Move layer down", "Alt+Down", where)
        self.switch = self._action("power", "Switch layer off or on", "Ctrl+E", where)
        self.duplicate = self._action("duplicate", "Duplicate layer", "Ctrl+D", where)
        self.remove = self._action("remove", "Remove layer", "Delete", where)
        self.wrap = self._action("", "Put into a Residual block", "Ctrl+G", where)
        self.unwrap = self._action("", "Take the block apart", "Ctrl+Shift+G", where)
        shown = (self.up, self.down, self.switch, self.duplicate, self.remove)
        self._actions = {action.objectName(): action for action in shown}
        where.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        self.add = QToolButton(self)
        self.add.setText("Add")
        self.add.setAccessibleName("Add layer")
        self.add.setToolTip("Add a layer after the chosen card, or a ready-made stack; type to search")
        self.add.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.add.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.add.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.menu = self._make_menu(stacks)
        self.add.setMenu(self.menu)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.add)
        layout.addStretch(1)
        for action in shown:
            layout.addWidget(self._button(action))
        self._paint_icons()

    def enable(self, *, up: bool, down: bool, layers: bool, remove: bool, block: bool) -> None:
        """Say what can be done with the chosen layers: `block`, whether they are one Residual block."""
        self.up.setEnabled(up)
        self.down.setEnabled(down)
        self.remove.setEnabled(remove)
        for action in (self.switch, self.duplicate, self.wrap):
            action.setEnabled(layers)
        self.unwrap.setEnabled(block)

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

    def _make_menu(self, stacks: Mapping[str, str]) -> SearchMenu:
        """All kinds of layers, each family under its name; then the stacks."""
        menu = SearchMenu(self)
        for family in dict.fromkeys((*FAMILIES, *(kind.family for kind in ADDABLE))):
            heading = menu.add_family(family)
            for kind in ADDABLE:
                if kind.family == family:
                    meaning = (kind.__doc__ or "").partition("\n")[0]
                    menu.add_entry(heading, kind.title(), meaning, partial(self.added.emit, kind))
        heading = menu.add_family("Stacks, in place of all layers")
        for name, meaning in stacks.items():
            menu.add_entry(heading, name, meaning, partial(self.stacked.emit, name))
        return menu

    def _paint_icons(self) -> None:
        now = theme.current()
        self.add.setIcon(icons.icon("add", now))
        for name, action in self._actions.items():
            action.setIcon(icons.icon(name, now))

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_icons()
