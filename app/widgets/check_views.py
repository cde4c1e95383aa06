"""The views of a tensor's check: the bug's name, pictures, scatter, error against h; one at a time, or all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QTabBar, QWidget

from app import theme as themes
from app.widgets.bug_view import BugView
from app.widgets.check_pictures import CheckPictures
from engine.protocol import NamedBug

if TYPE_CHECKING:
    from app.widgets.check_plots import ScatterPlot, SweepPlot

View = Literal["bug", "pictures", "scatter", "sweep"]
TITLES: dict[View, str] = {"bug": "✗ Bug", "pictures": "Pictures", "scatter": "Scatter", "sweep": "Error / h"}
TIPS: dict[View, str] = {
    "bug": "Which line of thought is wrong, and what should stand there",
    "pictures": "Analytic and numerical gradient, their difference and relative error, entry by entry",
    "scatter": "Analytic against numerical gradient: right entries lie on the diagonal",
    "sweep": "The error against the step h: a V means right, a plateau wrong, a step a kink",
}


class CheckViews(QWidget):
    """`switch` chooses between the views; it is hidden where all of them are shown at once.

    The plots are made when they are first seen: their library is slow to import.
    """

    changed = Signal()  # other views are seen now
    dot_picked = Signal(int)  # the flat index of an entry, in the scatter

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.switch = QTabBar(self)
        self.switch.setDrawBase(False)
        self.switch.setExpanding(False)
        self.switch.setUsesScrollButtons(False)
        self.switch.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.switch.setAccessibleName("view of the check")
        themes.mark(self.switch, "switch")
        for view, title in TITLES.items():
            place = self.switch.addTab(title)
            self.switch.setTabData(place, view)
            self.switch.setTabToolTip(place, TIPS[view])
        self.bug = BugView(self)
        self.pictures = CheckPictures(self)
        self.scatter: ScatterPlot | None = None
        self.sweep: SweepPlot | None = None
        self._all = False
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.show_bugs(())
        self.choose("pictures")
        self.switch.currentChanged.connect(self._on_switched)

    # --- which are seen -----------------------------------------------------------------------

    @property
    def chosen(self) -> View:
        """The view that the switch stands at."""
        view: View = self.switch.tabData(self.switch.currentIndex())
        return view

    @property
    def seen(self) -> tuple[View, ...]:
        """The views shown now."""
        if not self._all:
            return (self.chosen,)
        return (
            ("bug", "pictures", "scatter", "sweep") if self.switch.isTabVisible(0) else ("pictures", "scatter", "sweep")
        )

    def choose(self, view: View) -> None:
        """Show this one."""
        self.switch.setCurrentIndex(list(TITLES).index(view))
        self._arrange()

    def show_all(self, all_at_once: bool) -> None:
        """All views, or the one that is chosen."""
        if all_at_once != self._all:
            self._all = all_at_once
            self._arrange()
            self.changed.emit()

    def show_bugs(self, bugs: tuple[NamedBug, ...], contracts: tuple[str, ...] = ()) -> None:
        """Show these bugs and broken contracts first, where there are any; else there is no view for them."""
        self.bug.show_bugs(bugs, contracts)
        some = bool(bugs or contracts)
        place = list(TITLES).index("bug")
        was_hidden = not self.switch.isTabVisible(place)
        if not some and self.chosen == "bug":
            self.choose("pictures")
        self.switch.setTabVisible(place, some)
        self.switch.setTabText(place, TITLES["bug"] if bugs else "✗ Contract")
        if some and was_hidden:
            self.choose("bug")
        self._arrange()

    def _on_switched(self) -> None:
        self._arrange()
        self.changed.emit()

    def _arrange(self) -> None:
        """Put the views that are seen in their places, and make those that were never seen."""
        seen = self.seen
        self._make_plots(seen)
        views: dict[View, QWidget | None] = {
            "bug": self.bug,
            "pictures": self.pictures,
            "scatter": self.scatter,
            "sweep": self.sweep,
        }
        alone, together = (
            (0, 0, 1, 2),
            {"bug": (0, 0, 1, 2), "pictures": (1, 0, 1, 2), "scatter": (2, 0), "sweep": (2, 1)},
        )
        for view, widget in views.items():
            if widget is None:
                continue
            self._grid.removeWidget(widget)
            if view in seen:
                self._grid.addWidget(widget, *(together[view] if self._all else alone))
            widget.setVisible(view in seen)
        self.bug.be_compact(self._all)
        for row, stretch in enumerate((0 if self._all else 1, 3 if self._all else 0, 4 if self._all else 0)):
            self._grid.setRowStretch(row, stretch)

    def _make_plots(self, seen: tuple[View, ...]) -> None:
        if "scatter" in seen and self.scatter is None:
            from app.widgets.check_plots import ScatterPlot  # here, since pyqtgraph takes long to import

            self.scatter = ScatterPlot()
            self.scatter.setParent(self)
            self.scatter.picked.connect(self.dot_picked)
        if "sweep" in seen and self.sweep is None:
            from app.widgets.check_plots import SweepPlot  # as above

            self.sweep = SweepPlot()
            self.sweep.setParent(self)
