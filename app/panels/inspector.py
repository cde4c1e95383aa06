"""The inspector panel: the chosen tensor, large, with what its colours mean and what is in each cell."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from app import theme as themes
from app.panel import Panel
from app.session import Selection, Session
from app.widgets.cell_editor import CellEditor
from app.widgets.facts import Facts
from app.widgets.flow_rulers import SteadyLimit, decade_limit, extreme, log_ruler
from app.widgets.noticed_heatmap import NoticedHeatmap
from app.widgets.numbers import NONE, count, exact, signed
from app.widgets.picture import Ruler
from app.widgets.ruler_bar import RulerBar
from app.widgets.tensor_box import TensorBox
from app.widgets.tensor_text import across, cell_of, drawn_shape, formula, index_at, is_gradient, shape_text
from app.widgets.throttle import Throttle
from engine.frames import Frame, Picture
from engine.protocol import Built, Cell, WatchItem

FINEST = 512  # cells each way that are watched
STRIP = 72  # pixels: the height of a vector
TEXTS = 10.0  # a second while playing: oftener nobody reads
ANSWER_WITHIN = 0.5  # seconds; a question not answered by then is asked again
POINT_HERE = "point at a cell to read it, double click to change it"
NOT_YET = "not computed yet in this mini-batch"


def linear_limit() -> SteadyLimit:
    """Finer than that of a small tile: here the colours are to be told apart."""
    return SteadyLimit((1, 2, 3, 4, 5, 6, 8), low=0.4)


class InspectorPanel(Panel):
    """Gradients are shown on a log ruler, everything else on a linear one."""

    title: ClassVar[str] = "Inspector"
    hint: ClassVar[str] = (
        "One tensor, large: blue is positive, orange negative, and what is zero has the colour of the paper. "
        "Point at a cell to read its exact value; a click keeps that cell in view while training goes on."
    )
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "right"
    order: ClassVar[int] = 0

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.box = TensorBox(self)
        self.view = NoticedHeatmap(self, name="the chosen tensor")
        self.bar = RulerBar(self)
        self.cell_line = _line("value of the cell")
        self.facts = Facts(("min", "max", "mean", "norm"), self)
        self.editor = CellEditor(self)
        self._edited: Selection | None = None  # the cell that the editor is open for
        self.formula_line = _line("formula")
        themes.mark(self.formula_line, "muted")
        self._lay_out()
        self._picture: Picture | None = None
        self._pointed: tuple[int, int] | None = None
        self._asked: tuple[Selection, float] | None = None
        self._told: Cell | None = None
        self._status = ""
        self._limit = linear_limit()
        self._throttle = Throttle(self._tell, self, TEXTS)
        self.box.activated.connect(self._on_box)
        self.view.hovered.connect(self._on_hovered)
        self.view.left.connect(self._on_left)
        self.view.clicked.connect(self._on_clicked)
        session.selected.connect(self._on_selected)
        session.cell_told.connect(self._on_cell_told)
        session.hinted.connect(self._on_hinted)
        self.view.opened.connect(self._open_editor)
        self.editor.entered.connect(self._on_entered)
        self.editor.problem.connect(lambda text: session.said.emit(text, True))
        self.editor.closed.connect(lambda: self.cell_line.show())

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(11, 2, 11, 8)
        column.setSpacing(6)
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.view, 1)
        row.addWidget(self.bar)
        column.addWidget(self.box)
        column.addLayout(row, 1)
        for widget in (self.cell_line, self.editor, self.facts, self.formula_line):
            column.addWidget(widget)
        self.view.setMinimumSize(80, 40)

    # --- what is looked at --------------------------------------------------------------------

    def wanted(self) -> tuple[WatchItem, ...]:
        """The chosen tensor, finely."""
        selection = self.session.selection
        return (WatchItem(selection.address, FINEST, FINEST),) if selection else ()

    def build(self, network: Built) -> None:
        """The tensors of this network to choose from."""
        self.box.fill(network)
        self._look_at_selection()

    def retell(self, network: Built) -> None:
        """Formulas, names and penalties may be others."""
        self.box.fill(network)
        if self.session.selection is not None:
            self.box.choose(self.session.selection.address)
            self._tell_formula(network, self.session.selection.address)

    def _on_selected(self, _: Selection) -> None:
        self._look_at_selection()
        self.rewatch()
        if self.session.frame is not None and self.seen:
            self.draw(self.session.frame)

    def _look_at_selection(self) -> None:
        """Begin anew with another tensor, or with another cell of it."""
        selection, network = self.session.selection, self.session.network
        if selection is None or network is None:
            return
        if self.box.currentData() != selection.address:
            self.box.choose(selection.address)
            self._picture, self._pointed, self._told = None, None, None
            self._limit = decade_limit() if is_gradient(selection.address) else linear_limit()
            self.view.setAccessibleName(f"tensor {selection.address}")
            self._tell_formula(network, selection.address)
        self._asked = None

    def _tell_formula(self, network: Built, address: str) -> None:
        text = formula(network, address)
        self.formula_line.setText(text)
        self.formula_line.setToolTip(text)

    def _on_box(self) -> None:
        address = self.box.currentData()
        if address:
            self.session.select(address)

    # --- the picture --------------------------------------------------------------------------

    def draw(self, frame: Frame) -> None:
        """The tensor at every frame; numbers as often as one can read."""
        selection, network = self.session.selection, self.session.network
        if selection is None or network is None:
            return
        picture = frame.tensors.get(selection.address)
        info = network.tensors.get(selection.address)
        early = info is not None and info.made_by > frame.position.phase
        if picture is None or early or not picture.computed:
            self._picture = None
            self.view.explain(NOT_YET if early or picture is not None else "")
            self.bar.show_ruler(None)
        else:
            self._show(picture)
        shape = picture.shape if picture is not None else info.shape if info is not None else ()
        self._say_status(f"{selection.address} {shape_text(shape)}")
        self._throttle.ask(at_once=not self.session.playing)

    def _show(self, picture: Picture) -> None:
        self._picture = picture
        selection = self.session.selection
        assert selection is not None
        ruler = self._ruler(selection.address, extreme(picture.values))
        shape = drawn_shape(picture.shape)
        self.view.setMaximumHeight(STRIP if shape[0] == 1 else 16777215)
        self.view.mark(cell_of(picture.shape, selection.index) if selection.index is not None else None)
        self.view.show_values(across(picture.values, picture.shape), ruler, shape)
        self.bar.show_ruler(ruler)

    def _ruler(self, address: str, size: float) -> Ruler:
        limit = self._limit.follow(size)
        return log_ruler(limit) if is_gradient(address) else Ruler("linear", limit)

    def _say_status(self, text: str) -> None:
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)

    def rest(self) -> None:
        """What is not seen is not told."""
        self._throttle.stop()

    # --- numbers ------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Histogram, statistics and the cell's value."""
        picture = self._picture
        if picture is None:
            self.bar.show_counts(None)
            self.facts.show_values((NONE,) * 4)
        else:
            self.bar.show_counts(picture.values if picture.whole else None)
            self._tell_facts(picture)
        self._tell_cell(ask=True)

    def _tell_facts(self, picture: Picture) -> None:
        """Of a reduced picture least and greatest hold, the rest would be of a choice of entries."""
        values = picture.values
        finite = np.isfinite(values)
        if not finite.all():
            self._alarm(picture, finite)
            return
        texts = [signed(float(values.min())), signed(float(values.max()))]
        if picture.whole:
            wide = values.astype(np.float64).ravel()
            texts += [signed(float(wide.mean())), signed(float(np.sqrt(np.dot(wide, wide)))).removeprefix("+")]
        else:
            texts += [NONE, NONE]
        self.facts.show_values(tuple(texts))
        self.facts.setToolTip(
            "" if picture.whole else "mean and norm only of tensors up to 512×512, which are shown whole"
        )

    def _alarm(self, picture: Picture, finite: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> None:
        """Say loudly what is no number."""
        values = picture.values
        undefined = int(np.isnan(values).sum())
        infinite = values.size - int(finite.sum()) - undefined
        parts = [f"{count(n)} {word}" for n, word in ((undefined, "NaN"), (infinite, "infinite")) if n]
        of = f"of {count(values.size)} entries" if picture.whole else f"of {count(values.size)} cells"
        rest = values[finite]
        said = (
            f"the others from {signed(float(rest.min())).strip()} to {signed(float(rest.max())).strip()}"
            if rest.size
            else ""
        )
        self.facts.show_alarm(f"⚠ {' and '.join(parts)} {of}", said or "no number is left")

    # --- one cell -----------------------------------------------------------------------------

    def _on_hovered(self, row: int, column: int) -> None:
        cell = (row, column)
        moved, self._pointed = cell != self._pointed, cell
        pointed = self._chosen()
        if moved and pointed is not None and not self.session.playing:
            self.session.hint((pointed,))
        if moved and not self.session.playing:
            self._tell_cell(ask=True)
        elif moved:
            self._throttle.ask()

    def _on_left(self) -> None:
        self._pointed = None
        self.session.hint(())
        self._tell_cell(ask=True)

    def _on_clicked(self, row: int, column: int) -> None:
        if self._picture is not None and self.session.selection is not None:
            self.session.select(self.session.selection.address, index_at(self._picture.shape, row, column))

    def _on_hinted(self, cells: tuple[Selection, ...]) -> None:
        """Ring the cells that lie in the tensor shown."""
        selection, picture = self.session.selection, self._picture
        if selection is None or picture is None or self._pointed is not None:
            self.view.hint(())
            return
        here = [
            cell_of(picture.shape, c.index) for c in cells if c.index is not None and c.address == selection.address
        ]
        self.view.hint(tuple(cell for cell in here if cell is not None))

    # --- editing ------------------------------------------------------------------------------

    def _open_editor(self, row: int, column: int) -> None:
        """Type over a cell; whether it may be is the engine's to say."""
        selection, picture = self.session.selection, self._picture
        if selection is None or picture is None:
            return
        self._pointed = None
        self._edited = Selection(selection.address, index_at(picture.shape, row, column))
        shown = self.cell_line.text().rpartition("= ")[2]
        self.cell_line.hide()
        self.editor.open("" if shown == "…" else shown)

    def _on_entered(self, value: float) -> None:
        cell = self._edited
        if cell is not None and cell.index is not None:
            self.session.edit(cell.address, cell.index, value)
        self.view.setFocus()

    def _on_cell_told(self, cell: Cell) -> None:
        self._told, self._asked = cell, None
        self._tell_cell(ask=False)

    def _chosen(self) -> Selection | None:
        """The entry under the pointer, else the one that was clicked."""
        selection, picture = self.session.selection, self._picture
        if selection is None or picture is None:
            return None
        if self._pointed is not None:
            return Selection(selection.address, index_at(picture.shape, *self._pointed))
        inside = selection.index is not None and cell_of(picture.shape, selection.index) is not None
        return selection if inside else None

    def _tell_cell(self, ask: bool) -> None:
        """The chosen entry's value: from the picture where that is exact, else as the engine tells it."""
        chosen, picture, network = self._chosen(), self._picture, self.session.network
        if chosen is None or picture is None or network is None or chosen.index is None:
            _say(self.cell_line, POINT_HERE if picture is not None else "", quiet=True)
            return
        cell = cell_of(picture.shape, chosen.index)
        dtype = network.recipe.dtype
        if picture.whole and dtype == "float32" and cell is not None:
            value: float | None = float(across(picture.values, picture.shape)[cell])
        else:
            told = self._told
            value = told.value if told is not None and Selection(told.address, told.index) == chosen else None
            if ask:
                self._ask(chosen)
        role, place = chosen.address.partition(".")[2], ", ".join(map(str, chosen.index))
        _say(self.cell_line, f"{role}[{place}] = {exact(value, dtype) if value is not None else '…'}", quiet=False)

    def _ask(self, chosen: Selection) -> None:
        """One question at a time."""
        now = time.monotonic()
        if self._asked is None or now - self._asked[1] > ANSWER_WITHIN:
            assert chosen.index is not None
            self._asked = chosen, now
            self.session.ask_cell(chosen.address, chosen.index)


def _say(label: QLabel, text: str, *, quiet: bool) -> None:
    """Text on a line, muted or not."""
    label.setText(text)
    role: Literal["muted", "strong"] = "muted" if quiet else "strong"
    if label.property("role") != role:
        label.setProperty("role", role)  # "strong" has no rule of its own: the plain look
        label.style().unpolish(label)
        label.style().polish(label)


def _line(name: str) -> QLabel:
    """One line of text that never moves its neighbours."""
    label = QLabel()
    label.setAccessibleName(name)
    label.setFont(themes.tabular(label.font()))
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label
