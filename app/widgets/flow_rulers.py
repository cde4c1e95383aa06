"""Rulers that stay as they are while a run plays: up at once when they must, down only after a long while."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.widgets.picture import Ruler, Values

DECADES = 4  # of the gradients' colours: what is 10⁴ times smaller than the largest is not seen
NORM_DECADES = 6  # of the ‖grad‖ bars
FADE = 0.97  # of the remembered size, a frame


class SteadyLimit:
    """A round number that holds a size which changes all the time.

    `steps` are the round mantissas; it falls only when all of the last sizes are below `low` of it.
    """

    def __init__(self, steps: tuple[int, ...], low: float) -> None:
        self._steps, self._low = steps, low
        self._peak = 0.0
        self.limit = 0.0

    def follow(self, size: float) -> float:
        """The limit for this size."""
        if math.isfinite(size) and size > 0:
            self._peak = max(size, self._peak * FADE)
            if size > self.limit or self._peak < self._low * self.limit:
                self.limit = self._round_up(self._peak)
        return self.limit or 1.0

    def _round_up(self, size: float) -> float:
        decade = 10.0 ** math.floor(math.log10(size))
        return next(float(f"{m * decade:.3g}") for m in (*self._steps, 10) if m * decade >= size * (1 - 1e-6))


def tensor_limit() -> SteadyLimit:
    """For the linear ruler of one tensor."""
    return SteadyLimit((1, 2, 5), low=0.3)


def decade_limit() -> SteadyLimit:
    """For a log ruler: whole decades."""
    return SteadyLimit((1,), low=0.05)


def log_ruler(limit: float, decades: int = DECADES) -> Ruler:
    """So many decades up to a limit."""
    return Ruler("log", limit, float(f"{limit * 10.0**-decades:.3g}"))


def extreme(values: Values) -> float:
    """The largest finite size among values; 0 where there is none."""
    if not values.size:
        return 0.0
    largest = max(float(values.max()), -float(values.min()))
    if math.isfinite(largest):
        return largest
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0


@dataclass(frozen=True)
class Size:
    """How large the entries of a tensor are: the largest finite one, and the root mean square."""

    largest: float
    typical: float  # infinite where an entry is no number

    @property
    def typical_extreme(self) -> float:
        """The size at which a linear ruler is used well: the largest, but not far beyond the root mean square."""
        return min(self.largest, 2.5 * self.typical)


def sizes_of(tensors: Mapping[str, Values]) -> dict[str, Size]:
    """The size of each; those of one shape together, which is many times quicker."""
    groups: dict[tuple[int, ...], list[str]] = {}
    for address, values in tensors.items():
        groups.setdefault(values.shape, []).append(address)
    found: dict[str, Size] = {}
    with np.errstate(all="ignore"):
        for addresses in groups.values():
            flat = [tensors[address].reshape(1, -1) for address in addresses]
            stack = flat[0] if len(flat) == 1 else np.concatenate(flat)
            most = np.maximum(stack.max(axis=1), -stack.min(axis=1)).tolist()
            squares = np.einsum("ij,ij->i", stack, stack).tolist()
            for address, largest, square in zip(addresses, most, squares, strict=True):
                if not math.isfinite(largest):
                    largest = extreme(tensors[address])
                typical = math.sqrt(square / stack.shape[1]) if math.isfinite(square) else math.inf
                found[address] = Size(largest, typical)
    return found


def typical_extreme(values: Values) -> float:
    """The size at which a linear ruler of some values is used well; 0 where there are none."""
    return sizes_of({"": values})[""].typical_extreme if values.size else 0.0
