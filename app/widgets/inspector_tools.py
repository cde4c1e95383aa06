"""The controls in the Inspector's title bar: the tensor, how it is shown, and a menu of what can be done with it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from app import icons, theme
from app.widgets.tensor_box import TensorBox

NARROW = 18  # lines of text across the panel, below which the switches are in the menu alone


class InspectorTools(QWidget):
    """A box of tensors, two switches, and the menu, which is the context menu too. Keys work inside `where`."""

    def __init__(self, where: QWidget) -> None:
        super().__init__(where)
        self._where = where
        self.box = TensorBox(self)
        self.box.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.box.setProperty("role", "quiet")
        self.box.setMinimumWidth(56)
        self.box.setMinimumContentsLength(15)
        self.box.setSizeAdjustPolicy(TensorBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.pictures = self._action("As &pictures, or as the matrix", "P", "small pictures, or the matrix")
        self.change = self._action("&Difference to the step before", "D", "what the last mini-batch changed")
        self.copy_value = self._action("&Copy the value of the cell", "Ctrl+C", "with all its digits")
        self.copy_csv = self._action("Copy all as C&SV", "Ctrl+Shift+C", "a line for each row, with all digits")
        self.copy_numpy = self._action("Copy all as &NumPy", "Ctrl+Alt+C", "np.array(…), which evaluates to the same")
        self.save = self._action("&Save all…", "Ctrl+Alt+S", "every entry, as CSV or for NumPy")
        for action in (self.pictures, self.change):
            action.setCheckable(True)
        self.pictures.setChecked(True)
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.forks = QMenu("Difference to &fork", self.menu)
        self._fill_menu()
        self.more = self._menu_button()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        row.addWidget(self.box, 1)
        self._switches = tuple(self._button(a, t) for a, t in ((self.pictures, "▦"), (self.change, "Δ")))
        for button in (*self._switches, self.more):
            row.addWidget(button)
        self._fit()
        self._narrow, self._drawable = False, False
        self._show_switches()

    def _action(self, text: str, key: str, tip: str) -> QAction:
        action = QAction(text, self)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shown = QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{text.replace('&', '')}: {tip} ({shown})")
        self._where.addAction(action)
        return action

    def _fill_menu(self) -> None:
        self.menu.addActions([self.pictures, self.change])
        self.menu.addMenu(self.forks)
        self.menu.addSeparator()
        self.menu.addActions([self.copy_value, self.copy_csv, self.copy_numpy, self.save])

    def _button(self, action: QAction, sign: str) -> QToolButton:
        button = QToolButton(self)
        button.setDefaultAction(action)
        button.setText(sign)
        button.setAccessibleName(action.text().replace("&", ""))
        button.setProperty("role", "tool")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        action.changed.connect(lambda: button.setText(sign))  # a button takes its action's text
        return button

    def _menu_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setMenu(self.menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setAccessibleName("copy, save or compare the tensor")
        button.setToolTip("Copy the value (Ctrl+C), all as CSV (Ctrl+Shift+C) or NumPy (Ctrl+Alt+C); save; compare (D)")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.setProperty("role", "tool")
        button.setIcon(icons.icon("duplicate", theme.current()))
        return button

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if not hasattr(self, "more"):
            return
        if event.type() == QEvent.Type.PaletteChange:
            self.more.setIcon(icons.icon("duplicate", theme.current()))
        elif event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        """Buttons no wider than their signs need: the tensor's name wants the room."""
        line = self.fontMetrics().height()
        for button in (*self._switches, self.more):
            button.setFixedWidth(round(1.75 * line))
            button.setIconSize(QSize(line, line))

    def offer_pictures(self, drawable: bool) -> None:
        """Whether the tensor can be shown as pictures."""
        self._drawable = drawable
        self.pictures.setEnabled(drawable)
        self._show_switches()

    def set_width(self, width: int) -> None:
        """How wide the panel is."""
        self._narrow = width < NARROW * self.fontMetrics().height()
        self._show_switches()

    def _show_switches(self) -> None:
        pictures, change = self._switches
        pictures.setVisible(self._drawable and not self._narrow)
        change.setVisible(not self._narrow)

    def offer_forks(
        self, forks: tuple[tuple[int, str], ...], compared: int | None, choose: Callable[[int], None]
    ) -> None:
        """The forks that there are to compare with."""
        self.forks.clear()
        self.forks.setEnabled(bool(forks))
        for number, name in forks:
            action = self.forks.addAction(name)
            action.setCheckable(True)
            action.setChecked(number == compared)
            action.triggered.connect(lambda _, number=number: choose(number))
