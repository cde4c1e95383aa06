"""The Flow panel: the network as columns, activations flowing right, gradients flowing left."""

from __future__ import annotations

from math import prod

from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.panel import Panel
from app.session import Selection, Session
from app.widgets.flow_model import Row, Tile
from app.widgets.flow_view import FlowView
from engine.frames import Frame
from engine.protocol import Built, WatchItem

ROWS, COLUMNS = 128, 128  # cells of a tensor in a tile, at most
PER_PIXEL = 2  # cells, each way
STEP = 32  # cells by which it changes, so that a pixel more or less asks for nothing new


class FlowPanel(Panel):
    """Every activation, parameter and gradient of the mini-batch; click a tile to look at it closely."""

    title = "Flow"
    hint = (
        "Columns are layers: activations flow right along the top, gradients left along the bottom, all on one log "
        "ruler, so that one that dies on its way fades; what is hatched is not computed yet. "
        "Click a tile to see it large, right-click for the rulers."
    )
    area = "centre"

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self.view = FlowView(self)
        self._told = ""
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.view)
        self.setFocusProxy(self.view)
        self.view.picked.connect(session.select)
        self.view.arranged.connect(self.rewatch)
        session.selected.connect(self._on_selected)
        session.hinted.connect(self._on_hinted)
        session.sorting_changed.connect(self._on_sorting)
        if session.network is not None:
            self.build(session.network)

    def wanted(self) -> tuple[WatchItem, ...]:
        """The tensor of every tile; whole, where it is shown as pictures."""
        model = self.view.model
        if model is None:
            return ()
        items = [self._item(tile) for tile in model.tiles.values()]
        if self.session.by_class and "data.labels" in model.network.tensors:
            items.append(WatchItem("data.labels", model.network.recipe.batch_size, 1))
        return tuple(items)

    def _item(self, tile: Tile) -> WatchItem:
        """As many cells of a tensor as its tile may need; all of what is shown as pictures."""
        sample = tile.row in (Row.ACTIVATIONS, Row.GRADIENTS)
        may_wait = not (sample and self.session.by_class)  # they are sorted by the labels of their own mini-batch
        if tile.pictures is not None:
            return WatchItem(tile.address, tile.shape[0], prod(tile.shape[1:]), may_wait)
        size = self.view.tile_rect(tile.address).size()
        rows, columns = (-(-PER_PIXEL * pixels // STEP) * STEP for pixels in (size.height(), size.width()))
        return WatchItem(tile.address, min(max(rows, STEP), ROWS), min(max(columns, STEP), COLUMNS), may_wait)

    def _on_sorting(self, by_class: bool) -> None:
        self.view.sort(by_class)
        self.rewatch()

    def build(self, network: Built) -> None:
        """Lay out for a network."""
        self.view.set_network(network)
        self._on_selected(self.session.selection)

    def retell(self, network: Built) -> None:
        """Names and formulas may be others."""
        self.view.retell(network)

    def draw(self, frame: Frame) -> None:
        """Show the frame."""
        self.view.calm = self.session.playing
        self.view.hurried = self.session.hurried
        self.view.show_frame(frame)
        self._tell_difference()

    def _tell_difference(self) -> None:
        """Say so where tiles show how the tensors differ from another fork's."""
        session, names = self.session, dict(self.session.path_names)
        text = ""
        if session.compared is not None:
            text = f"▲ difference: {names.get(session.fork, 'this')} − {names.get(session.compared, 'another')}"
        elif session.comparing is not None:
            text = "the difference is shown when paused"
        if text != self._told:
            self._told = text
            self.status_changed.emit(text)

    def _on_selected(self, selection: Selection | None) -> None:
        self.view.mark(selection.address if selection is not None else None)

    def _on_hinted(self, cells: tuple[Selection, ...]) -> None:
        self.view.hint(tuple((cell.address, cell.index) for cell in cells if cell.index is not None))
