"""The scalars of every step of a run, in one growing table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Timeline:
    """One row a step, one named column a quantity; row i belongs to step i + 1."""

    def __init__(self, columns: Sequence[str]) -> None:
        self.columns = tuple(columns)
        self._index = {name: i for i, name in enumerate(self.columns)}
        self._rows = np.empty((256, len(self.columns)))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, row: NDArray[Any], *more: float) -> None:
        """Add the row of the next step: `row`, then the values of the last columns one by one."""
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
        self.extend(np.full((max(length - self._length, 0), len(self.columns)), np.nan))

    def _make_room(self, count: int) -> None:
        if self._length + count > len(self._rows):
            grown = np.empty((max(2 * len(self._rows), self._length + count), len(self.columns)))
            grown[: self._length] = self._rows[: self._length]
            self._rows = grown

    def truncate(self, length: int) -> None:
        """Forget every row from `length` on."""
        self._length = min(self._length, length)

    def rows(self, first: int = 0, last: int | None = None) -> NDArray[Any]:
        """The rows from `first` up to `last`, (N, columns); a view, not to be written."""
        return self._rows[first : self._length if last is None else min(last, self._length)]

    def __getitem__(self, column: str) -> NDArray[Any]:
        """One quantity over all steps, (N,). Raises KeyError for an unknown column."""
        return self.rows()[:, self._index[column]]
