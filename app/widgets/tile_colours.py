"""The colours of many small pictures at once, quickly enough for sixty frames a second.

A value's key is its float32 bits turned so that the sign comes last: keys order values by their size, what is no
number being the largest. So a block's most extreme value is one maximum. The upper half of a key with the sign for its
last bit is the value to 1/256, less than a step of the colours; with that, a ruler is one table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from app.widgets.picture import Ruler, Values, strengths

Keys = NDArray[np.uint32]
HALF = 16  # bits of a key


def keys_of(values: Values) -> Keys:
    """Of pictures (n, rows, cols), float32."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    keys: Keys = np.left_shift(bits, 1)
    keys |= bits >> 31
    return keys


def strongest(keys: Keys, rows: int, columns: int) -> Keys:
    """The pictures in at most so many cells: each block keeps its most extreme value, never their mean."""
    for count in (rows, columns):  # rows, then the same on the other side up: NumPy reduces along rows quickly
        size = keys.shape[1]
        if count < size:
            edges = np.arange(count + 1) * size // count
            first, last = edges[:-1], edges[1:] - 1
            most = keys.take(first, 1)
            for offset in range(1, int((last - first).max()) + 1):
                np.maximum(most, keys.take(np.minimum(first + offset, last), 1), out=most)
            keys = most
        keys = np.ascontiguousarray(keys.transpose(0, 2, 1))
    return keys


def image_of(keys: Keys, ruler: Ruler, table: Sequence[int]) -> QImage:
    """One of the pictures, (rows, cols), on its ruler, in direct colours: they scale ten times quicker than indexed."""
    image = QImage(keys.shape[1], keys.shape[0], QImage.Format.Format_RGB32)
    pixels = np.frombuffer(image.bits(), np.uint32).reshape(keys.shape)
    _colours(tuple(table)).take(_places(ruler).take(keys >> HALF & 0xFFFE | keys & 1), out=pixels, mode="clip")
    return image


@lru_cache(maxsize=64)
def _places(ruler: Ruler) -> NDArray[np.uint8]:
    """The place in a colour table of every half key on a ruler: that of the middle of the values that have it."""
    halves = np.arange(2**HALF, dtype=np.uint32)
    bits = (halves & 1) << 31 | (halves >> 1) << 16 | 0x8000
    bits[:2] &= 1 << 31  # zero itself
    with np.errstate(all="ignore"):
        return np.asarray(strengths(bits.view(np.float32)[None], ruler.limit, ruler.log_floor)[0])


@lru_cache(maxsize=8)
def _colours(table: tuple[int, ...]) -> NDArray[np.uint32]:
    return np.array(table, np.uint32)
