"""What is counted and summed of a tensor's values, cheaply enough to be told while training plays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from app.widgets.flow_rulers import extreme
from app.widgets.picture import Ruler, Values

PERCENTS = (1, 25, 50, 75, 99)
SAMPLE = 2048  # entries that stand for all of them while training plays
CHUNK = 8192  # entries widened to float64 at once: they stay in the cache, and BLAS wakes no second thread for them
FEW = 16  # entries, among which none is an outlier
BEYOND = 2.0  # times the 99th percentile of the sizes: what is larger is an outlier

Flat = npt.NDArray[np.floating[Any]]
_wide = np.empty(CHUNK)


@dataclass(frozen=True)
class Moments:
    """Of all entries, in float64."""

    low: float
    high: float
    mean: float
    norm: float


def moments(values: Values) -> Moments | None:
    """Least, greatest, mean and norm in one pass; None where an entry is no number, or where there is none."""
    flat = values.reshape(-1)
    total = squares = 0.0
    low, high = math.inf, -math.inf
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        wide = _wide[: part.size]
        np.copyto(wide, part)
        total += float(wide.sum())
        squares += float(np.dot(wide, wide))
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if not flat.size or not math.isfinite(squares):
        return None
    return Moments(low, high, total / flat.size, math.sqrt(squares))


def sample(values: Values) -> Flat:
    """All finite entries of a small tensor; of a large one some at equal distances, from all its columns."""
    flat = values.reshape(-1)
    stride = -(-flat.size // SAMPLE) or 1
    while stride > 1 and math.gcd(stride, values.shape[-1]) > 1:
        stride += 1
    chosen = flat[::stride]
    finite = np.isfinite(chosen)
    return chosen if finite.all() else chosen[finite]


def percentiles(entries: Flat) -> tuple[float, ...]:
    """The entries at PERCENTS of their order, each one that there is; () where there is none."""
    if not entries.size:
        return ()
    ranks = [round(percent / 100 * (entries.size - 1)) for percent in PERCENTS]
    return tuple(np.sort(entries)[ranks].tolist())


def usual_extreme(values: Values, entries: Flat) -> float:
    """The size at which a linear ruler ends: the largest, unless few entries are far beyond all others.

    `entries` is a sample of the values. Zeros do not count: a sparse tensor has no outliers by being sparse.
    """
    largest = extreme(values)
    if values.size < FEW:
        return largest
    sizes = np.abs(entries)
    sizes = sizes[sizes > 0]
    if sizes.size < FEW:
        return largest
    return min(largest, BEYOND * float(np.sort(sizes)[int(0.99 * (sizes.size - 1))]))


def beyond(values: Values, ruler: Ruler) -> tuple[int, int]:
    """How many finite entries lie below and above a ruler."""
    below = int(np.count_nonzero(values < -ruler.limit) - np.count_nonzero(values == -np.inf))
    above = int(np.count_nonzero(values > ruler.limit) - np.count_nonzero(values == np.inf))
    return below, above


def places(values: npt.ArrayLike, ruler: Ruler) -> Flat:
    """Where values stand along a ruler, from −1 to 1; what lies beyond it at its end."""
    array = np.asarray(values, np.float64)
    if ruler.kind == "linear":
        return np.clip(array / ruler.limit, -1, 1)
    sizes = np.clip(np.abs(array), ruler.floor, ruler.limit)
    return np.copysign(np.log(sizes / ruler.floor) / math.log(ruler.limit / ruler.floor), array)


def sums_of_cell(values: Values, row: int, column: int) -> tuple[float, float]:
    """The sums of a cell's row and column, in float64."""
    return float(values[row].sum(dtype=np.float64)), float(values[:, column].sum(dtype=np.float64))


def ranges_of_sums(values: Values) -> tuple[tuple[float, float], tuple[float, float]]:
    """Least and greatest of the sums of the rows, and of those of the columns."""
    rows, columns = values.sum(axis=1, dtype=np.float64), values.sum(axis=0, dtype=np.float64)
    return (float(rows.min()), float(rows.max())), (float(columns.min()), float(columns.max()))
