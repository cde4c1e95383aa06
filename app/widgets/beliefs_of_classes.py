"""What the network believes of classes: the boundary and its units, or the worst mistakes; and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from app.widgets.confusion import Cell, Confusion
from app.widgets.guesses import told_mistakes
from app.widgets.plane import Plane
from app.widgets.thumbnails import Thumbnails
from app.widgets.unit_maps import Group, UnitMaps
from app.widgets.values_table import ValuesTable
from engine.protocol import DataInfo

Array = NDArray[Any]
GAP = 8  # pixels
WIDE, TALL = 4.2, 1.7  # points have a matrix too: beside where the width is so many heights, below the plane where high


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
        self._samples: QWidget = self.thumbnails
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
        self._samples = self.units if in_plane else self.table if data.image_shape is None else self.thumbnails
        for view in (self.thumbnails, self.table, self.units):
            view.setVisible(view is self._samples)
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

    def minimumSizeHint(self) -> QSize:
        """It may be small: it is laid out by hand, so that squares never keep it from shrinking."""
        return QSize(160, 70)

    def sizeHint(self) -> QSize:
        return QSize(400, 170)

    def _fit(self) -> None:
        """The plane a square at the left, the matrix beside or below it if there is room; samples get the rest."""
        width, height, left = self.width(), self.height(), 0
        in_plane = self._data is not None and self._data.extent is not None
        self.plane.setVisible(in_plane)
        side = min(height, round(0.48 * width))
        below = in_plane and height > TALL * side
        if in_plane:
            self.plane.setGeometry(0, 0, side, side)
            left = side + GAP
        self.confusion.setVisible(self._matrix and (not in_plane or below or width > WIDE * height))
        if below:
            self.confusion.setGeometry(0, side + GAP, side, height - side - GAP)
        elif not self.confusion.isHidden():
            share = round((0.28 if in_plane else 0.56) * width)
            wanted = min(self.confusion.width_for(height), share)
            self.confusion.setGeometry(left, 0, wanted, height)
            left += wanted + GAP
        self._samples.setGeometry(left, 0, width - left, height)
