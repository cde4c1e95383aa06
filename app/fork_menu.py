"""The button that tells the fork one is on, with a menu of all: go to one, compare, rename, drop."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QInputDialog, QMenu, QToolButton, QWidget

from app.session import Session
from app.widgets.fork_colours import fork_icon
from app.widgets.numbers import count
from engine.protocol import ForkInfo, Paths

LONGEST = 24  # characters of a name on the button


class ForkButton(QToolButton):
    """Where the run has forked, and what may be done with each fork."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setMenu(QMenu(self))
        self.menu().aboutToShow.connect(self._fill)
        session.paths_changed.connect(self._show_paths)
        self.setText("main")
        if session.paths is not None:
            self._show_paths(session.paths)

    def _show_paths(self, paths: Paths) -> None:
        present = next(fork for fork in paths.forks if fork.number == paths.current)
        name = present.name if len(present.name) <= LONGEST else present.name[: LONGEST - 1] + "…"
        others = len(paths.forks) - 1
        self.setText(f"{name} (+{others})" if others else name)
        self.setIcon(fork_icon(paths.current))
        self.setAccessibleName(f"forks: on {present.name}")
        self.setToolTip(f"You are on “{present.name}”. Forks are paths that leave the past: go to one, compare, rename")

    def changeEvent(self, event: QEvent) -> None:
        """The fork's colour is another in another theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self.session.paths is not None:
            self.setIcon(fork_icon(self.session.paths.current))

    def _fill(self) -> None:
        menu, paths = self.menu(), self.session.paths
        menu.clear()
        menu.addAction("&Fork here", self.session.make_fork)
        menu.addSeparator()
        for fork in paths.forks if paths is not None else ():
            self._add(menu, fork, paths.current if paths is not None else 0)

    def _add(self, menu: QMenu, fork: ForkInfo, current: int) -> None:
        here, session, number = fork.number == current, self.session, fork.number
        of = menu.addMenu(fork_icon(number), f"{'● ' if here else ''}{fork.name} — {told(fork)}")
        if not here:
            of.addAction("&Go on with it", partial(session.switch, number))
            same = session.network is not None and session.network.run == fork.run
            compare = of.addAction("&Compare: show the difference", partial(self._compare, number))
            compare.setCheckable(True)
            compare.setChecked(session.compared == number)
            compare.setEnabled(same)
            of.addAction("&Drop it", partial(session.drop_fork, number))
        of.addAction("&Rename…", partial(self._rename, fork))
        if fork.changes:
            of.addSection("changed on it")
            for change in fork.changes[-8:]:
                of.addAction(f"step {count(change.step)}: {change.text}", partial(self._seek, fork, change.step))

    def _seek(self, fork: ForkInfo, step: int) -> None:
        self.session.switch(fork.number, step)

    def _compare(self, number: int) -> None:
        self.session.compare(None if self.session.compared == number else number)

    def _rename(self, fork: ForkInfo) -> None:
        name, wanted = QInputDialog.getText(self, "Rename a fork", "Name:", text=fork.name)
        if wanted and name.strip():
            self.session.rename_fork(fork.number, name.strip())


def told(fork: ForkInfo) -> str:
    """Where a fork begins and how far it goes."""
    if fork.parent < 0:
        return f"steps {count(fork.first_step)} to {count(fork.tip.step)}"
    return f"leaves at step {count(fork.start.step)}, goes to {count(fork.tip.step)}"
