"""What a difference between an analytic and a numerical gradient means: pass, fail, kink or unresolvable.

A difference alone says little: rounding, curvature and kinks make one too. Each has its own mark when the step h
changes. Curvature dies with h², rounding grows with 1/h, a kink makes the two one-sided slopes differ for every h,
and an error in the formula does not care about h at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Verdict = Literal["not checked", "pass", "kink", "unresolvable", "fail"]
VERDICTS: tuple[Verdict, ...] = ("not checked", "pass", "kink", "unresolvable", "fail")  # from best to worst
NOT_CHECKED, PASS, KINK, UNRESOLVABLE, FAIL = range(5)

PASS_ERROR = 1e-7  # relative; up to it two gradients are the same
FAIL_ERROR = 1e-4  # relative; a tensor that is worse only through rounding has not been seen well enough
FLOOR = 100.0  # times the rounding error of a numerical derivative: what is smaller cannot be told from nothing
SCALES = (1e4, 1e3, 1e2, 1e1, 1.0, 1e-1, 1e-2)  # of the h sweep, times the usual step
USUAL = SCALES.index(1.0)
AT_POINT = 1e-6  # of the usual step: a decision that differs here lies at the point itself


def relative_error(analytic: Array, numeric: Array) -> Array:
    """|a − n| / max(|a|, |n|) entry by entry; 0 where both are 0."""
    size = np.maximum(np.abs(analytic), np.abs(numeric))
    with np.errstate(all="ignore"):
        return np.where(size == 0, 0.0, np.abs(analytic - numeric) / size)


def tensor_error(analytic: Array, numeric: Array) -> float:
    """‖a − n‖ / (‖a‖ + ‖n‖); NaN without entries or where all are 0."""
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(analytic) + np.linalg.norm(numeric))
        return float(np.linalg.norm(analytic - numeric)) / size if size else float("nan")


def first_look(analytic: Array, numeric: Array, doubt: Array) -> Array:
    """The status of each entry at the usual h; FAIL here means: to be looked at again. `doubt`: rounding error of n.

    Zero against zero passes as an entry (a ReLU that is off has that gradient), but carries no tensor: see `gradcheck`.
    """
    size = np.maximum(np.abs(analytic), np.abs(numeric))
    with np.errstate(all="ignore"):
        gap = np.abs(analytic - numeric)
        status = np.where(gap <= PASS_ERROR * size + doubt, PASS, FAIL)
    status[size < FLOOR * doubt] = UNRESOLVABLE
    status[(gap <= PASS_ERROR * size) & ((size >= FLOOR * doubt) | (size == 0))] = PASS
    status[~np.isfinite(numeric)] = UNRESOLVABLE
    status[~np.isfinite(analytic)] = FAIL
    return status


@dataclass
class Sweep:
    """Changes of the loss for E entries and the S steps of SCALES, all (E, S); h_up > 0 > h_down."""

    up: Array
    down: Array
    h_up: Array
    h_down: Array
    flipped: Array  # not to be used: a decision (mask, argmax, side) differs from the one at the point, or too far out
    at_point: Array  # (E,), how many decisions differ at a millionth of the usual step
    noise: float  # rounding error of the loss

    @property
    def central(self) -> Array:
        """(L(θ + h) − L(θ − h)) / 2h."""
        return np.asarray((self.up - self.down) / (self.h_up - self.h_down))

    @property
    def doubt(self) -> Array:
        """Rounding error of `central`."""
        return 4 * self.noise / self.h_up

    @property
    def tame(self) -> Array:
        """Where L(θ + h) + L(θ − h) − 2L shrinks with h², as it does where h is small against the loss's own shape.

        Far out in saturation L stands still: both its sides and their difference say nothing of the slope at θ.
        """
        bend = self.up + self.down
        tame = np.ones(bend.shape, bool)
        expected = bend[:, :-1] / 100
        tame[:, :-1] = np.abs(bend[:, 1:] - expected) <= 0.5 * np.abs(expected) + 8 * self.noise
        return tame


@dataclass
class Settled:
    """What a sweep says of E entries: status, the best numerical derivative, and the two one-sided slopes."""

    status: Array
    numeric: Array
    left: Array
    right: Array


@np.errstate(all="ignore")
def settle(analytic: Array, sweep: Sweep) -> Settled:
    """Decide E entries by how their numerical derivative behaves when h changes.

    The best h is the one whose derivative is surest: least (change to the neighbouring h + rounding), among those that
    crossed no kink. Larger steps than the usual one count only where the usual ones drown in rounding.
    """
    central, usable, tame = sweep.central, ~sweep.flipped & np.isfinite(sweep.central), sweep.tame
    doubt = _uncertainty(central, usable, sweep.doubt)
    doubt[:, :USUAL][~tame[:, :USUAL]] = np.inf
    best = USUAL + np.argmin(doubt[:, USUAL:], axis=1)
    row = np.arange(len(analytic))
    drowned = ~(doubt[row, best] <= FAIL_ERROR * np.maximum(np.abs(analytic), np.abs(central[row, best])))
    drowned &= usable[:, USUAL:].any(axis=1)
    best = np.where(drowned, np.argmin(doubt, axis=1), best)
    numeric, u = central[row, best], doubt[row, best]

    size = np.maximum(np.abs(analytic), np.abs(numeric))
    gap = np.abs(analytic - numeric)
    right, left = sweep.up / sweep.h_up, sweep.down / sweep.h_down
    between = _between(analytic, left[row, best], right[row, best], 2 * sweep.doubt[row, best])
    status = np.full(len(analytic), UNRESOLVABLE)
    sure = tame[row, best] & (
        (best >= USUAL) | (u * FLOOR <= np.abs(numeric))
    )  # far out, standing still proves nothing
    status[(gap > 10 * u) & (gap > PASS_ERROR * size) & ~between & sure] = FAIL
    status[between & _jumps(left, right, sweep.doubt, usable)] = KINK
    status[(gap <= PASS_ERROR * size + 2 * u) & (u * FLOOR <= size)] = PASS
    _settle_kinks(status, analytic, left, right, sweep, np.asarray(~usable[:, USUAL:].any(axis=1)))
    status[~np.isfinite(analytic)] = FAIL
    decided = (status == PASS) | (status == FAIL) & usable[row, best]
    return Settled(status, np.where(decided, numeric, central[:, USUAL]), left[:, USUAL], right[:, USUAL])


def _uncertainty(central: Array, usable: Array, rounding: Array) -> Array:
    """How sure each derivative is: the change to its nearer neighbour in h, plus rounding; infinite across a kink.

    A change to the next smaller h that is more than rounding is the truncation error, whatever the larger h says.
    """
    change = np.abs(np.diff(central, axis=1))
    change[~(usable[:, 1:] & usable[:, :-1])] = np.inf
    edge = np.full((len(central), 1), np.inf)
    smaller, larger = np.hstack([change, edge]), np.hstack([edge, change])
    real = np.isfinite(change) & (change > 2 * (rounding[:, 1:] + rounding[:, :-1]))
    larger[:, :-1][real] = np.inf
    nearer = np.minimum(smaller, larger)
    nearer[np.isinf(nearer)] = 0.0  # alone between kinks: rounding is all that is known
    return np.where(usable, nearer + rounding, np.inf)


def _between(value: Array, one: Array, other: Array, slack: Array) -> Array:
    """Whether a value lies between two others, or off by no more than the slack."""
    return np.asarray((value >= np.minimum(one, other) - slack) & (value <= np.maximum(one, other) + slack))


def _jumps(left: Array, right: Array, rounding: Array, usable: Array) -> Array:
    """Where D₊ − D₋ stays when h shrinks tenfold: a kink in a layer that says nothing of its decisions.

    Where the loss is smooth, D₊ − D₋ = h·L″ shrinks with h.
    """
    jump = np.abs(right - left)
    wide, near = jump[:, USUAL], jump[:, USUAL + 1]
    both = usable[:, USUAL] & usable[:, USUAL + 1]
    return np.asarray(both & (near > 0.3 * wide) & (near > 20 * rounding[:, USUAL + 1]))


def _settle_kinks(status: Array, analytic: Array, left: Array, right: Array, sweep: Sweep, kinked: Array) -> None:
    """Where decisions differ at every small h: an analytic value between the one-sided slopes is accepted.

    One outside them is wrong where a single decision hangs on the point itself. Where several do (two samples, or two
    units) each may take its own side, and where they only lie nearby, neither slope is the one at the point.
    """
    low, high = np.full(len(status), np.inf), np.full(len(status), -np.inf)
    for k in range(USUAL, len(SCALES)):
        size = np.maximum(np.abs(left[:, k]), np.abs(right[:, k]))
        slack = 2 * sweep.doubt[:, k] + FAIL_ERROR * size
        clear = FLOOR * sweep.doubt[:, k] <= np.maximum(size, np.abs(analytic))
        low = np.where(clear, np.fmin(low, np.minimum(left[:, k], right[:, k]) - slack), low)
        high = np.where(clear, np.fmax(high, np.maximum(left[:, k], right[:, k]) + slack), high)
    seen = kinked & np.isfinite(low) & np.isfinite(high)
    inside = (analytic >= low) & (analytic <= high)
    status[kinked] = UNRESOLVABLE
    status[seen & inside] = KINK
    status[seen & ~inside & (sweep.at_point == 1)] = FAIL
