"""A curve's mean over the steps around each, to be laid over the curve itself."""

from __future__ import annotations

import numpy as np

from app.widgets.curve_data import Array, Dense, Read

WIDTHS = (0, 11, 101)  # steps; 0: no mean


def mean_of(read: Read, width: int) -> Dense:
    """The centred mean over `width` steps (an odd number) of a curve: of its finite values, a gap where it has one.

    m(t) = Σ x(s) / n over the n steps s with |s − t| ≤ (width − 1)/2 that are there and finite; at either end of the
    curve there are fewer, so that its last (width − 1)/2 means still change as steps come in.
    """
    half = width // 2

    def means(first: int, last: int) -> Array:
        begin = max(first - half, 0)
        values = read(begin, last + half)
        inside = slice(first - begin, last - begin)
        if not len(values[inside]):
            return values[inside]
        finite = np.isfinite(values)
        found = np.full(len(values), np.nan)
        with np.errstate(all="ignore"):
            total = _around(np.where(finite, values, 0.0), half)
            np.divide(total, np.rint(_around(finite.astype(float), half)), out=found, where=finite)
        return found[inside]

    return Dense(means, unsettled=half)


def _around(values: Array, half: int) -> Array:
    """The sum of the values from `half` before each to `half` after it.

    Each is summed by itself: from running sums, one huge value would be left behind in all that follow.
    """
    return np.convolve(values, np.ones(2 * half + 1))[half : half + len(values)]
