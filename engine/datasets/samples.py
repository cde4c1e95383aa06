"""Samples: a dataset in memory, and what it looks like in numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BLOCK = 1 << 16  # values measured at once: the memory of a large dataset is not taken twice


class Statistics(msgspec.Struct, frozen=True):
    """A dataset in numbers: how many samples, how many of each class, and the spread over all values of x."""

    count: int
    per_class: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float


@dataclass(frozen=True)
class Samples:
    """A loaded dataset. x (N, *shape) float64; labels (N,) integers or None; values (N, K) or None."""

    x: Array
    labels: Array | None
    classes: tuple[str, ...]
    values: Array | None = None
    image_shape: tuple[int, int] | None = None  # where a sample is a picture, its rows and columns
    columns: tuple[str, ...] = ()  # names of x's columns, where they have names
    scale: str = "none"  # how x is to be scaled, once it is known which samples are for training

    def statistics(self) -> Statistics:
        """Counts and the spread of x; `std` is that of all the values, not of a sample of them."""
        count, values = len(self.x), self.x.reshape(-1)
        counts = () if self.labels is None else np.bincount(self.labels, minlength=len(self.classes)).tolist()
        if not values.size:
            return Statistics(count, tuple(counts), *[float("nan")] * 4)
        blocks = [values[start : start + BLOCK] for start in range(0, values.size, BLOCK)]
        low, high = min(float(block.min()) for block in blocks), max(float(block.max()) for block in blocks)
        mean = sum(float(block.sum(dtype=np.float64)) for block in blocks) / values.size
        squares = sum(float(np.square(block - np.float64(mean)).sum()) for block in blocks)
        return Statistics(count, tuple(counts), low, high, mean, math.sqrt(squares / values.size))
