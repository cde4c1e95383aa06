"""The inspected tensor as a heatmap: its matrix (a vector lies across) or small pictures; on a steady ruler."""

from __future__ import annotations

from math import prod

from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app import theme as themes
from app.widgets.flow_rulers import SteadyLimit, decade_limit, extreme, log_ruler
from app.widgets.noticed_heatmap import NoticedHeatmap
from app.widgets.picture import Ruler, Values
from app.widgets.sheets import MOST_ENTRIES, Pictures, Sheet, pictures_of
from app.widgets.tensor_numbers import Flat, usual_extreme
from app.widgets.tensor_text import Index, across, cell_of, drawn_shape, index_at
from engine.frames import Picture
from engine.protocol import Built, WatchItem

FINEST = 512  # cells each way that are watched of what is too large to be sent whole
STRIP = 72  # pixels: the height of a vector
UNBOUNDED = 16_777_215  # of Qt


def watched(address: str, shape: Index) -> WatchItem:
    """How a tensor is watched: whole, or where it is large as finely as a screen shows."""
    rows, columns = (shape[0], prod(shape[1:])) if prod(shape) <= MOST_ENTRIES else (0, 0)
    return WatchItem(address, max(FINEST, rows), max(FINEST, columns))


class SteadyRuler:
    """Of gradients a log ruler up to the largest; of all else a linear one, finer than that of a small tile."""

    def __init__(self, *, log: bool) -> None:
        self._log = log
        self._limit = decade_limit() if log else SteadyLimit((1, 2, 3, 4, 5, 6, 8), low=0.4)

    def follow(self, values: Values, entries: Flat) -> Ruler:
        """The ruler for these values; `entries` is a sample of them."""
        if self._log:
            return log_ruler(self._limit.follow(extreme(values)))
        return Ruler("linear", self._limit.follow(usual_extreme(values, entries)))


class Across:
    """The sheet of a matrix; a vector lies across, and the values may be a reduced picture of the tensor."""

    def __init__(self, shape: Index) -> None:
        self._shape = shape
        self.size = drawn_shape(shape)

    def arrange(self, values: Values) -> Values:
        """As it is, or across."""
        return across(values, self._shape)

    def index_at(self, row: int, column: int) -> Index | None:
        """The entry of a cell."""
        return index_at(self._shape, row, column)

    def cell_of(self, index: Index) -> tuple[int, int] | None:
        """None for an entry that does not exist."""
        return cell_of(self._shape, index)


class TensorView(NoticedHeatmap):
    """Shows a picture of a tensor on a sheet, and tells which entry a cell is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent, name="the chosen tensor")
        self.setMinimumSize(80, 40)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # or all that is behind it is painted at each frame
        self.sheet: Sheet = Across((0, 0))
        self._network: Built | None = None
        self._address = ""
        self._pictures: dict[Index, Pictures | None] = {}  # by shape: the last mini-batch may be a smaller one

    def expect(self, network: Built, address: str) -> bool:
        """Make ready for another tensor; whether it can be shown as pictures."""
        self._network, self._address = network, address
        self._pictures.clear()
        return self._laid_out(network.tensors[address].shape) is not None

    def _laid_out(self, shape: Index) -> Pictures | None:
        """The pictures of a tensor of this shape, for the proportions of the view."""
        if shape not in self._pictures and self._network is not None:
            self._pictures[shape] = pictures_of(self._network, self._address, shape)
        pictures = self._pictures.get(shape)
        return None if pictures is None else pictures.fitted(self.width(), self.height())

    def show_picture(self, picture: Picture, ruler: Ruler, *, as_pictures: bool) -> None:
        """Show a tensor: as pictures, where it is of that kind, else as its matrix."""
        values, drawn = picture.values, self._laid_out(picture.shape) if as_pictures and picture.whole else None
        self.sheet = drawn or Across(picture.shape)
        self._square = drawn is not None
        self.setMaximumHeight(STRIP if self.sheet.size[0] == 1 else UNBOUNDED)
        if drawn is None:
            arranged = self.sheet.arrange(values)
        else:
            ratio = self.devicePixelRatioF()
            arranged = drawn.seen_from_afar(values, round(self.width() * ratio), round(self.height() * ratio))
        self.show_values(arranged, ruler, self.sheet.size)

    def paintEvent(self, event: QPaintEvent) -> None:
        """On the panel's colour."""
        painter = QPainter(self)
        painter.fillRect(event.rect(), themes.current().color("panel"))
        painter.end()
        super().paintEvent(event)

    def _fitting(self, rect: QRect) -> QImage:
        """With direct colours: those are stretched five times quicker than indexed ones."""
        return super()._fitting(rect).convertToFormat(QImage.Format.Format_RGB32)

    def mark_entry(self, index: Index | None) -> None:
        """Frame an entry, or none."""
        self.mark(self.sheet.cell_of(index) if index is not None else None)

    def hint_entries(self, indices: list[Index]) -> None:
        """Ring these entries, as far as they are drawn."""
        self.hint(tuple(cell for index in indices if (cell := self.sheet.cell_of(index)) is not None))
