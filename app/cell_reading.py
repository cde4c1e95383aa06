"""One cell of the inspected tensor: its exact value, the sums of its row and column, and the field to type over it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from app import theme as themes
from app.session import Selection, Session
from app.widgets.cell_editor import CellEditor
from app.widgets.numbers import exact, signed
from app.widgets.picture import compact
from app.widgets.readout import Readout
from app.widgets.tensor_numbers import ranges_of_sums, sums_of_cell
from app.widgets.tensor_text import Index, across, cell_of
from engine.frames import Picture
from engine.protocol import Cell

ANSWER_WITHIN = 0.5  # seconds; a question not answered by then is asked again
POINT_HERE = (  # and in less room
    "point at a cell to read it, double click to change it",
    "point to read, double click to change",
    "point at a cell to read it",
)
ONLY_VALUES = "a difference cannot be typed over; show the values first"
WAITING = "…"


@dataclass(frozen=True)
class Shown:
    """What the panel shows: a picture, the address it is watched by, and the role with which cells are named."""

    picture: Picture
    address: str
    role: str
    dtype: str  # of the engine's numbers; of differences float64
    difference: str = ""  # what it is a difference to, to begin a line with

    @property
    def exactly(self) -> bool:
        """Whether the picture holds the engine's own numbers."""
        return self.picture.whole and self.dtype == "float32"


class CellReading(QObject):
    """Two lines and an editor; where the picture is not exact the engine is asked, one question at a time."""

    renewed = Signal()  # the engine told of a cell
    entered = Signal()  # a number was typed

    def __init__(self, session: Session, parent: QWidget) -> None:
        super().__init__(parent)
        self._session = session
        self.line = Readout("value of the cell", parent)
        self.sums = Readout("sums of rows and columns", parent)
        themes.mark(self.sums, "muted")
        self.editor = CellEditor(parent)
        self.value = ""  # of the cell told of, with all its digits
        self._edited: Selection | None = None  # the cell that the editor is open for
        self._asked: tuple[str, Index, float] | None = None
        self._told: Cell | None = None
        self.editor.entered.connect(self._on_entered)
        self.editor.problem.connect(lambda text: session.said.emit(text, True))
        self.editor.closed.connect(self.line.show)
        session.cell_told.connect(self._on_told)

    def forget_question(self) -> None:
        """Another cell, or another tensor: what was asked is of no interest any more."""
        self._asked = None

    def _on_told(self, cell: Cell) -> None:
        self._told, self._asked = cell, None
        self.renewed.emit()

    def tell(self, shown: Shown | None, index: Index | None, *, ask: bool) -> None:
        """Tell of an entry; of none, how to choose one and what the sums of all rows and columns are."""
        self.value = ""
        if shown is None or index is None:
            hint, *shorter = [f"{shown.difference}{form}" for form in POINT_HERE] if shown is not None else [""]
            self.line.say(hint, quiet=True, shorter=tuple(shorter))
            self._say_sums(_ranges(shown) if shown is not None and not self.sums.isHidden() else None)
            return
        moving = bool(shown.difference) and self._session.playing  # an answer would be of a later step
        value, sums = self._read(shown, index, ask and not moving)
        self.value = exact(value, shown.dtype) if value is not None and not moving else ""
        about = f"≈ {self._seen(shown, index)}" if moving else WAITING
        text = f"{shown.role}[{', '.join(map(str, index))}] = {self.value or about}"
        told = _sums(shown, index, sums) if sums is not None else None
        if told is not None and self.sums.isHidden() and self.line.has_room_for(f"{text}   {told[1]}"):
            text += f"   {told[1]}"
        self.line.say(text)
        self.line.setToolTip(told[0] if told is not None else "")
        self._say_sums(told)

    def _say_sums(self, told: tuple[str, str] | None) -> None:
        """All digits where there is room for them."""
        full, short = told or ("", "")
        self.sums.setText(full if self.sums.has_room_for(full) else short)
        self.sums.setToolTip(full)

    def _read(self, shown: Shown, index: Index, ask: bool) -> tuple[float | None, tuple[float, float] | None]:
        """The value and the two sums: from the picture where that is exact, else as the engine tells them."""
        cell, picture = cell_of(shown.picture.shape, index), shown.picture
        if shown.exactly and cell is not None:
            matrix = across(picture.values, picture.shape)
            return float(matrix[cell]), sums_of_cell(matrix, *cell)
        if ask:
            self._ask(shown.address, index)
        told = self._told
        if told is None or (told.address, told.index) != (shown.address, index):
            return None, None
        sums = told.row_sum, told.column_sum
        return told.value, sums if len(picture.shape) > 1 else sums[::-1]

    def _seen(self, shown: Shown, index: Index) -> str:
        """An entry as the picture has it, rounded."""
        shape = shown.picture.shape
        cell = cell_of(shape, index) if shown.picture.whole else None
        return signed(float(across(shown.picture.values, shape)[cell])) if cell is not None else WAITING

    def _ask(self, address: str, index: Index) -> None:
        now = time.monotonic()
        if self._asked is None or now - self._asked[2] > ANSWER_WITHIN:
            self._asked = address, index, now
            self._session.ask_cell(address, index)

    # --- typing over it -----------------------------------------------------------------------

    def open_editor(self, cell: Selection, *, differs: bool) -> None:
        """Type over a cell; whether it may be is the engine's to say."""
        if differs:
            self._session.said.emit(ONLY_VALUES, True)
            return
        self._edited = cell
        self.line.hide()
        self.editor.open(self.value)

    def _on_entered(self, value: float) -> None:
        cell = self._edited
        if cell is not None and cell.index is not None:
            self._session.edit(cell.address, cell.index, value)
        self.entered.emit()


def picture_shape(shown: Shown) -> Index:
    """The shape of the whole tensor."""
    return shown.picture.shape


def _texts(parts: list[tuple[str, float]], write: Callable[[float], str]) -> str:
    return "   ".join(f"{name} Σ {write(value).strip()}" for name, value in parts)


def _sums(shown: Shown, index: Index, sums: tuple[float, float]) -> tuple[str, str]:
    """The sums of a cell's row and column with all digits, and shorter."""
    shape = shown.picture.shape
    if len(shape) == 1:
        parts = [("sum", sums[0])]
    else:
        cell = cell_of(shape, index)
        assert cell is not None
        parts = [(f"row {cell[0]}", sums[0]), (f"column {cell[1]}", sums[1])]
    return _texts(parts, lambda v: exact(v, "float64")), _texts(parts, signed)


def _ranges(shown: Shown) -> tuple[str, str] | None:
    """Least and greatest of the sums of all rows, and of all columns."""
    if not shown.picture.whole:
        return None
    matrix = across(shown.picture.values, shown.picture.shape)
    if matrix.shape[0] == 1:
        total = float(matrix.sum(dtype=float))
        return _texts([("sum", total)], lambda v: exact(v, "float64")), _texts([("sum", total)], signed)
    ranges = tuple(zip(("rows", "columns"), ranges_of_sums(matrix), strict=True))
    full, short = (
        "   ".join(f"{name} Σ {write(low).strip()} … {write(high).strip()}" for name, (low, high) in ranges)
        for write in (signed, compact)
    )
    return full, short
