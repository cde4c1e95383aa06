"""Long curves in few points: each block of steps keeps its least and its greatest value, so that no spike is lost.

Step n is row n − 1 of the table that is read; x is in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Read = Callable[[int, int], Array]  # the values of rows first … last − 1

BLOCK = 16
_CHUNK = 1 << 16  # rows read at once: what is summed over columns must not need the table's size in memory


class Dense:
    """A quantity with a value at every step. What is not finite is a gap, and the first such step is remembered."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._low = self._high = np.empty(0)
        self._seen = self._blocks = 0
        self._last = math.nan
        self._was_finite = False
        self.lost_at: int | None = None

    def __len__(self) -> int:
        return self._seen

    def update(self, length: int) -> None:
        """Take in the rows up to `length`; fewer than before, or others than before, are noticed."""
        common = min(self._seen, length)
        if not self._still_holds(common):
            common = 0
        if common < self._seen:
            self._forget(common)
        for first in range(self._seen, length, _CHUNK):
            self._look_for_loss(first, self._read(first, min(first + _CHUNK, length)))
        if length > self._seen:
            self._seen = length
            self._last = self._read(length - 1, length)[0]
            self._add_blocks(length // BLOCK)

    def _still_holds(self, common: int) -> bool:
        """Whether the rows up to `common` are, by the last of them, those that were read before."""
        block = min(self._blocks, common // BLOCK)
        if common < self._seen and not block:
            return False
        if block:
            values = _finite(self._read((block - 1) * BLOCK, block * BLOCK))
            old = np.array([self._low[block - 1], self._high[block - 1]])
            if not _same(np.array([np.fmin.reduce(values), np.fmax.reduce(values)]), old):
                return False
        return common < self._seen or not common or _same(self._read(common - 1, common), np.array([self._last]))

    def _forget(self, length: int) -> None:
        """Keep only what holds for the first `length` rows."""
        self._seen, self._blocks = length, length // BLOCK
        self._last = self._read(length - 1, length)[0] if length else math.nan
        self._was_finite = bool(np.isfinite(self._read(0, length)).any())
        if self.lost_at is not None and self.lost_at > length:
            self.lost_at = None

    def _look_for_loss(self, first: int, values: Array) -> None:
        """Find the first step without a finite value after one that had it, or with infinity."""
        if self.lost_at is None:
            finite = np.isfinite(values)
            before = np.logical_or.accumulate(finite) | self._was_finite
            lost = np.flatnonzero(~finite & (before | np.isinf(values)))
            if lost.size:
                self.lost_at = first + int(lost[0]) + 1
            self._was_finite = bool(before[-1])

    def _add_blocks(self, blocks: int) -> None:
        if blocks > len(self._low):
            room = max(2 * len(self._low), blocks, 64)
            self._low, self._high = (
                np.concatenate([old[: self._blocks], np.empty(room - self._blocks)]) for old in (self._low, self._high)
            )
        while self._blocks < blocks:
            until = min(blocks, self._blocks + _CHUNK // BLOCK)
            values = _finite(self._read(self._blocks * BLOCK, until * BLOCK))
            low, high = _fold(values, values, BLOCK)
            self._low[self._blocks : until], self._high[self._blocks : until] = low, high
            self._blocks = until

    def curve(self, first: int, last: int, most: int) -> tuple[Array, Array]:
        """Rows first … last − 1 as x, y in at most about `most` points; blocks lie still while the curve grows."""
        first, last = max(first, 0), min(last, self._seen)
        count = last - first
        if count <= 0:
            return np.empty(0), np.empty(0)
        if count <= most:
            return np.arange(first + 1.0, last + 1.0), _finite(self._read(first, last))
        size = 1 << math.ceil(math.log2(2 * count / most))
        start = first // size * size
        if size < BLOCK:
            values = _finite(self._read(start, last))
            low, high = _fold(values, values, size)
        else:
            low, high = self._fold_blocks(start, last, size // BLOCK)
        middle = np.minimum(start + (np.arange(len(low)) + 0.5) * size + 0.5, last)
        return np.repeat(middle, 2), np.column_stack([low, high]).ravel()

    def _fold_blocks(self, start: int, last: int, factor: int) -> tuple[Array, Array]:
        """The blocks from row `start` on, `factor` in one, and what follows the last whole block."""
        begin, end = start // BLOCK, min(self._blocks, -(-last // BLOCK))
        low, high = self._low[begin:end], self._high[begin:end]
        if end * BLOCK < last:
            rest = _finite(self._read(end * BLOCK, last))
            low = np.append(low, np.fmin.reduce(rest))
            high = np.append(high, np.fmax.reduce(rest))
        return _fold(low, high, factor)

    def at(self, step: int) -> tuple[int, float]:
        """The value at a step (NaN where there is none), with that step."""
        if not 1 <= step <= self._seen:
            return step, math.nan
        return step, float(self._read(step - 1, step)[0])


class Sparse:
    """A quantity with a value at some steps only."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._x, self._y = np.empty(0), np.empty(0)
        self._seen = 0

    def __len__(self) -> int:
        return self._seen

    def update(self, length: int) -> None:
        """Take in the rows up to `length`; fewer than before, or others than before, are noticed."""
        self._drop(length)
        if self._x.size and not _same(self._read(int(self._x[-1]) - 1, int(self._x[-1])), self._y[-1:]):
            self._drop(0)
        if length > self._seen:
            values = self._read(self._seen, length)
            found = np.flatnonzero(np.isfinite(values))
            if found.size:
                self._x = np.append(self._x, found + self._seen + 1.0)
                self._y = np.append(self._y, values[found])
            self._seen = length

    def _drop(self, length: int) -> None:
        if length < self._seen:
            keep = int(np.searchsorted(self._x, length, side="right"))
            self._x, self._y, self._seen = self._x[:keep], self._y[:keep], length

    def curve(self, first: int, last: int, most: int) -> tuple[Array, Array]:
        """The values around rows first … last − 1 as x, y in at most about `most` points."""
        begin = max(int(np.searchsorted(self._x, first)) - 1, 0)  # one beyond each edge, so that the line goes on
        end = int(np.searchsorted(self._x, last, side="right")) + 1
        x, y = self._x[begin:end], self._y[begin:end]
        if len(x) <= most:
            return x, y
        size = -(-2 * len(x) // most)
        low, high = _fold(y, y, size)
        return np.repeat(x[size // 2 :: size][: len(low)], 2)[: 2 * len(low)], np.column_stack([low, high]).ravel()

    def at(self, step: int) -> tuple[int, float]:
        """The last value at a step or before it (NaN where there is none), with the step it belongs to."""
        place = int(np.searchsorted(self._x, step, side="right")) - 1
        return (int(self._x[place]), float(self._y[place])) if place >= 0 else (step, math.nan)


def _same(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))


def _finite(values: Array) -> Array:
    """The values, NaN for infinity."""
    values = np.asarray(values, float)
    return np.where(np.isfinite(values), values, np.nan)


def _fold(low: Array, high: Array, size: int) -> tuple[Array, Array]:
    """Least and greatest of every `size` values; NaN only where all of them are."""
    if size == 1:
        return low, high
    missing = -len(low) % size
    low, high = (np.append(part, np.full(missing, np.nan)).reshape(-1, size) for part in (low, high))
    return np.fmin.reduce(low, axis=1), np.fmax.reduce(high, axis=1)
