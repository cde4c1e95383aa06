"""The bands between the extremes of thinned curves, all of a plot in one picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PySide6.QtGui import QColor, QImage

from app.widgets.curve_data import Array

ALPHA, LEAST = 0.19, 0.08  # of one band over the paper; of one of many
FEW = 6  # bands that have all of it
MOST = 256  # bands whose colours fit in the 16 bits that a sum has; of more they are coarser
_SHIFTS = np.array([0, 16, 32, 48])  # bits, of blue, green, red and how many


class Bands(NamedTuple):
    """From `low` up to `high`, (bands, blocks), around each x, (blocks,); pixels, y from the top: `high` is smaller."""

    x: Array
    low: Array
    high: Array
    colors: tuple[QColor, ...]


def picture(groups: list[Bands], width: int, height: int) -> tuple[QImage, int] | None:
    """The picture and its first row; None where there is nothing to see.

    Where bands overlap their colours mix, and less of the paper is seen. A band is noted by where it begins and ends
    in each column of pixels; a running sum down the columns fills all of them at once. The sums of a pixel, of its
    three colours and how many bands there are, lie in one number, which is four times quicker to add.
    """
    most = sum(len(group.colors) for group in groups)
    coarse = -(-most // MOST)
    noted = [_edges(group, width, height, coarse) for group in groups]
    tops, bottoms, columns, packed = (np.concatenate(parts) for parts in zip(*noted, strict=True))
    rows = int(bottoms.max() - tops.min()) if len(columns) else 0
    if not rows:
        return None
    first = int(tops.min())
    sums = np.zeros((rows + 1) * width, np.int64)
    np.add.at(sums, (tops - first) * width + columns, packed)
    np.subtract.at(sums, (bottoms - first) * width + columns, packed)
    lines = sums.reshape(-1, width)
    for row in range(1, rows):
        np.add(lines[row], lines[row - 1], out=lines[row])
    return _image(lines[:rows].astype("<i8", copy=False).view("<u2").reshape(rows, width, 4), most, coarse), first


def _image(filled: Array, most: int, coarse: int) -> QImage:
    """From the sums of colours, each in steps of `coarse`, and how many bands lie over each pixel (at most so many)."""
    count = np.arange(most + 1)
    shown = 255 * (1 - (1 - max(ALPHA * min(1.0, FEW / most), LEAST)) ** count)
    strength = (coarse * shown / 255 / np.maximum(count, 1)).astype(np.float32)
    over = filled[..., 3]
    pixels = np.empty(filled.shape, np.uint8)
    np.multiply(filled[..., :3], strength[over][..., None], out=pixels[..., :3], casting="unsafe")
    pixels[..., 3] = shown.astype(np.uint8)[over]
    height, width = over.shape
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()


def _edges(group: Bands, width: int, height: int, coarse: int) -> tuple[Array, Array, Array, Array]:
    """Of every column of pixels that a band is in: its first row there, the row after its last, column, and number."""
    x, pixel = group.x, np.arange(width) + 0.5
    block = np.searchsorted((x[1:] + x[:-1]) / 2, pixel)
    reach = max((x[-1] - x[0]) / max(len(x) - 1, 1), 1.0)
    near = np.abs(x[block] - pixel) <= reach
    low, high = group.low[:, block], group.high[:, block]
    number, columns = np.nonzero(np.isfinite(low) & near & (low >= 0) & (high < height))
    low, high = low[number, columns], high[number, columns]
    top = np.clip(np.floor(high), 0, height).astype(np.intp)
    bottom = np.clip(np.ceil(low), top, height).astype(np.intp)
    parts = [(c.blue() // coarse, c.green() // coarse, c.red() // coarse, 1) for c in group.colors]
    return top, bottom, columns, np.left_shift(np.array(parts, np.int64), _SHIFTS).sum(axis=1)[number]
