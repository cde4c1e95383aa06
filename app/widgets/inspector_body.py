"""How the Inspector is laid out: the heatmap takes what there is, and extras are shown as its height allows."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app import theme as themes
from app.widgets.by_height import show_what_fits
from app.widgets.distribution_strip import DistributionStrip
from app.widgets.readout import Readout
from app.widgets.ruler_bar import RulerBar
from app.widgets.tensor_facts import TensorFacts
from app.widgets.tensor_view import TensorView

GAP = 6  # pixels between the rows
MARGINS = (11, 2, 11, 8)
LEAST, AMPLE = 3.7, 6.0  # lines of text that the heatmap keeps beside the strip, and beside lines of text
LARGE = 24  # lines of text each way, from which on the histogram is wide


class InspectorBody(QWidget):
    """Heatmap and ruler, the strip over the steps, then lines: the cell's, the sums, four numbers, the formula."""

    def __init__(self, cell_line: QWidget, editor: QWidget, sums_line: QWidget, parent: QWidget) -> None:
        super().__init__(parent)
        self.view, self.bar = TensorView(self), RulerBar(self)
        self.strip, self.facts = DistributionStrip(self), TensorFacts(self)
        self.formula_line = Readout("formula", self)
        themes.mark(self.formula_line, "muted")
        self._cell_line, self._sums_line = cell_line, sums_line
        column = QVBoxLayout(self)
        column.setContentsMargins(*MARGINS)
        column.setSpacing(GAP)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.view, 1)
        row.addWidget(self.bar)
        column.addLayout(row, 1)
        for widget in (self.strip, cell_line, editor, sums_line, self.facts, self.formula_line):
            column.addWidget(widget)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show as much as there is room for."""
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        """Larger text needs more room."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and self.layout() is not None:
            self._fit()

    def _fit(self) -> None:
        line = self.fontMetrics().height()
        self.strip.setFixedHeight(max(self.strip.least_height(), min(self.height() // 8, 6 * line)))
        always = MARGINS[1] + MARGINS[3] + 2 * GAP
        always += self._cell_line.sizeHint().height() + self.facts.sizeHint().height()
        lines = [(w, w.sizeHint().height() + GAP, round(AMPLE * line)) for w in (self._sums_line, self.formula_line)]
        strip = (self.strip, self.strip.height() + GAP, round(LEAST * line))
        show_what_fits(self.height() - always, [strip, *lines])
        self.bar.set_roomy(min(self.width(), self.height()) > LARGE * line)
