"""The bands between the extremes of thinned curves, all of a plot in one picture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PySide6.QtGui import QColor, QImage

from app.widgets.curve_data import Array

ALPHA, LEAST = 0.19, 0.08  # of one band over the paper; of one of many
FEW = 6  # bands that have all of it
_PLACES = (2, 1, 0)  # of red, green and blue in a pixel


class Bands(NamedTuple):
    """From `low` up to `high`, (bands, blocks), around each x, (blocks,); pixels, y from the top: `high` is smaller."""

    x: Array
    low: Array
    high: Array
    colors: tuple[QColor, ...]


def picture(groups: list[Bands], width: int, height: int) -> tuple[QImage, int] | None:
    """The picture and its first row; None where there is nothing to see.

    Where bands overlap their colours mix, and less of the paper is seen. A band is noted by where it begins and ends
    in each column of pixels; a running sum down the columns fills all of them at once.
    """
    noted = [edge for group in groups for edge in _edges(group, width, height)]
    if not noted:
        return None
    first = min(int(top.min()) for _, top, _, _ in noted)
    last = max(int(bottom.max()) for _, _, bottom, _ in noted)
    sums = np.zeros(((last - first + 1) * width, 4), np.int32)  # blue, green, red, and how many
    for columns, top, bottom, colour in noted:
        sums[(top - first) * width + columns] += colour
        sums[(bottom - first) * width + columns] -= colour
    rows = sums.reshape(-1, width * 4)
    for row in range(1, len(rows)):
        np.add(rows[row], rows[row - 1], out=rows[row])
    filled = rows[:-1].reshape(-1, width, 4)
    if not filled.size:
        return None
    return _image(filled, len(noted)), first


def _image(filled: Array, most: int) -> QImage:
    """From the sums of colours, and how many bands lie over each pixel (at most so many)."""
    count = np.arange(most + 1)
    shown = 255 * (1 - (1 - max(ALPHA * min(1.0, FEW / most), LEAST)) ** count)
    strength = np.column_stack([*[shown / 255 / np.maximum(count, 1)] * 3, shown / np.maximum(count, 1)])
    pixels = (filled * strength.astype(np.float32)[filled[..., 3]]).astype(np.uint8)
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()


def _edges(group: Bands, width: int, height: int) -> list[tuple[Array, Array, Array, Array]]:
    """Of each band the columns it is in, its first row in each, the row after its last, and its colour."""
    x, pixel = group.x, np.arange(width) + 0.5
    block = np.searchsorted((x[1:] + x[:-1]) / 2, pixel)
    reach = max((x[-1] - x[0]) / max(len(x) - 1, 1), 1.0)
    near = np.abs(x[block] - pixel) <= reach
    low, high = group.low[:, block], group.high[:, block]
    seen = np.isfinite(low) & near & (low >= 0) & (high < height)
    with np.errstate(invalid="ignore"):
        top = np.clip(np.floor(high), 0, height).astype(np.intp)
        bottom = np.clip(np.ceil(low), top, height).astype(np.intp)
    found = []
    for number, colour in enumerate(group.colors):
        columns = np.flatnonzero(seen[number])
        if len(columns):
            rgb = colour.red(), colour.green(), colour.blue()
            parts = np.array([*(rgb[place] for place in _PLACES), 1], np.int32)
            found.append((columns, top[number, columns], bottom[number, columns], parts))
    return found
