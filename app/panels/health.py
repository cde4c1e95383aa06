"""The health panel: what the numbers of a step mean, in sentences that lead to the place; and who ate the gradient."""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QListWidget, QListWidgetItem, QWidget

from app import theme
from app.panel import Area, Panel
from app.session import Session
from app.widgets.numbers import count
from app.widgets.passage_bars import PassageBars
from app.widgets.scrolling import scrolling
from app.widgets.sparkline import CURVE, SparklineDelegate, heights
from app.widgets.throttle import Throttle
from engine.frames import Frame
from engine.gradient_path import passages
from engine.health_course import course
from engine.health_verdicts import Severity, Verdict, verdicts
from engine.protocol import Built

TELLS = 4.0  # a second while playing: oftener nobody reads
SIGNS: dict[Severity, tuple[str, str]] = {
    "bad": ("✗", "bad_text"),
    "odd": ("⚠", "backward_text"),
    "good": ("✓", "good_text"),
}


class HealthPanel(Panel):
    """A click on a sentence goes to its tensor, and to the step since when it has been so."""

    title: ClassVar[str] = "Health"
    hint: ClassVar[str] = (
        "What the numbers of this step mean, in sentences; a click goes to the place and to the step since when. "
        "At the right, by what factor each layer passes the gradient on."
    )
    area: ClassVar[Area] = "bottom"
    order: ClassVar[int] = 2

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.list, self.bars = QListWidget(self), PassageBars()
        self.list.setAccessibleName("verdicts")
        self.list.setWordWrap(True)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setToolTip("Click a sentence to go to its tensor, and to the step since when it holds")
        self.list.setItemDelegate(SparklineDelegate(self.list))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        row = QHBoxLayout(self)
        row.setContentsMargins(9, 0, 9, 6)
        row.addWidget(self.list, 3)
        row.addWidget(scrolling(self.bars), 2)
        self._found: list[Verdict] = []
        self._throttle = Throttle(self._tell, self, TELLS, takes_turns=True)
        self.list.itemClicked.connect(self._go)
        self.list.itemActivated.connect(self._go)

    def build(self, network: Built) -> None:
        """Another network, or none of its steps yet."""
        self._tell()

    def draw(self, frame: Frame) -> None:
        """The cursor moved."""
        self._throttle.ask()

    def rest(self) -> None:
        """What is not seen is not told."""
        self._throttle.stop()

    def _tell(self) -> None:
        """The sentences of the step shown."""
        session, network = self.session, self.session.network
        if network is None:
            return
        step = session.cursor or len(session.history)
        titles = [layer.caption for layer in network.layers]
        found = verdicts(session.history, step, network.recipe, titles, len(network.data.classes))
        rows = passages(session.history, step, network.recipe.layers) if found else []
        self.bars.show_passages(rows, [layer.title for layer in network.layers])
        bad = sum(verdict.severity == "bad" for verdict in found)
        self.status_changed.emit(f"step {count(step)}" + (f" · {bad} bad" if bad else "") if found else "")
        if found != self._found or not found:
            self._found = found
            self._fill()
        for row, verdict in enumerate(self._found):  # the same sentence goes on, with a longer course
            curve = heights(course(session.history, verdict, 1, self._shown()))
            self.list.item(row).setData(CURVE, curve)

    def _fill(self) -> None:
        chosen = self.list.currentRow()
        self.list.clear()
        for verdict in self._found:
            sign, colour = SIGNS[verdict.severity]
            since = f"  (since step {count(verdict.step)})" if self._leads_back(verdict) else ""
            item = QListWidgetItem(f"{sign}  {verdict.sentence}{since}")
            item.setForeground(theme.current().color(colour))
            item.setToolTip(
                f"{verdict.sentence}\nThe curve: how it went up to this step, from its least to its greatest"
            )
            self.list.addItem(item)
        if not self._found:
            self.list.addItem("Nothing to tell before the first step")
        self.list.setCurrentRow(min(chosen, len(self._found) - 1))

    def _leads_back(self, verdict: Verdict) -> bool:
        """Whether it has been so for longer than the step shown."""
        shown = self._shown()
        return verdict.severity != "good" and 0 < verdict.step < shown

    def _shown(self) -> int:
        return self.session.cursor or len(self.session.history)

    def _go(self, item: QListWidgetItem) -> None:
        """To the tensor, and to the step."""
        row = self.list.row(item)
        if row >= len(self._found):
            return
        verdict, network = self._found[row], self.session.network
        if network is not None and verdict.tensor in network.tensors:
            self.session.select(verdict.tensor)
        if self._leads_back(verdict):
            self.session.seek(verdict.step)
