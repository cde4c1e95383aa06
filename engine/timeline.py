"""The scalars of every step of a run, in one growing table; a fork's table goes on from that of its past."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RunError(ValueError):
    """Something asked of a run that it cannot do; the message is one sentence: where, what, what to do."""


class Timeline:
    """One row a step, one named column a quantity; row i belongs to step i + 1.

    A timeline with a `past` begins with the first `shared` rows of that one, without a copy of them.
    """

    def __init__(self, columns: Sequence[str], past: Timeline | None = None, shared: int = 0) -> None:
        self.columns = tuple(columns)
        self.shared = shared
        self._past = past if shared else None
        self._index = {name: i for i, name in enumerate(self.columns)}
        self._rows = np.empty((256, len(self.columns)))
        self._length = 0  # of the rows of its own

    def __len__(self) -> int:
        return self.shared + self._length

    @property
    def nbytes(self) -> int:
        """The memory of its own rows; room made for more is not touched before it is used."""
        return self._length * len(self.columns) * self._rows.itemsize

    def append(self, row: NDArray[Any], *more: float) -> None:
        """Add the row of the next step: `row`, then the values of the last columns one by one."""
        if self._length == len(self._rows):
            self._make_room(1)
        target = self._rows[self._length]
        target[: len(row)] = row
        target[len(row) :] = more
        self._length += 1

    def extend(self, rows: NDArray[Any]) -> None:
        """Add many rows (N, columns) at once."""
        self._make_room(len(rows))
        self._rows[self._length : self._length + len(rows)] = rows
        self._length += len(rows)

    def skip_to(self, length: int) -> None:
        """Fill up with rows of NaN to `length`: steps that were made, but whose numbers are not known."""
        self.extend(np.full((max(length - len(self), 0), len(self.columns)), np.nan))

    def _make_room(self, count: int) -> None:
        if self._length + count > len(self._rows):
            grown = np.empty((max(2 * len(self._rows), self._length + count), len(self.columns)))
            grown[: self._length] = self._rows[: self._length]
            self._rows = grown

    def truncate(self, length: int) -> None:
        """Forget every row of its own from `length` on."""
        self._length = min(self._length, max(length - self.shared, 0))

    def rows(self, first: int = 0, last: int | None = None) -> NDArray[Any]:
        """The rows from `first` up to `last`, (N, columns); a view, not to be written, or a copy where the past is."""
        last = len(self) if last is None else min(last, len(self))
        own = self._rows[max(first - self.shared, 0) : max(last - self.shared, 0)]
        if self._past is None or first >= self.shared:
            return own
        return np.concatenate([self._past.rows(first, min(last, self.shared)), own])

    def read(self, places: Sequence[int], first: int, last: int) -> NDArray[Any]:
        """Some columns by their places, of the rows from `first` up to `last`, (places, N)."""
        return np.ascontiguousarray(self.rows(first, last)[:, list(places)].T)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """One quantity over all steps, (N,). Raises KeyError for an unknown column."""
        index = self._index[column]
        own = self._rows[: self._length, index]
        if self._past is None:
            return own
        return np.concatenate([self._past[column][: self.shared], own])

    def at(self, step: int) -> NDArray[Any]:
        """The row of mini-batch `step` (from 1), (columns,)."""
        if self._past is not None and step <= self.shared:
            return self._past.at(step)
        row: NDArray[Any] = self._rows[step - 1 - self.shared]
        return row

    def value(self, column: str, step: int) -> float:
        """One quantity of mini-batch `step`; NaN for an unknown column or a step that was not made."""
        index = self._index.get(column)
        return float(self.at(step)[index]) if index is not None and 1 <= step <= len(self) else float("nan")
