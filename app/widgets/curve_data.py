"""Long curves in few points: each block of steps keeps its least and its greatest value, so that no spike is lost.

Their mean goes with them: where a curve is a band of noise, it is the line one sees.

Step n is row n − 1 of the table that is read; x is in steps. What is read is one curve, (N,), or some of the same
steps together, (curves, N), which costs hardly more than one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Read = Callable[[int, int], Array]  # the values of rows first … last − 1, steps along the last axis

BLOCK = 32
_CHUNK = 1 << 16  # rows read at once: what is summed over columns must not need the table's size in memory


class Thinned(NamedTuple):
    """A curve for the screen, and where it is one of extremes (least, greatest, least …) the mean between them."""

    x: Array
    y: Array
    mean_x: Array = np.empty(0)
    mean_y: Array = np.empty(0)

    @property
    def line(self) -> tuple[Array, Array]:
        """What is drawn as the curve: the means where there are any, else the values."""
        return (self.mean_x, self.mean_y) if len(self.mean_x) else (self.x, self.y)

    def one(self, place: int) -> Thinned:
        """One of the curves that were read together."""
        return Thinned(self.x, self.y[place], self.mean_x, self.mean_y[place] if len(self.mean_x) else self.mean_y)

    def scaled(self, scale: Callable[[Array], Array]) -> Thinned:
        """With its values on another scale."""
        return Thinned(self.x, scale(self.y), self.mean_x, scale(self.mean_y))


class Folded(NamedTuple):
    """Of each block: its least and greatest value (NaN where it has none), the sum and the number of its values."""

    low: Array
    high: Array
    total: Array
    present: Array

    @classmethod
    def of(cls, values: Array, size: int = 1) -> Folded:
        """Blocks of `size` values, the last perhaps of fewer; infinity counts as missing."""
        finite = np.isfinite(values)
        if finite.all():
            return cls(values, values, values, np.broadcast_to(np.uint8(1), values.shape)).fold(size)
        values = np.where(finite, values, np.nan)
        return cls(values, values, np.where(finite, values, 0.0), finite.astype(np.uint8)).fold(size)

    def fold(self, size: int) -> Folded:
        """Every `size` blocks in one; the last may be of fewer."""
        length = self.low.shape[-1]
        if size == 1 or not length:
            return self
        starts = np.arange(0, length, size)
        with np.errstate(all="ignore"):
            return Folded(
                np.fmin.reduceat(self.low, starts, axis=-1),
                np.fmax.reduceat(self.high, starts, axis=-1),
                np.add.reduceat(self.total, starts, axis=-1),
                np.add.reduceat(self.present, starts, axis=-1, dtype=np.float64),
            )

    def join(self, other: Folded) -> Folded:
        """These blocks, then the others."""
        return Folded(*(np.concatenate(pair, axis=-1) for pair in zip(self, other, strict=True)))

    def part(self, first: int, last: int) -> Folded:
        """Blocks first … last − 1."""
        return Folded(*(part[..., first:last] for part in self))

    def mean(self) -> Array:
        """Of each block; NaN where it has no value."""
        with np.errstate(all="ignore"):
            return np.asarray(self.total / self.present)


NOTHING = Folded(*(np.empty(0) for _ in Folded._fields))


class Dense:
    """Quantities with a value at every step. What is not finite is a gap, and the first such step is remembered.

    The last `unsettled` values may still become others while rows are added; all before them are final.
    """

    def __init__(self, read: Read, unsettled: int = 0) -> None:
        self._read, self._unsettled = read, unsettled
        self._folded = NOTHING  # with room to grow; the first `_blocks` hold
        self._seen = self._blocks = 0
        self._last: Array = np.empty(0)  # the last values that are settled
        self._was_finite = False
        self._drawn: tuple[object, Thinned] | None = None
        self._told: tuple[object, Array] | None = None
        self.lost_at: int | None = None

    def __len__(self) -> int:
        return self._seen

    @property
    def nbytes(self) -> int:
        """The memory of what is kept of all steps."""
        return sum(part.nbytes for part in self._folded)

    def update(self, length: int) -> None:
        """Take in the rows up to `length`; fewer than before, or others than before, are noticed."""
        common = min(self._seen, length)
        if not self._still_holds(common):
            common = 0
        if common < self._seen:
            self._forget(common)
        if length == self._seen:
            return
        for first in range(self._seen, length, _CHUNK):
            self._look_for_loss(first, self._read(first, min(first + _CHUNK, length)))
        self._seen = length
        self._last = self._settled_value()
        self._add_blocks(max(length - self._unsettled, 0) // BLOCK)
        self._drawn = self._told = None

    def _settled_value(self) -> Array:
        """The last value that will not change."""
        last = self._seen - self._unsettled
        return self._read(last - 1, last).copy() if last > 0 else np.empty(0)

    def _still_holds(self, common: int) -> bool:
        """Whether the rows up to `common` are, by the last of them, those that were read before."""
        block = min(self._blocks, common // BLOCK)
        if common < self._seen and not block:
            return False
        if block:
            now = Folded.of(self._read((block - 1) * BLOCK, block * BLOCK), BLOCK)
            if not all(map(_same, now, self._folded.part(block - 1, block))):
                return False
        return common < self._seen or _same(self._settled_value(), self._last)

    def _forget(self, length: int) -> None:
        """Keep only what holds for the first `length` rows."""
        self._seen = length
        self._blocks = min(self._blocks, max(length - self._unsettled, 0) // BLOCK)
        self._last = self._settled_value()
        self._was_finite = bool(np.isfinite(self._read(0, length)).any())
        self._drawn = self._told = None
        if self.lost_at is not None and self.lost_at > length:
            self.lost_at = None

    def _look_for_loss(self, first: int, values: Array) -> None:
        """Find the first step without a finite value after one that had it, or with infinity."""
        if self.lost_at is not None:
            return
        finite = np.isfinite(values)
        if finite.all():
            self._was_finite = True
        elif values.ndim == 1:
            before = np.logical_or.accumulate(finite) | self._was_finite
            lost = np.flatnonzero(~finite & (before | np.isinf(values)))
            if lost.size:
                self.lost_at = first + int(lost[0]) + 1
            self._was_finite = bool(before[-1])

    def _add_blocks(self, blocks: int) -> None:
        while self._blocks < blocks:
            until = min(blocks, self._blocks + _CHUNK // BLOCK)
            new = Folded.of(self._read(self._blocks * BLOCK, until * BLOCK), BLOCK)
            self._make_room(until, new)
            for kept, values in zip(self._folded, new, strict=True):
                kept[..., self._blocks : until] = values
            self._blocks = until

    def _make_room(self, blocks: int, like: Folded) -> None:
        """For so many blocks and some more."""
        if blocks > self._folded.low.shape[-1]:
            shape = (*like.low.shape[:-1], max(blocks + blocks // 4, 64))
            kinds = (np.float64, np.float64, np.float64, np.uint8)
            grown = Folded(*(np.empty(shape, kind) for kind in kinds))
            if self._blocks:
                for new, old in zip(grown, self._folded, strict=True):
                    new[..., : self._blocks] = old[..., : self._blocks]
            self._folded = grown

    def curve(self, first: int, last: int, most: int) -> Thinned:
        """Rows first … last − 1 in at most about `most` points; blocks lie still while the curve grows."""
        wanted = (first, last, most)
        if self._drawn is None or self._drawn[0] != wanted:
            self._drawn = wanted, self._thin(max(first, 0), min(last, self._seen), most)
        return self._drawn[1]

    def _thin(self, first: int, last: int, most: int) -> Thinned:
        count = last - first
        if count <= 0:
            return Thinned(np.empty(0), self._read(0, 0))
        if count <= most:
            values = self._read(first, last)
            return Thinned(np.arange(first + 1.0, last + 1.0), np.where(np.isfinite(values), values, np.nan))
        size = 1 << math.ceil(math.log2(2 * count / most))
        start = first // size * size
        if size < BLOCK:
            folded = Folded.of(self._read(start, last), size)
        else:
            folded = self._rows(start, last).fold(size // BLOCK)
        blocks = folded.low.shape[-1]
        middle = np.minimum(start + (np.arange(blocks) + 0.5) * size + 0.5, last)
        extremes = np.stack(folded[:2], axis=-1)
        return Thinned(np.repeat(middle, 2), extremes.reshape(*extremes.shape[:-2], -1), middle, folded.mean())

    def _rows(self, start: int, last: int) -> Folded:
        """The blocks from row `start` on, then what follows the last whole one."""
        begin = start // BLOCK
        end = max(begin, min(self._blocks, -(-last // BLOCK)))
        blocks = self._folded.part(begin, end)
        if end * BLOCK >= last:
            return blocks
        rest = Folded.of(self._read(end * BLOCK, last), BLOCK)
        return blocks.join(rest) if end > begin else rest

    def values(self, step: int) -> Array:
        """All values at a step; NaN where there is none."""
        if not 1 <= step <= self._seen:
            return np.full(self._read(0, 0).shape[:-1], np.nan)
        if self._told is None or self._told[0] != step:
            self._told = step, self._read(step - 1, step)[..., 0]
        return self._told[1]

    def at(self, step: int) -> tuple[int, float]:
        """The value at a step (NaN where there is none), with that step."""
        return step, float(self.values(step))


@dataclass(frozen=True)
class Row:
    """One of the curves that a table reads together."""

    table: Dense
    place: int

    def __len__(self) -> int:
        return len(self.table)

    def update(self, length: int) -> None:
        """Take in the rows up to `length`."""
        if length != len(self.table) or self.place == 0:  # the first of them looks whether all are as they were
            self.table.update(length)

    def curve(self, first: int, last: int, most: int) -> Thinned:
        """Rows first … last − 1 in at most about `most` points."""
        return self.table.curve(first, last, most).one(self.place)

    def at(self, step: int) -> tuple[int, float]:
        """The value at a step (NaN where there is none), with that step."""
        return step, float(self.table.values(step)[self.place])


class Sparse:
    """A quantity with a value at some steps only."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._x, self._y = np.empty(0), np.empty(0)
        self._seen = 0

    def __len__(self) -> int:
        return self._seen

    @property
    def nbytes(self) -> int:
        """The memory of what is kept of all steps."""
        return self._x.nbytes + self._y.nbytes

    def update(self, length: int) -> None:
        """Take in the rows up to `length`; fewer than before, or others than before, are noticed."""
        self._drop(length)
        if self._x.size and not _same(self._read(int(self._x[-1]) - 1, int(self._x[-1])), self._y[-1:]):
            self._drop(0)
        for first in range(self._seen, length, _CHUNK):
            values = self._read(first, min(first + _CHUNK, length))
            found = np.flatnonzero(np.isfinite(values))
            if found.size:
                self._x = np.append(self._x, found + first + 1.0)
                self._y = np.append(self._y, values[found])
        self._seen = max(self._seen, length)

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
        folded = Folded.of(y, size)
        middle = Folded.of(x, size).mean()
        return Thinned(np.repeat(middle, 2), np.column_stack(folded[:2]).ravel(), middle, folded.mean())

    def at(self, step: int) -> tuple[int, float]:
        """The last value at a step or before it (NaN where there is none), with the step it belongs to."""
        place = int(np.searchsorted(self._x, step, side="right")) - 1
        return (int(self._x[place]), float(self._y[place])) if place >= 0 else (step, math.nan)


def _same(one: Array, other: Array) -> bool:
    return bool(np.array_equal(one, other, equal_nan=True))
