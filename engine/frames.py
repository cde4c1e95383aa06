"""Phases, positions, tensor addresses, and the frame: the picture of one position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
SMALL = 2**17  # entries of a matrix that is reduced in one go


class Phase(msgspec.Struct, frozen=True):
    """One operation of a mini-batch. kind: batch, forward, loss, backward or update; backward has parts."""

    kind: str
    layer: int | None = None
    part: str | None = None

    def same_operation(self, other: Phase | None) -> bool:
        """Whether `other` is the same phase, or another part of it."""
        return other is not None and self.kind == other.kind and self.layer == other.layer

    def __str__(self) -> str:
        return " ".join(str(word) for word in (self.kind, self.layer, self.part) if word is not None)


class Position(NamedTuple):
    """A place in time: mini-batch `step` (the first is 1; 0 is before any) and the phase just computed in it."""

    step: int
    phase: int  # index into the trainer's phases; −1 before the first


class TensorInfo(msgspec.Struct, frozen=True):
    """What is known of a tensor without its values."""

    shape: tuple[int, ...]  # with the batch axis where it has one
    made_by: int  # index of the phase that computes it; −1: it is always there


@dataclass(frozen=True)
class Picture:
    """A tensor as a matrix for the screen, float32; block-reduced (min beside max) where it was too large."""

    values: Array  # (rows, columns)
    shape: tuple[int, ...]  # of the whole tensor
    computed: bool  # in this mini-batch; where False, the values are the last mini-batch's

    @property
    def whole(self) -> bool:
        """Whether every entry is shown as itself."""
        return bool(self.values.size == prod(self.shape))


class Frame(msgspec.Struct, frozen=True):
    """The immutable picture of one position: scalars always, watched tensors too."""

    position: Position
    phase: Phase | None
    epoch: int  # from 1; 0 before any mini-batch
    batch: int  # from 1, within the epoch
    batches: int  # in an epoch
    scalars: Mapping[str, float]
    tensors: Mapping[str, Picture] = {}

    @property
    def step(self) -> int:
        """The mini-batch shown; the first is 1."""
        return self.position.step

    @property
    def loss(self) -> float:
        """The loss of the mini-batch last completed (NaN before any)."""
        return self.scalars.get("loss", float("nan"))

    @property
    def accuracy(self) -> float:
        """The share of the mini-batch classified right (NaN where there are no classes)."""
        return self.scalars.get("accuracy", float("nan"))


def as_matrix(array: Array) -> Array:
    """Any tensor as a matrix: a vector (n,) becomes a column (n, 1), more axes are laid out behind the first."""
    if array.ndim == 1:
        return array[:, None]
    return array.reshape(array.shape[0], prod(array.shape[1:]))  # spelt out, for there may be no rows


def reduce_extremes(matrix: Array, rows: int, columns: int, *, holes: bool = False) -> Array:
    """The matrix in at most (rows, columns) cells: each block gives its minimum beside its maximum, no spike is lost.

    A matrix that fits is returned as it is. NaN stays NaN; with `holes` the rest of its block counts.
    """
    lesser, greater = (np.fmin, np.fmax) if holes else (np.minimum, np.maximum)
    for axis, limit in ((0, rows), (1, columns)):
        size = matrix.shape[axis]
        if size <= limit:
            continue
        blocks = max(limit // 2, 1)
        entries = _entries(size, blocks)
        if matrix.size < SMALL:  # all at once, laid out so that whole rows are compared
            gathered = (matrix if axis == 0 else np.ascontiguousarray(matrix.T)).take(entries, 0)
            low, high = lesser.reduce(gathered), greater.reduce(gathered)
            both = (low, high) if axis == 0 else (low.T, high.T)
        else:
            low = matrix.take(entries[0], axis)
            high = low.copy()
            for some in entries[1:]:  # through all blocks at once: many times faster than reduceat
                taken = matrix.take(some, axis)
                lesser(low, taken, out=low)
                greater(high, taken, out=high)
            both = low, high
        stacked = np.stack(both, axis=axis + 1)
        matrix = stacked.reshape((2 * blocks, matrix.shape[1]) if axis == 0 else (len(matrix), 2 * blocks))
    return matrix


@lru_cache(maxsize=256)
def _entries(size: int, blocks: int) -> Array:
    """The first entry of each block, the second and so on, (longest, blocks); a shorter block repeats its last."""
    edges = (np.arange(blocks) * size) // blocks
    ends = np.append(edges[1:], size) - 1
    return np.asarray(np.minimum(edges + np.arange(-(-size // blocks))[:, None], ends))
