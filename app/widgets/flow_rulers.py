"""Rulers that stay as they are while a run plays: up at once when they must, down only after a long while."""

from __future__ import annotations

import math

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


def typical(values: Values) -> float:
    """The root mean square of values; infinite where one is no number."""
    flat = values.ravel()
    square = float(np.dot(flat, flat))
    return math.sqrt(square / max(flat.size, 1)) if math.isfinite(square) else math.inf


def typical_extreme(values: Values) -> float:
    """The size at which a linear ruler is used well: the largest, but not far beyond the root mean square."""
    return min(extreme(values), 2.5 * typical(values))
