"""The inspector panel: the chosen tensor, large, with what its colours mean and what is in each cell."""

from __future__ import annotations

from typing import ClassVar, Literal

from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.cell_reading import CellReading, Shown
from app.inspector_commands import InspectorCommands
from app.panel import Panel
from app.session import Selection, Session
from app.widgets.inspector_body import InspectorBody
from app.widgets.inspector_tools import InspectorTools
from app.widgets.numbers import count
from app.widgets.tensor_numbers import percentiles, sample
from app.widgets.tensor_text import cell_of, formula, is_gradient
from app.widgets.tensor_view import SteadyRuler, watched
from app.widgets.throttle import Throttle
from engine.frames import Frame, Picture
from engine.protocol import Built, Paths, WatchItem

LOOKS = 20.0  # a second while playing at full speed
TEXTS = 10.0  # a second while playing: oftener nobody reads
NOT_YET = "not computed yet in this mini-batch"
NO_CHANGE = "there is no mini-batch of this size before it to compare with"
CHANGE_AT_REST = "the difference is shown when paused"


class InspectorPanel(Panel):
    """Gradients are shown on a log ruler, everything else on a linear one."""

    title: ClassVar[str] = "Inspector"
    hint: ClassVar[str] = (
        "One tensor, large: {forward} is positive, {backward} negative, and what is zero has the colour of the paper. "
        "Point at a cell to read its exact value; a click keeps that cell in view while training goes on."
    )
    key_help: ClassVar = (("Enter, F2", "Type over the cell"),)
    area: ClassVar[Literal["left", "centre", "right", "bottom"]] = "right"
    order: ClassVar[int] = 0

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.tools = self.controls = InspectorTools(self)
        self.box = self.controls.box
        self.reading = CellReading(session, self)
        self.cell_line, self.sums_line, self.editor = self.reading.line, self.reading.sums, self.reading.editor
        self.body = body = InspectorBody(self.cell_line, self.editor, self.sums_line, self)
        self.view, self.bar, self.strip = body.view, body.bar, body.strip
        self.facts, self.formula_line = body.facts, body.formula_line
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(body)
        self._picture: Picture | None = None
        self._pointed: tuple[int, int] | None = None
        self._status = ""
        self._shown: object = None  # what was watched, and the fork compared with, when the picture was begun
        self._ruler = SteadyRuler(log=False)
        self._fork = session.fork
        self._looks = Throttle(self._look, self, LOOKS, takes_turns=True)
        self._throttle = Throttle(self._tell, self, TEXTS, takes_turns=True)
        self._commands = InspectorCommands(session, self.controls, self.reading, self.view)
        self._connect()

    def _connect(self) -> None:
        session, controls, view = self.session, self.controls, self.view
        self.box.activated.connect(self._on_box)
        view.hovered.connect(self._on_hovered)
        view.left.connect(self._on_left)
        view.clicked.connect(self._on_clicked)
        view.opened.connect(self._open_editor)
        controls.pictures.toggled.connect(self._again)
        controls.change.toggled.connect(self._on_selected)
        self.strip.pointed.connect(session.point)
        self.strip.clicked.connect(session.seek)
        self.reading.entered.connect(self.view.setFocus)
        self.reading.renewed.connect(lambda: self._tell_cell(ask=False))
        session.selected.connect(self._on_selected)
        session.hinted.connect(self._on_hinted)
        session.paths_changed.connect(self._on_paths)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A narrow title bar has no room for switches."""
        super().resizeEvent(event)
        self.controls.set_width(self.width())

    # --- what is looked at --------------------------------------------------------------------

    @property
    def _address(self) -> str:
        """What is watched: the chosen tensor, or its change; "" for nothing."""
        selection = self.session.selection
        if selection is None:
            return ""
        place, _, role = selection.address.partition(".")
        return f"{place}.change_{role}" if self.controls.change.isChecked() else selection.address

    def wanted(self) -> tuple[WatchItem, ...]:
        """The chosen tensor: whole, or where it is large as finely as a screen shows."""
        selection, network = self.session.selection, self.session.network
        info = network.tensors.get(selection.address) if selection is not None and network is not None else None
        return (watched(self._address, info.shape),) if info is not None else ()

    def build(self, network: Built) -> None:
        """The tensors of this network to choose from."""
        self.box.fill(network)
        self._shown = None
        self._look_at_selection()

    def retell(self, network: Built) -> None:
        """Formulas, names and penalties may be others."""
        self.box.fill(network)
        if self.session.selection is not None:
            self.box.choose(self.session.selection.address)
            self._tell_formula(network, self.session.selection.address)

    def _on_selected(self, *_: object) -> None:
        self._look_at_selection()
        self.rewatch()
        self._again()

    def _again(self, *_: object) -> None:
        """Draw the frame that is shown once more."""
        if self.session.frame is not None and self.seen:
            self.draw(self.session.frame)

    def _look_at_selection(self) -> None:
        """Another tensor or its change, or another cell of it."""
        self.reading.forget_question()
        self._begin()

    def _begin(self) -> None:
        """Begin anew, where the tensor or what is taken off it is another one than before."""
        selection, network = self.session.selection, self.session.network
        what = self._address, self.session.compared
        if selection is None or network is None or self._shown == what:
            return
        address, self._shown = selection.address, what
        self.box.choose(address)
        self._picture, self._pointed = None, None
        self._ruler = SteadyRuler(log=is_gradient(address))
        self.strip.course.clear()
        self.controls.offer_pictures(self.view.expect(network, address))
        self.view.setAccessibleName(f"tensor {address}")
        self._tell_formula(network, address)

    def _tell_formula(self, network: Built, address: str) -> None:
        text = formula(network, address)
        self.formula_line.setText(text)
        self.formula_line.setToolTip(text)

    def _on_box(self) -> None:
        address = self.box.currentData()
        if address:
            self.session.select(address)

    def _on_paths(self, _: Paths) -> None:
        """On another path the steps seen before it left are still true."""
        session = self.session
        if session.fork != self._fork and session.paths is not None:
            here = next((f for f in session.paths.forks if f.number == session.fork), None)
            self.strip.course.truncate(here.shared if here is not None and here.parent == self._fork else 0)
            self._fork = session.fork

    # --- the picture --------------------------------------------------------------------------

    def draw(self, frame: Frame) -> None:
        """The tensor as often as one sees, numbers as often as one can read."""
        self._looks.ask(at_once=not self.session.hurried)

    def _look(self) -> None:
        selection, network, frame = self.session.selection, self.session.network, self.session.frame
        if selection is None or network is None or frame is None:
            return
        self._begin()
        picture = frame.tensors.get(self._address)
        info = network.tensors.get(selection.address)
        early = info is not None and info.made_by > frame.position.phase
        if picture is None or early or not picture.computed:
            self._picture = None
            self.view.explain(NOT_YET if early or picture is not None else self._why_nothing())
            self.bar.show_ruler(None)
        else:
            self._show(picture, frame.step)
        self._throttle.ask(at_once=not self.session.playing)

    def _why_nothing(self) -> str:
        """Where a frame brings no change of the tensor."""
        if not self.controls.change.isChecked():
            return ""
        return CHANGE_AT_REST if self.session.playing else NO_CHANGE

    def _show(self, picture: Picture, step: int) -> None:
        self._picture = picture
        selection = self.session.selection
        assert selection is not None
        entries = sample(picture.values)
        ruler = self._ruler.follow(picture.values, entries)
        self.view.show_picture(picture, ruler, as_pictures=self.controls.pictures.isChecked())
        self.view.mark_entry(selection.index)
        self.bar.show_ruler(ruler)
        if picture.whole:
            self.strip.course.note(step, percentiles(entries))

    def _difference(self) -> str:
        """What is taken off the values; "" for nothing."""
        fork, change = self.session.compared, self.controls.change.isChecked()
        name = dict(self.session.path_names).get(fork, "a fork") if fork is not None and not change else ""
        return "Δ to the step before" if change else f"▲ less {name}" if name else ""

    def _say_status(self) -> None:
        """What the colours are, where they are not the values; and how much lies beyond them."""
        found, ruler = self.bar.counted, self.bar.ruler
        outside = found.below + found.above if found is not None else 0
        beyond = f"{count(outside)} beyond {ruler.label}" if outside and ruler is not None else ""
        text = " · ".join(filter(None, (self._difference(), beyond)))
        if text != self._status:
            self._status = text
            self.status_changed.emit(text)

    def rest(self) -> None:
        """What is not seen is not told."""
        self._looks.stop()
        self._throttle.stop()

    # --- numbers ------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Histogram, statistics, the course over the steps and the cell's value."""
        picture, frame = self._picture, self.session.frame
        whole = picture.values if picture is not None and picture.whole else None
        self.bar.show_counts(whole, every=not self.session.playing)
        self.facts.show_picture(picture)
        self.strip.show_course(self.bar.ruler, frame.step if frame is not None else None)
        self._say_status()
        self._tell_cell(ask=True)

    def _tell_cell(self, ask: bool) -> None:
        chosen, self._commands.shown = self._chosen(), self._what()
        self.reading.tell(self._commands.shown, chosen.index if chosen is not None else None, ask=ask)

    def _what(self) -> Shown | None:
        """What is shown; None where there is nothing."""
        picture, network, selection = self._picture, self.session.network, self.session.selection
        if picture is None or network is None or selection is None:
            return None
        role = selection.address.partition(".")[2]
        name = f"Δ{role}" if self.controls.change.isChecked() else role
        told = f"{text}: " if (text := self._difference()) else ""
        return Shown(picture, self._address, name, "float64" if told else network.recipe.dtype, told)

    # --- one cell -----------------------------------------------------------------------------

    def _entry(self, row: int, column: int) -> Selection | None:
        """The entry drawn in a cell; None where nothing is shown, and between two pictures."""
        selection = self.session.selection
        index = self.view.sheet.index_at(row, column) if self._picture is not None else None
        return Selection(selection.address, index) if selection is not None and index is not None else None

    def _chosen(self) -> Selection | None:
        """The entry under the pointer, else the one that was clicked."""
        selection, picture = self.session.selection, self._picture
        if selection is None or picture is None:
            return None
        pointed = self._entry(*self._pointed) if self._pointed is not None else None
        if pointed is not None:
            return pointed
        inside = selection.index is not None and cell_of(picture.shape, selection.index) is not None
        return selection if inside else None

    def _on_hovered(self, row: int, column: int) -> None:
        cell = (row, column)
        moved, self._pointed = cell != self._pointed, cell
        pointed = self._entry(row, column)
        if moved and not self.session.playing:
            self.session.hint((pointed,) if pointed is not None else ())
            self._tell_cell(ask=True)
        elif moved:
            self._throttle.ask()

    def _on_left(self) -> None:
        self._pointed = None
        self.session.hint(())
        self._tell_cell(ask=True)

    def _on_clicked(self, row: int, column: int) -> None:
        entry = self._entry(row, column)
        if entry is not None:
            self.session.select(entry.address, entry.index)
        elif self.session.selection is not None:  # between two pictures: the mark stays at the entry it was at
            self.view.mark_entry(self.session.selection.index)

    def _on_hinted(self, cells: tuple[Selection, ...]) -> None:
        """Ring the cells that lie in the tensor shown."""
        selection = self.session.selection
        if selection is None or self._picture is None or self._pointed is not None:
            self.view.hint(())
        else:
            self.view.hint_entries([c.index for c in cells if c.index is not None and c.address == selection.address])

    def _open_editor(self, row: int, column: int) -> None:
        entry = self._entry(row, column)
        if entry is not None:
            self._pointed = None
            self.reading.open_editor(entry, differs=bool(self._difference()))
