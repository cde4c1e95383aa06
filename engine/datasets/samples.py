"""Samples: a dataset in memory, and what it looks like in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


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
        x = self.x
        counts = () if self.labels is None else np.bincount(self.labels, minlength=len(self.classes)).tolist()
        if not x.size:
            return Statistics(len(x), tuple(counts), *[float("nan")] * 4)
        return Statistics(len(x), tuple(counts), float(x.min()), float(x.max()), float(x.mean()), float(x.std()))
