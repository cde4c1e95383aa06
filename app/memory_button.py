"""The memory that the timeline takes, and a menu of budgets for it."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QInputDialog, QMenu, QToolButton, QWidget

from app.session import Session

BUDGETS = (64, 256, 1024, 4096)  # MB
MB = 1_000_000


class MemoryButton(QToolButton):
    """Such as "12 of 256 MB"."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.session = session
        self.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setToolTip(
            "Memory of the timeline: keyframes and numbers of all forks. With more of it, far places are nearer"
        )
        self.setMenu(QMenu(self))
        self.menu().aboutToShow.connect(self._fill)
        self.show_memory()

    def show_memory(self) -> None:
        """What the engine says it takes."""
        paths = self.session.paths
        used, budget = (paths.nbytes, paths.budget) if paths is not None else (0, self.session.budget)
        self.setText(f"{used / MB:,.0f} of {budget / MB:,.0f} MB")
        self.setAccessibleName(f"memory of the timeline: {self.text()}")

    def _fill(self) -> None:
        menu, present = self.menu(), self.session.budget
        menu.clear()
        for budget in BUDGETS:
            action = menu.addAction(f"{budget:,} MB", partial(self.session.set_budget, budget * MB))
            action.setCheckable(True)
            action.setChecked(budget * MB == present)
        menu.addAction("Another…", self._ask)

    def _ask(self) -> None:
        present = round(self.session.budget / MB)
        budget, wanted = QInputDialog.getInt(self, "Memory of the timeline", "Megabytes:", present, 1, 1_000_000)
        if wanted:
            self.session.set_budget(budget * MB)
