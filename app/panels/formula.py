"""The formula panel: what has just been computed, or the chosen cell, as a formula with the real numbers."""

from __future__ import annotations

import math
from typing import ClassVar

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app import theme
from app.panel import Area, Panel
from app.session import Selection, Session
from app.widgets.formula import FormulaView
from app.widgets.latex_text import plain
from app.widgets.numbers import count, exact, tiny
from app.widgets.pull_bars import PullBars
from app.widgets.tensor_text import shape_text
from app.widgets.term_table import TermTable
from engine.frames import Frame
from engine.protocol import Built, Terms
from engine.terms import Explanation, Factor

PAUSE = "pause to see the terms"
LOSS = "loss"  # the loss itself, which is no tensor
AT_REST = 40  # milliseconds without another answer: setting a formula would hold up the picture of a key held down


class FormulaPanel(Panel):
    """After a step it tells of what the phase computed; after a click, of the chosen tensor or cell."""

    title: ClassVar[str] = "Formula"
    hint: ClassVar[str] = (
        "The formula of a cell with the numbers that were in the engine, as a sum of terms, the largest first. "
        "Point at a term and its cells light up; g stands for ∂L/∂y, what comes down from above."
    )
    area: ClassVar[Area] = "right"
    order: ClassVar[int] = 2

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.cell, self.shapes, self.sum = QLabel(self), QLabel(self), QLabel(self)
        self.formula, self.numbers = FormulaView("formula", self), FormulaView("formula with numbers", self)
        self.pulls, self.cancelling = PullBars(self), QLabel(self)
        self.table = TermTable(self)
        self._lit: tuple[Selection, ...] = ()  # the cells of the term pointed at here
        self._asked: Selection | None = None
        self._target: Selection | None = None
        self._answer: Terms | None = None  # not shown yet
        self._at_rest = QTimer(self, singleShot=True, interval=AT_REST)
        self._at_rest.timeout.connect(self._tell)
        self._lay_out()
        self.table.pointed.connect(self._light)
        self.table.chosen.connect(lambda factor: session.select(factor.address, factor.index))
        self.pulls.pointed.connect(self._light_sample)
        session.selected.connect(self._on_selected)
        session.terms_told.connect(self._on_terms)
        session.hinted.connect(self._on_hinted)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 2, 11, 8)
        column.setSpacing(5)
        names = {
            "cell": self.cell,
            "shapes": self.shapes,
            "sum of the terms": self.sum,
            "cancellation": self.cancelling,
        }
        for name, label in names.items():
            label.setAccessibleName(name)
            label.setFont(theme.tabular(label.font()))
            label.setWordWrap(True)
        for label in (self.shapes, self.sum, self.cancelling):
            theme.mark(label, "muted")
        above: tuple[QWidget, ...] = (self.cell, self.formula, self.shapes, self.numbers)
        below: tuple[QWidget, ...] = (self.sum, self.pulls, self.cancelling)
        for widget in above:
            column.addWidget(widget)
        column.addWidget(self.table, 1)
        for widget in below:
            column.addWidget(widget)
        self._clear("")

    # --- which cell ---------------------------------------------------------------------------

    def build(self, network: Built) -> None:
        """Another network: nothing is known."""
        self._asked = self._target = None
        self._clear("")

    def draw(self, frame: Frame) -> None:
        """The cursor moved: the chosen cell, if it is computed; else what the phase has made."""
        if self.session.playing:
            if self.cell.text() != PAUSE:
                self._clear(PAUSE)
            return
        self._target = self._chosen(frame) or self._made(frame) or self._selection()
        self._ask()

    def _on_selected(self, _: Selection) -> None:
        self._target = self._selection()
        self._ask()

    def _chosen(self, frame: Frame) -> Selection | None:
        """The cell that was clicked, where it stands in this mini-batch."""
        selection, network = self.session.selection, self.session.network
        if selection is None or selection.index is None or network is None:
            return None
        info = network.tensors.get(selection.address)
        return selection if info is not None and 0 <= info.made_by <= frame.position.phase else None

    def _made(self, frame: Frame) -> Selection | None:
        """A cell of what the phase just computed has made; None after a whole mini-batch."""
        network, number = self.session.network, frame.position.phase
        if network is None or frame.phase is None or frame.phase.kind in ("batch", "update"):
            return None
        if frame.phase.kind == "loss":
            return Selection(LOSS, ())
        made = [
            a for a, info in network.tensors.items() if info.made_by == number and not a.endswith((".x", ".grad_y"))
        ]
        return self._first_cell(made[-1]) if made else None

    def _selection(self) -> Selection | None:
        """The selected cell; of a tensor its first one."""
        selection = self.session.selection
        if selection is None or selection.index is not None:
            return selection
        return self._first_cell(selection.address)

    def _first_cell(self, address: str) -> Selection | None:
        network = self.session.network
        info = network.tensors.get(address) if network is not None else None
        return None if info is None else Selection(address, (0,) * len(info.shape))

    def _ask(self) -> None:
        """Ask the engine, once for each place."""
        target = self._target
        if target is None or target.index is None or not self.seen or self.session.playing:
            return
        self._asked = target
        self.session.ask_terms(target.address, target.index)

    # --- the answer ---------------------------------------------------------------------------

    def _on_terms(self, event: Terms) -> None:
        target = self._asked
        if target is None or (event.address, event.index) != (target.address, target.index):
            return
        self._answer = event
        self._at_rest.start()

    def _tell(self) -> None:
        """Show the last answer."""
        event = self._answer
        assert event is not None
        if event.explanation is None:
            self._clear(f"{_name(event.address, event.index)}: {event.why}")
        else:
            self._show(event.explanation)

    def _show(self, found: Explanation) -> None:
        dtype = self.session.recipe.dtype
        kind = "float64" if found.address == LOSS else dtype
        self.cell.setText(f"{_name(found.address, found.index)} = {exact(found.value, kind)}")
        self.formula.show_formula(found.formula)
        self.numbers.show_formula(found.numbers)
        shapes = "  ·  ".join(f"{plain(symbol)} ({shape_text(shape)})" for symbol, shape in found.shapes.items())
        self.shapes.setText(shapes)
        self.shapes.setVisible(bool(shapes))
        self.table.show_terms(found, dtype)
        self.table.setVisible(found.count > 0)
        self.sum.setText(told_sum(found) if found.count else "")
        self.sum.setToolTip(f"sum of all terms in float64: {exact(found.total, 'float64')}")
        self.sum.setVisible(found.count > 0)
        self.pulls.show_pulls(found.pulls)
        self.cancelling.setText(told_cancellation(found.cancellation))
        self.cancelling.setVisible(bool(found.pulls) and math.isfinite(found.cancellation))
        self.status_changed.emit(f"{count(found.count)} terms" if found.count > 1 else "")

    def _clear(self, text: str) -> None:
        """Nothing to tell but a sentence."""
        self._at_rest.stop()
        self.cell.setText(text)
        self.formula.show_formula("")
        self.numbers.show_formula("")
        self.table.show_terms(None, "float32")
        self.pulls.show_pulls(())
        for widget in (self.formula, self.numbers, self.table, self.pulls, self.sum, self.shapes, self.cancelling):
            widget.hide()
        self.status_changed.emit("")

    # --- lighting -----------------------------------------------------------------------------

    def _light(self, factors: tuple[Factor, ...]) -> None:
        """The cells of a term, wherever they are drawn."""
        self._lit = tuple(Selection(f.address, f.index) for f in factors if f.address)
        self.session.hint(self._lit)

    def _light_sample(self, sample: int | None) -> None:
        """The row of a sample in the data."""
        network = self.session.network
        if sample is None or network is None:
            self.session.hint(())
        else:
            rest = (0,) * (len(network.tensors["data.x"].shape) - 1)
            self.session.hint((Selection("data.x", (sample, *rest)),))

    def _on_hinted(self, cells: tuple[Selection, ...]) -> None:
        """A cell is pointed at elsewhere: choose the term that it is in."""
        if len(cells) == 1 and cells[0].index is not None and cells != self._lit:
            self.table.light(cells[0].address, cells[0].index)


def _name(address: str, index: tuple[int, ...]) -> str:
    return address + (f" [{', '.join(map(str, index))}]" if index else "")


def told_sum(found: Explanation) -> str:
    """The sum of the terms, and how far it is from the cell."""
    terms = "1 term" if found.count == 1 else f"{count(found.count)} terms"
    gap = abs(found.total - found.value)
    if not math.isfinite(gap):
        return f"{terms}: {found.total:.10g}".replace("-", "−")
    apart = "the cell" if gap == 0 else f"rounding {tiny(gap)}"
    if gap > 1e-3 * found.size:
        apart = f"⚠ {tiny(gap)} off the cell: that is not what was computed"
    return f"{terms}: {found.total:.10g}  ·  {apart}".replace("-", "−")


def told_cancellation(value: float) -> str:
    """What the cancellation means."""
    if not math.isfinite(value):
        return ""
    meaning = ": all one way" if value > 0.8 else ": they cancel" if value < 0.2 else ""
    return f"pull of each sample  ·  cancellation {value:.2f}{meaning}"
