"""How far rounding throws a computed value off, measured from the value alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

EPS = float(np.finfo(np.float64).eps)
SPACINGS = (1e-9, 1e-7, 1e-5, 1e-3, 1e-1)  # between the points of a line on which rounding is measured
LINES = 4  # of each spacing


def line_noise(lines: Iterable[Array]) -> float:
    """The rounding error in values at equidistant points (N, P) of ever wider lines, as ECnoise (Moré and Wild 2011).

    Fourth differences are rounding alone where the points lie close, and say nothing where they lie so close that the
    value stands still; of the first two widths at which it moves, the smaller counts. Of N lines of one width the
    largest counts: where a step happens to be a multiple of the last digit, a line shows no rounding at all. eps
    where it never moves.
    """
    found: list[float] = []
    for values in lines:
        moves = np.count_nonzero(np.diff(values), axis=-1) >= 0.7 * (values.shape[-1] - 1)
        rounding = np.sqrt(np.mean(np.diff(values, 4) ** 2, axis=-1) / 70)  # 70 = (2·4)! / (4!)²
        seen = np.atleast_1d(rounding)[np.atleast_1d(moves & np.isfinite(values).all(axis=-1))]
        if len(seen):
            found.append(float(seen.max()))
        if len(found) == 2:
            break
    return min(found, default=EPS)
