"""The scalars of every step of a run, in one growing table; a fork's table goes on from that of its past."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.packing import Block

BLOCK = 1024  # rows packed at once; the last BLOCK … 2·BLOCK − 1 are kept as they are


class RunError(ValueError):
    """Something asked of a run that it cannot do; the message is one sentence: where, what, what to do."""


class Timeline:
    """One row a step, one named column a quantity; row i belongs to step i + 1.

    A timeline with a `past` begins with the first `shared` rows of that one, without a copy of them. Rows that are
    not among the last are packed, without the loss of a bit.
    """

    def __init__(self, columns: Sequence[str], past: Timeline | None = None, shared: int = 0) -> None:
        self.columns = tuple(columns)
        self.shared = shared
        self._past = past if shared else None
        self._index = {name: i for i, name in enumerate(self.columns)}
        self._blocks: list[Block] = []  # of its own rows, BLOCK each
        self._packed_bytes = 0
        self._rows = np.empty((BLOCK // 4, len(self.columns)))  # those after the blocks
        self._fill = 0  # how many those are
        self._opened: tuple[int, NDArray[Any]] | None = None  # the block last looked at row by row, and its rows

    def __len__(self) -> int:
        known = self.shared if self._past is None else len(self._past)
        return self._begin + self._fill if known >= self.shared else known  # where rows of the past are still to come

    @property
    def _begin(self) -> int:
        """The rows before those that are kept as they are."""
        return self.shared + len(self._blocks) * BLOCK

    @property
    def nbytes(self) -> int:
        """The memory of its own rows; room made for more is not touched before it is used."""
        return self._packed_bytes + self._fill * len(self.columns) * self._rows.itemsize

    # --- growing ----------------------------------------------------------------------------------

    def append(self, row: NDArray[Any], *more: float) -> None:
        """Add the row of the next step: `row`, then the values of the last columns one by one."""
        if self._fill == len(self._rows):
            self._make_room()
        target = self._rows[self._fill]
        target[: len(row)] = row
        target[len(row) :] = more
        self._fill += 1

    def extend(self, rows: NDArray[Any]) -> None:
        """Add many rows (N, columns) at once."""
        done = 0
        while done < len(rows):
            if self._fill == len(self._rows):
                self._make_room()
            part = rows[done : done + len(self._rows) - self._fill]
            self._rows[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            done += len(part)

    def skip_to(self, length: int) -> None:
        """Fill up with rows of NaN to `length`: steps that were made, but whose numbers are not known."""
        while len(self) < length:
            self.extend(np.full((min(length - len(self), BLOCK), len(self.columns)), np.nan))

    def begin_as(self, other: Timeline, length: int) -> None:
        """Add the first rows of another timeline of the same columns."""
        length = min(length, len(other))
        for first in range(0, length, BLOCK):
            self.extend(other.rows(first, min(first + BLOCK, length)))

    def _make_room(self) -> None:
        """Larger, up to two blocks; then the first of them is packed. Views of the rows before stay as they are."""
        size, columns = self._rows.shape
        if size < 2 * BLOCK:
            grown = np.empty((2 * size, columns))
            grown[:size] = self._rows
        else:
            self._blocks.append(Block(self._rows[:BLOCK]))
            self._packed_bytes += self._blocks[-1].nbytes
            grown = np.empty((size, columns))
            grown[:BLOCK] = self._rows[BLOCK:]
            self._fill -= BLOCK
        self._rows = grown

    def truncate(self, length: int) -> None:
        """Forget every row of its own from `length` on."""
        own = max(length - self.shared, 0)
        if own < len(self._blocks) * BLOCK:
            kept, rest = divmod(own, BLOCK)
            self._rows = np.empty((2 * BLOCK, len(self.columns)))
            self._rows[:BLOCK] = self._blocks[kept].rows()
            self._fill = rest
            del self._blocks[kept:]
            self._packed_bytes = sum(block.nbytes for block in self._blocks)
            self._opened = None
        self._fill = min(self._fill, max(length - self._begin, 0))

    # --- looking ----------------------------------------------------------------------------------

    def rows(self, first: int = 0, last: int | None = None) -> NDArray[Any]:
        """The rows from `first` up to `last`, (N, columns): a view of late ones, not to be written; else a copy."""
        last = len(self) if last is None else min(last, len(self))
        if first >= self._begin:
            return self._rows[first - self._begin : max(last, first) - self._begin]
        return np.ascontiguousarray(self.read(range(len(self.columns)), first, last).T)

    def read(self, places: Sequence[int], first: int, last: int) -> NDArray[Any]:
        """Some columns by their places, of the rows from `first` up to `last`, (places, N); a copy."""
        last = max(min(last, len(self)), first)
        found = np.empty((len(places), last - first))
        if self._past is not None and first < self.shared:
            until = min(last, self.shared)
            found[:, : until - first] = self._past.read(places, first, until)
        for block, low, high, at in self._packed_parts(first, last):
            for row, place in zip(found, places, strict=True):
                row[at - first : at - first + high - low] = block.column(place, low, high)
        late = max(first, self._begin)
        if late < last:
            part = self._rows[late - self._begin : last - self._begin]
            found[:, late - first :] = part[:, list(places)].T
        return found

    def _packed_parts(self, first: int, last: int) -> Iterator[tuple[Block, int, int, int]]:
        """The blocks among rows first … last − 1: first and last row within each, and the number of that first one."""
        first, last = max(first - self.shared, 0), min(last - self.shared, len(self._blocks) * BLOCK)
        for number in range(first // BLOCK, -(-last // BLOCK)):
            begin = number * BLOCK
            low, high = max(first - begin, 0), min(last - begin, BLOCK)
            if low < high:
                yield self._blocks[number], low, high, self.shared + begin + low

    def own_rows(self) -> Callable[[], Iterator[NDArray[Any]]]:
        """Its own rows as they are now, a block at a time; they may be read in another thread while it grows."""
        blocks, late = list(self._blocks), self._rows[: self._fill].copy()

        def read() -> Iterator[NDArray[Any]]:
            yield from (block.rows() for block in blocks)
            yield late

        return read

    def __getitem__(self, column: str) -> NDArray[Any]:
        """One quantity over all steps, (N,). Raises KeyError for an unknown column."""
        found: NDArray[Any] = self.read((self._index[column],), 0, len(self))[0]
        return found

    def sample(self, column: str, rows: NDArray[Any]) -> NDArray[Any]:
        """One quantity in the rows of these numbers, ascending, (N,)."""
        place, found = self._index[column], np.empty(len(rows))
        edges = np.searchsorted(rows, [self.shared, self._begin])
        if edges[0] and self._past is not None:
            found[: edges[0]] = self._past.sample(column, rows[: edges[0]])
        packed = rows[edges[0] : edges[1]] - self.shared
        for number in np.unique(packed // BLOCK):
            inside = packed // BLOCK == number
            found[edges[0] : edges[1]][inside] = self._blocks[number].column(place)[packed[inside] % BLOCK]
        found[edges[1] :] = self._rows[rows[edges[1] :] - self._begin, place]
        return found

    def at(self, step: int) -> NDArray[Any]:
        """The row of mini-batch `step` (from 1), (columns,)."""
        if self._past is not None and step <= self.shared:
            return self._past.at(step)
        if step > self._begin:
            row: NDArray[Any] = self._rows[step - 1 - self._begin]
            return row
        number, place = divmod(step - 1 - self.shared, BLOCK)
        if self._opened is None or self._opened[0] != number:
            self._opened = number, self._blocks[number].rows()
        return np.asarray(self._opened[1][place])

    def value(self, column: str, step: int) -> float:
        """One quantity of mini-batch `step`; NaN for an unknown column or a step that was not made."""
        index = self._index.get(column)
        if index is None or not 1 <= step <= len(self):
            return float("nan")
        if step > self._begin:
            return float(self._rows[step - 1 - self._begin, index])
        return float(self.read((index,), step - 1, step)[0, 0])
