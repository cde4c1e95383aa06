"""How the entries of a tensor lie on a tile: as its matrix, its rows sorted, or as small pictures side by side."""

from __future__ import annotations

from math import ceil, prod, sqrt
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.widgets.picture import Values
from engine.protocol import Built

Index = tuple[int, ...]
Order = NDArray[np.intp]

MOST_ENTRIES = 262_144  # of a tensor that is sent whole to be shown as pictures
MOST_PICTURES = 256
ASPECT = 1.3  # of a tile, about
FEW_CHANNELS = 8  # that stand side by side, a sample a row
MANY_SAMPLES = 12  # of one channel
FLAT = ("flatten", "reshape")


class Sheet(Protocol):
    """Where entries lie: `size` is (rows, columns) of what is drawn."""

    size: tuple[int, int]

    def arrange(self, values: Values) -> Values:
        """What is drawn of a tensor's matrix."""

    def index_at(self, row: int, column: int) -> Index | None:
        """The entry drawn in a cell; None where there is none."""

    def cell_of(self, index: Index) -> tuple[int, int] | None:
        """The cell that an entry is drawn in; None where it is not drawn."""


class Plain:
    """The matrix as it is; `order`: its rows in another one, such as by class."""

    def __init__(self, shape: Index, order: Order | None = None) -> None:
        self._shape, self._order = shape, order
        self.size = (shape[0], prod(shape[1:]))

    def arrange(self, values: Values) -> Values:
        """As it is, or with its rows sorted."""
        return values if self._order is None else values[self._order]

    def index_at(self, row: int, column: int) -> Index | None:
        """The row may be another one's."""
        row = row if self._order is None else int(self._order[row])
        return (row, *(int(i) for i in np.unravel_index(column, self._shape[1:])))

    def cell_of(self, index: Index) -> tuple[int, int] | None:
        """None for an entry that does not exist."""
        if not _inside(index, self._shape):
            return None
        row = index[0] if self._order is None else int(np.flatnonzero(self._order == index[0])[0])
        return row, int(np.ravel_multi_index(index[1:], self._shape[1:])) if len(index) > 1 else 0


class Pictures:
    """Pictures side by side with a line of paper between; `places` (count, height, width) are flat indices."""

    def __init__(self, shape: Index, places: Order, columns: int) -> None:
        self._shape = shape
        count, height, width = places.shape
        rows = -(-count // columns)
        cells = np.full((rows * columns, height + 1, width + 1), -1, np.intp)
        cells[:count, :height, :width] = places
        cells = cells.reshape(rows, columns, height + 1, width + 1).transpose(0, 2, 1, 3)
        self._cells = np.ascontiguousarray(cells.reshape(rows * (height + 1), columns * (width + 1))[:-1, :-1])
        self._gaps = self._cells < 0
        self.size = (self._cells.shape[0], self._cells.shape[1])
        self.count = count

    def arrange(self, values: Values) -> Values:
        """Gaps are 0, which has the colour of the paper."""
        drawn: Values = np.take(values, self._cells, mode="clip")
        drawn[self._gaps] = 0
        return drawn

    def seen_from_afar(self, values: Values, width: int, height: int) -> Values:
        """What is drawn where there are but so many pixels: means of blocks, as the eye would take them."""
        drawn, (rows, columns) = self.arrange(values), self.size
        block = max(min(rows // max(height, 1), columns // max(width, 1)), 1)
        if block == 1:
            return drawn
        whole = drawn[: rows // block * block, : columns // block * block]
        return np.asarray(whole.reshape(rows // block, block, columns // block, block).mean(axis=(1, 3)))

    def index_at(self, row: int, column: int) -> Index | None:
        """None in a gap."""
        place = self._cells[row, column]
        return None if place < 0 else tuple(int(i) for i in np.unravel_index(place, self._shape))

    def cell_of(self, index: Index) -> tuple[int, int] | None:
        """None for an entry of a picture that is left out."""
        if not _inside(index, self._shape):
            return None
        found = np.argwhere(self._cells == np.ravel_multi_index(index, self._shape))
        return (int(found[0, 0]), int(found[0, 1])) if len(found) else None


def pictures_of(network: Built, address: str, shape: Index, aspect: float = ASPECT) -> Pictures | None:
    """A tensor that people look at as pictures: weights that read an image, filters, feature maps; None for others.

    `aspect`: how many times wider than high they are to be together, about.
    """
    place, _, role = address.partition(".")
    if prod(shape) > MOST_ENTRIES or not place.isdigit():
        return None
    role = role.removeprefix("grad_").removeprefix("update_")
    every = np.arange(prod(shape), dtype=np.intp).reshape(shape)
    if role == "W" and len(shape) == 2:
        return _units(network, int(place), shape, every, aspect)
    if role == "W" and len(shape) == 4:
        return _grid(shape, every.reshape(-1, *shape[2:]), shape[1], aspect)
    if role == "y" and len(shape) == 4:
        return _maps(shape, every, aspect)
    return None


def _units(network: Built, layer: int, shape: Index, every: Order, aspect: float) -> Pictures | None:
    """Of W (in, out), where the input is the data's image: what each unit looks for."""
    image = network.data.image_shape
    reads_data = all(network.layers[i].kind in FLAT for i in range(layer))
    if image is None or not reads_data or shape[0] % prod(image):
        return None
    channels = shape[0] // prod(image)
    return _grid(shape, every.T.reshape(-1, *image)[: MOST_PICTURES * channels], channels, aspect)


def _grid(shape: Index, places: Order, together: int, aspect: float) -> Pictures:
    """Pictures in a grid of about these proportions, those that belong together in one row."""
    places = places[:MOST_PICTURES]
    columns = max(round(sqrt(len(places) * aspect * places.shape[1] / places.shape[2])), 1)
    if together > 1:
        columns = max(columns // together, 1) * together
    return Pictures(shape, places, min(columns, len(places)))


def _maps(shape: Index, every: Order, aspect: float) -> Pictures | None:
    """Of y (B, C, H, W): all channels of the first samples, a sample a row where there are few channels."""
    batch, channels, height, width = shape
    if height * width < 2:
        return None
    if 1 < channels <= FEW_CHANNELS:
        samples, columns = max(round(channels / aspect), 1), channels
    else:
        samples = MANY_SAMPLES if channels == 1 else 1
        columns = ceil(sqrt(min(samples, batch) * channels * aspect))
    places = every[:samples].reshape(-1, height, width)[:MOST_PICTURES]
    return Pictures(shape, places, columns)


def _inside(index: Index, shape: Index) -> bool:
    return len(index) == len(shape) and all(0 <= i < n for i, n in zip(index, shape, strict=True))
