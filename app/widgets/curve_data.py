"""Long curves in few points: each block of steps keeps its least and its greatest value, so that no spike is lost.

Their mean goes with them: where a curve is a band of noise, it is the line one sees.

Step n is row n − 1 of the table that is read; x is in steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Read = Callable[[int, int], Array]  # the values of rows first … last − 1

BLOCK = 16
_CHUNK = 1 << 16  # rows read at once: what is summed over columns must not need the table's size in memory


class Thinned(NamedTuple):
    """A curve for the screen, and where it is one of extremes the mean between them (else nothing)."""

    x: Array
    y: Array
    mean_x: Array = np.empty(0)
    mean_y: Array = np.empty(0)


class Folded(NamedTuple):
    """Of each block: its least and greatest value (NaN where it has none), the sum and the number of its values."""

    low: Array
    high: Array
    total: Array
    present: Array

    @classmethod
    def of(cls, values: Array) -> Folded:
        """Blocks of one value each; infinity counts as missing."""
        finite = np.isfinite(values)
        values = np.where(finite, values, np.nan)
        return cls(values, values, np.where(finite, values, 0.0), finite.astype(float))

    def fold(self, size: int) -> Folded:
        """Every `size` blocks in one; the last may be of fewer."""
        if size == 1:
            return self
        missing = -len(self.low) % size
        fill = (np.nan, np.nan, 0.0, 0.0)
        parts = (np.append(part, np.full(missing, f)).reshape(-1, size) for part, f in zip(self, fill, strict=True))
        low, high, total, present = parts
        with np.errstate(all="ignore"):
            return Folded(
                np.fmin.reduce(low, axis=1), np.fmax.reduce(high, axis=1), total.sum(axis=1), present.sum(axis=1)
            )

    def join(self, other: Folded) -> Folded:
        """These blocks, then the others."""
        return Folded(*(np.append(mine, more) for mine, more in zip(self, other, strict=True)))

    def part(self, first: int, last: int) -> Folded:
        """Blocks first … last − 1."""
        return Folded(*(part[first:last] for part in self))

    def mean(self) -> Array:
        """Of each block; NaN where it has no value."""
        with np.errstate(all="ignore"):
            return np.asarray(self.total / self.present)


class Dense:
    """A quantity with a value at every step. What is not finite is a gap, and the first such step is remembered."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._folded = Folded(*(np.empty(0) for _ in Folded._fields))
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
            now = Folded.of(self._read((block - 1) * BLOCK, block * BLOCK)).fold(BLOCK)
            if not all(map(_same, now, self._folded.part(block - 1, block))):
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
        if blocks > len(self._folded.low):
            room = np.empty(max(2 * len(self._folded.low), blocks, 64) - self._blocks)
            self._folded = self._folded.part(0, self._blocks).join(Folded(room, room, room, room))
        while self._blocks < blocks:
            until = min(blocks, self._blocks + _CHUNK // BLOCK)
            new = Folded.of(self._read(self._blocks * BLOCK, until * BLOCK)).fold(BLOCK)
            for kept, values in zip(self._folded, new, strict=True):
                kept[self._blocks : until] = values
            self._blocks = until

    def curve(self, first: int, last: int, most: int) -> Thinned:
        """Rows first … last − 1 in at most about `most` points; blocks lie still while the curve grows."""
        first, last = max(first, 0), min(last, self._seen)
        count = last - first
        if count <= 0:
            return Thinned(np.empty(0), np.empty(0))
        if count <= most:
            values = self._read(first, last)
            return Thinned(np.arange(first + 1.0, last + 1.0), np.where(np.isfinite(values), values, np.nan))
        size = 1 << math.ceil(math.log2(2 * count / most))
        start = first // size * size
        if size < BLOCK:
            folded = Folded.of(self._read(start, last)).fold(size)
        else:
            folded = self._rows(start, last).fold(size // BLOCK)
        middle = np.minimum(start + (np.arange(len(folded.low)) + 0.5) * size + 0.5, last)
        return Thinned(np.repeat(middle, 2), np.column_stack(folded[:2]).ravel(), middle, folded.mean())

    def _rows(self, start: int, last: int) -> Folded:
        """The blocks from row `start` on, and what follows the last whole one as one more."""
        begin, end = start // BLOCK, min(self._blocks, -(-last // BLOCK))
        blocks = self._folded.part(begin, end)
        if end * BLOCK >= last:
            return blocks
        return blocks.join(Folded.of(self._read(end * BLOCK, last)).fold(BLOCK))

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

    def curve(self, first: int, last: int, most: int) -> Thinned:
        """The values around rows first … last − 1 in at most about `most` points."""
        begin = max(int(np.searchsorted(self._x, first)) - 1, 0)  # one beyond each edge, so that the line goes on
        end = int(np.searchsorted(self._x, last, side="right")) + 1
        x, y = self._x[begin:end], self._y[begin:end]
        if len(x) <= most:
            return Thinned(x, y)
        size = 1 << math.ceil(math.log2(2 * len(x) / most))
        folded = Folded.of(y).fold(size)
        return Thinned(np.repeat(Folded.of(x).fold(size).mean(), 2), np.column_stack(folded[:2]).ravel())

    def at(self, step: int) -> tuple[int, float]:
        """The last value at a step or before it (NaN where there is none), with the step it belongs to."""
        place = int(np.searchsorted(self._x, step, side="right")) - 1
        return (int(self._x[place]), float(self._y[place])) if place >= 0 else (step, math.nan)


def _same(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))
