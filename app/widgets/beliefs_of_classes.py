"""What the network believes of classes: the boundary and its units, or the worst mistakes; and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QStackedLayout, QWidget

from app.widgets.confusion import Cell, Confusion
from app.widgets.guesses import told_mistakes
from app.widgets.plane import Plane
from app.widgets.thumbnails import Thumbnails
from app.widgets.unit_maps import Group, UnitMaps
from app.widgets.values_table import ValuesTable
from engine.protocol import DataInfo

Array = NDArray[Any]
WIDE = 3.2  # times its height: from here on points have room for a confusion matrix too


class BeliefsOfClasses(QWidget):
    """Side by side, each a square where it is one; what has no room is left out."""

    cell_chosen = Signal(object)  # Cell or None
    layer_chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plane, self.units, self.confusion = Plane(self, part="validation"), UnitMaps(self), Confusion(self)
        self.thumbnails = Thumbnails(self, name="worst mistakes")
        self.table = ValuesTable(self, name="worst mistakes")
        self._data: DataInfo | None = None
        self._matrix = True
        self._samples = QStackedLayout()
        for view in (self.thumbnails, self.table, self.units):
            self._samples.addWidget(view)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.plane)
        row.addWidget(self.confusion)
        row.addLayout(self._samples, 1)
        self.confusion.chosen.connect(self.cell_chosen)
        self.units.chosen.connect(self.layer_chosen)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._fit()

    def set_data(self, data: DataInfo) -> None:
        """Samples of another kind."""
        self._data = data
        self.confusion.show_counts(np.zeros((0, 0)), ())
        self.thumbnails.set_classes(data.classes)
        if data.extent is not None:
            self.plane.set_plane(data.extent, data.classes)
        in_plane = data.extent is not None
        self._samples.setCurrentWidget(
            self.units if in_plane else self.table if data.image_shape is None else self.thumbnails
        )
        self._fit()

    def show_matrix(self, counts: Array | None) -> None:
        """The confusion matrix, or none where there are too many classes."""
        assert self._data is not None
        if (counts is not None) != self._matrix:
            self._matrix = counts is not None
            self._fit()
        if counts is not None:
            before = self.confusion.counts.shape
            self.confusion.show_counts(counts, self._data.classes)
            if before != counts.shape:
                self._fit()

    def show_mistakes(self, rows: Array, inputs: Array, part: str, *, sure: bool, nothing: str) -> None:
        """Samples with what is told of each, the worst first; `nothing`: what to say where there are none."""
        data = self._data
        assert data is not None
        rows = rows[: len(inputs)]
        said = told_mistakes(rows, data.classes, sure=sure)
        names = [f"{part} sample {int(number)}" for number in rows[:, 0]]
        if data.image_shape is None:
            self.table.values.show(inputs, said, names)
        elif not len(rows) or inputs.shape[1] != prod(data.image_shape):
            self.thumbnails.show_message(nothing)
        else:
            self.thumbnails.show_pictures(inputs.reshape(-1, *data.image_shape), said, names)

    def show_plane(self, boundary: Array | None, points: Array, part: str, cell: Cell | None) -> None:
        """The boundary with the points of a part, (N, 4); ringed are those that are wrong, or of the cell chosen."""
        wanted = points[:, 2] != points[:, 3]
        if cell is not None:
            wanted = (points[:, 2] == cell[0]) & (points[:, 3] == cell[1])
        self.plane.part = part
        self.plane.show_beliefs(boundary)
        self.plane.show_points(points[:, :3], points[wanted, :2])

    def show_units(self, groups: Sequence[Group]) -> None:
        """What hidden units answer."""
        self.units.show_groups(tuple(groups))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Squares as high as the place, and not wider than half of it."""
        width, height = self.width(), self.height()
        in_plane = self._data is not None and self._data.extent is not None
        self.plane.setVisible(in_plane)
        self.plane.setFixedWidth(max(min(height, round(0.48 * width)), 60))
        self.confusion.setVisible(self._matrix and (not in_plane or width > WIDE * height))
        share = 0.5 if not in_plane else 0.28
        self.confusion.setFixedWidth(max(min(self.confusion.width_for(height), round(share * width)), 60))
