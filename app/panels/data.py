"""The present mini-batch, and what the network says of it."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from app.panel import Panel
from app.session import Session
from app.widgets.data_facts import DataFacts
from app.widgets.guesses import Guess, guesses
from app.widgets.plane import Plane
from app.widgets.throttle import Throttle
from app.widgets.thumbnails import Thumbnails
from app.widgets.values_table import MOST_VALUES, ValuesTable
from engine.boundary import MOST_POINTS
from engine.frames import Frame
from engine.protocol import Built, Fetching, WatchItem

GRID = 64  # cells of the decision boundary, each way
MOST_CELLS = 1_500_000  # values of a mini-batch of pictures that are still sent whole
CHANGES = 4.0  # of the mini-batch a second while playing: faster, it is only flicker


class DataPanel(Panel):
    """Thumbnails with predictions, or the decision boundary with the points, or a table of values."""

    title = "Data"
    hint = (
        "The mini-batch in work with the network's prediction for each sample, or for points in the plane what it "
        "believes everywhere. Point at a sample for its number and values."
    )
    area = "left"
    order = 1

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(session, parent)
        self._network: Built | None = None
        self._waiting: Frame | None = None
        self._changes = Throttle(self._draw_waiting, self, CHANGES, takes_turns=True)
        self.thumbnails, self.plane, self.table = Thumbnails(self), Plane(self), ValuesTable(self)
        self.facts = DataFacts(self)
        self._stack = QStackedLayout()
        for view in (self.thumbnails, self.plane, self.table):
            self._stack.addWidget(view)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 6)
        column.setSpacing(4)
        column.addLayout(self._stack, 1)
        column.addWidget(self.facts)
        session.fetching_changed.connect(self._on_fetching)

    def wanted(self) -> tuple[WatchItem, ...]:
        """The mini-batch whole, or the plane."""
        if self._network is None:
            return ()
        batch, size = self._network.recipe.batch_size, prod(self._network.data.shape)
        if self._view is self.plane:
            return (
                WatchItem("data.boundary", GRID, GRID),
                WatchItem("data.points", MOST_POINTS, 3),
                WatchItem("data.x", batch, size),
            )
        if self._too_large:
            return ()
        outputs = prod(self._network.layers[-1].out_shape)
        columns = size if self._view is self.thumbnails else max(2 * MOST_VALUES, 96)
        return (
            WatchItem("data.x", batch, columns),
            WatchItem("data.labels", batch, 1),
            WatchItem("loss.p", batch, outputs),
        )

    def build(self, network: Built) -> None:
        """Choose the view that fits the data."""
        self._network = network
        self._waiting = None
        data = network.data
        self._stack.setCurrentWidget(self._view)
        if data.extent is not None:
            self.plane.set_plane(data.extent, data.classes)
        self.thumbnails.set_classes(data.classes)
        self.thumbnails.show_message(
            f"a mini-batch of {network.recipe.batch_size:,} pictures is too large to show"
            if self._too_large
            else "no mini-batch yet: step once to see one"
        )
        self.facts.show_facts(network)
        self.status_changed.emit(f"{data.training:,} points" if self._view is self.plane else "predicted / true")

    def _on_fetching(self, fetching: Fetching | None) -> None:
        """Before the first network there is nothing else to show."""
        if self._network is None:
            self.thumbnails.show_message("no data yet" if fetching is None else "the data is being fetched")

    def draw(self, frame: Frame) -> None:
        """The boundary moves with every frame; the mini-batch changes a few times a second while playing."""
        if self._view is self.plane:
            self._draw_plane(frame)
            return
        self._waiting = frame
        self._changes.ask(at_once=not self.session.playing)

    def rest(self) -> None:
        """What is not seen does not change."""
        self._changes.stop()

    @property
    def _view(self) -> QWidget:
        """The view for the present data."""
        data = self._network.data if self._network is not None else None
        if data is not None and data.extent is not None:
            return self.plane
        return self.table if data is not None and data.image_shape is None else self.thumbnails

    @property
    def _too_large(self) -> bool:
        network = self._network
        return network is not None and network.recipe.batch_size * prod(network.data.shape) > MOST_CELLS

    def _draw_waiting(self) -> None:
        """Show the newest mini-batch."""
        frame, network = self._waiting, self._network
        if frame is None or network is None or self._too_large:
            return
        x = _values(frame, "data.x")
        if x is None:
            self.thumbnails.show_message("no mini-batch yet: step once to see one")
            return
        said = self._guesses(frame, len(x))
        shape = network.data.image_shape
        if self._view is self.table:
            self.table.values.show(x, said)
        elif shape is not None and x.shape[1] == prod(shape):
            self.thumbnails.show_pictures(x.reshape(-1, *shape), said)

    def _guesses(self, frame: Frame, count: int) -> list[Guess]:
        network = self._network
        assert network is not None
        labels, p = _values(frame, "data.labels"), _values(frame, "loss.p")
        if labels is not None:
            labels = labels[:, 0] if len(labels) == count else None
        if p is not None and len(p) != count:
            p = None
        return guesses(labels, p, network.data.classes, count, sure=network.recipe.loss.takes != "values")

    def _draw_plane(self, frame: Frame) -> None:
        beliefs, points, batch = (_values(frame, a) for a in ("data.boundary", "data.points", "data.x"))
        square = beliefs is not None and round(len(beliefs) ** 0.5) ** 2 == len(beliefs)
        self.plane.show_beliefs(beliefs if square else None)
        if points is not None and points.shape[1] == 3:
            still = batch is not None and not self.session.playing  # rings that jump 60 times a second tell nothing
            self.plane.show_points(points, batch if still else None)


def _values(frame: Frame, address: str) -> NDArray[Any] | None:
    """A watched tensor as (rows, columns), if it is there whole and of this mini-batch."""
    picture = frame.tensors.get(address)
    if picture is None or not picture.computed:
        return None
    whole = picture.values.shape[0] == picture.shape[0]
    return np.asarray(picture.values) if whole and picture.values.size else None
