"""The breakpoints panel: where training stops by itself, each with its hits, to be turned on and off."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app import theme
from app.panel import Area, Panel
from app.session import Session
from app.widgets.break_form import KINDS, BreakForm
from app.widgets.numbers import count
from engine import conditions
from engine.frames import Position
from engine.protocol import BreakInfo, Built, Stopped

NONE_YET = (
    "None yet. F8 sets one at the phase that computes the selected tensor; Add has conditions, such as the first NaN."
)


class BreakpointsPanel(Panel):
    """A box turns one on or off; a double click goes back to where it stopped last."""

    title: ClassVar[str] = "Breakpoints"
    hint: ClassVar[str] = (
        "Training stops where one of these comes true, at the phase and the tensor that are the cause. "
        "A box turns one off; a double click goes to where it stopped last."
    )
    key_help: ClassVar = (("Del", "Remove the chosen breakpoint"),)
    area: ClassVar[Area] = "right"
    order: ClassVar[int] = 3

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.list = QListWidget(self)
        self.list.setWordWrap(True)
        self.list.setFrameShape(QListWidget.Shape.NoFrame)
        self.form = BreakForm(self)
        self.add, self.remove = QPushButton("Add", self), QPushButton("Remove", self)
        self.empty = QLabel(NONE_YET, self)
        self._stops: dict[int, Position] = {}  # where each stopped last, by its number
        self._lay_out()
        self.list.itemChanged.connect(self._on_changed)
        self.list.itemActivated.connect(self._go)
        self.remove.clicked.connect(self._remove)
        self.form.entered.connect(session.add_break)
        self.form.problem.connect(lambda text: session.said.emit(text, True))
        session.breaks_changed.connect(self._show)
        session.stopped.connect(self._on_stopped)
        self._show(session.breaks)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 2, 11, 8)
        row = QHBoxLayout()
        menu = QMenu(self.add)
        menu.addAction("At the &selected tensor's phase (F8)", self.session.toggle_break_at_selected)
        menu.addSeparator()
        for name, words in KINDS.items():
            menu.addAction(words[0].upper() + words[1:] + "…", partial(self.form.open, getattr(conditions, name)))
        self.add.setMenu(menu)
        self.add.setToolTip("Another breakpoint")
        self.remove.setToolTip("Take the chosen breakpoint away (Delete)")
        self.list.setAccessibleName("breakpoints")
        self.empty.setWordWrap(True)
        theme.mark(self.empty, "muted")
        row.addWidget(self.add)
        row.addWidget(self.remove)
        row.addStretch(1)
        column.addLayout(row)
        column.addWidget(self.form)
        column.addWidget(self.empty)
        column.addWidget(self.list, 1)

    def build(self, network: Built) -> None:
        """The layers to choose from."""
        self.form.set_layers([layer.caption for layer in network.layers])

    def _show(self, items: tuple[BreakInfo, ...]) -> None:
        """All breakpoints, as the engine tells them."""
        chosen = self.list.currentRow()
        self.list.blockSignals(True)
        self.list.clear()
        for info in items:
            item = QListWidgetItem(told(info))
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if info.enabled else Qt.CheckState.Unchecked)
            item.setToolTip(info.problem or "Double click: to where it stopped last")
            if info.problem:
                item.setForeground(theme.current().color("bad_text"))
            self.list.addItem(item)
        self.list.setCurrentRow(min(chosen, len(items) - 1))
        self.list.blockSignals(False)
        self.list.setVisible(bool(items))
        self.empty.setVisible(not items)
        self.remove.setEnabled(bool(items))
        on = sum(info.enabled for info in items)
        self.status_changed.emit(f"{on} of {len(items)} on" if items else "")

    def _on_stopped(self, event: Stopped) -> None:
        """The row of the one that stopped is chosen."""
        self._stops[event.number] = Position(event.step, event.phase)
        self.list.setCurrentRow(event.number)

    # --- the user -----------------------------------------------------------------------------

    def _on_changed(self, item: QListWidgetItem) -> None:
        self.session.enable_break(self.list.row(item), item.checkState() == Qt.CheckState.Checked)

    def _go(self, item: QListWidgetItem) -> None:
        """To where it stopped last."""
        place = self._stops.get(self.list.row(item))
        if place is None:
            self.session.said.emit("this breakpoint has not stopped the run yet", False)
        else:
            self.session.seek(*place)

    def _remove(self) -> None:
        number = self.list.currentRow()
        if number >= 0:
            self._stops = {n - (n > number): place for n, place in self._stops.items() if n != number}
            self.session.remove_break(number)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes the chosen one away."""
        if event.key() == Qt.Key.Key_Delete and self.list.hasFocus():
            self._remove()
        else:
            super().keyPressEvent(event)


def told(info: BreakInfo) -> str:
    """A breakpoint in words, with its hits."""
    hits = f"  ·  hit {count(info.hits)}×" if info.hits else ""
    return f"{info.title}{hits}" + ("  ·  ⚠ its layer is no more" if info.problem else "")
