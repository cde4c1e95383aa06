"""What the live check said of each step it looked at, within bounds however long a run is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.protocol import LiveChecked
from engine.verdicts import FAIL, PASS, VERDICTS

MOST = 1 << 14  # rows; beyond it every other one that passed is forgotten
MOST_TOLD = 2000  # of those that did not pass, kept with their sentences

Array = NDArray[Any]


class LiveHistory:
    """Steps in ascending order, with error and verdict each; the sentences of those that did not pass."""

    def __init__(self) -> None:
        self._steps = np.zeros(MOST, np.int64)
        self._errors = np.zeros(MOST)
        self._verdicts = np.zeros(MOST, np.int8)
        self._length = 0
        self.told: deque[LiveChecked] = deque(maxlen=MOST_TOLD)
        self.last: LiveChecked | None = None

    def __len__(self) -> int:
        return self._length

    @property
    def steps(self) -> Array:
        """The steps looked at, (N,)."""
        return self._steps[: self._length]

    @property
    def errors(self) -> Array:
        """The error of each, (N,)."""
        return self._errors[: self._length]

    @property
    def verdicts(self) -> Array:
        """The verdict of each, (N,), as its place in VERDICTS."""
        return self._verdicts[: self._length]

    @property
    def failed(self) -> Array:
        """The steps whose gradient was wrong."""
        return np.asarray(self.steps[self.verdicts == FAIL])

    def extend(self, rows: Iterable[LiveChecked]) -> None:
        """Add what was checked since; of a step that is computed again, what was said first stays."""
        for row in rows:
            if self.last is not None and row.step <= self.last.step:
                continue
            if self._length == MOST:
                self._thin()
            place = self._length
            self._steps[place], self._errors[place] = row.step, row.error
            self._verdicts[place] = VERDICTS.index(row.verdict)
            self._length += 1
            self.last = row
            if row.verdict != "pass":
                self.told.append(row)

    def truncate(self, step: int) -> None:
        """Forget every step beyond this one."""
        self._length = int(np.searchsorted(self.steps, step, side="right"))
        while self.told and self.told[-1].step > step:
            self.told.pop()
        if self.last is not None and self.last.step > step:
            self.last = None

    def nearest_told(self, step: float) -> LiveChecked | None:
        """The one that did not pass nearest to a step."""
        return min(self.told, key=lambda row: abs(row.step - step), default=None)

    def _thin(self) -> None:
        """Make room: every other row that passed goes, or every other row where few passed."""
        even = np.arange(self._length) % 2 == 0
        keep = even | (self.verdicts != PASS)
        if np.count_nonzero(keep) > 3 * MOST // 4:
            keep = even
        kept = np.flatnonzero(keep)
        for array in (self._steps, self._errors, self._verdicts):
            array[: len(kept)] = array[kept]
        self._length = len(kept)
