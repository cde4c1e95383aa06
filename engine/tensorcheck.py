"""The check of one tensor: numerical derivatives of its entries, a second look at doubtful ones, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engine.differences import Central
from engine.layers.base import Array
from engine.numeric import STEP, Landscape
from engine.verdicts import (
    AT_POINT,
    FAIL,
    FAIL_ERROR,
    FLOOR,
    KINK,
    NOT_CHECKED,
    PASS,
    PASS_ERROR,
    SCALES,
    UNRESOLVABLE,
    VERDICTS,
    Settled,
    Sweep,
    Verdict,
    first_look,
    relative_error,
    settle,
    tensor_error,
)

LOOKED_AT_AGAIN = 32  # largest entries of a tensor that rounding hides at the usual h


class Kink(NamedTuple):
    """An entry on a kink: its index and the slopes on either side, between which the analytic value lies."""

    at: tuple[int, ...]
    left: float
    right: float


@dataclass(frozen=True)
class TensorReport:
    """The check of one tensor. Arrays have its shape, float64; what was not checked is NaN in `numeric`."""

    address: str
    verdict: Verdict
    note: str  # one sentence for people
    error: float  # ‖a − n‖ / (‖a‖ + ‖n‖) over the entries that can be told from rounding; NaN where there are none
    analytic: Array
    numeric: Array  # central differences at the usual h; for entries the h sweep had to settle, its best derivative
    status: Array  # int8, per entry an index into VERDICTS
    kinks: tuple[Kink, ...] = ()
    projection: tuple[float, float] | None = None  # analytic and numerical slope along one random direction

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many entries have each verdict."""
        found = np.bincount(self.status.reshape(-1), minlength=len(VERDICTS))
        return dict(zip(VERDICTS, found.tolist(), strict=True))

    @property
    def unresolvable(self) -> int:
        """How many checked entries cannot be told from rounding."""
        return self.counts["unresolvable"]

    @property
    def entry_error(self) -> Array:
        """|a − n| / max(|a|, |n|) per entry; NaN where not checked or unresolvable."""
        if self.analytic.shape != self.numeric.shape:
            return np.full(self.numeric.shape, np.nan)
        seen = (self.status == PASS) | (self.status == FAIL)
        return np.where(seen, relative_error(self.analytic, self.numeric), np.nan)


Probe = Callable[[Array], tuple[Array, Array]]  # changes of the loss and flipped decisions for steps (P,)


def as_sweep(
    up: tuple[Array, Array], down: tuple[Array, Array], h_up: Array, h_down: Array, reach: float, noise: float
) -> Sweep:
    """Changes and flips on either side for steps (E, S + 1), of which the last is the one at the point."""
    shape = h_up.shape
    changes = [side[0].reshape(shape)[:, :-1] for side in (up, down)]
    flips = (up[1] + down[1]).reshape(shape)
    steps = h_up[:, :-1], h_down[:, :-1]
    too_far = (steps[0] > reach) & (np.array(SCALES) > 1)
    crossed = (flips[:, :-1] > 0) | too_far
    return Sweep(changes[0], changes[1], *steps, crossed, flips[:, -1], noise)


def settle_along(analytic: Array, probe: Probe, h: float, reach: float, noise: float) -> Settled:
    """Decide the slope (1,) along one direction by its h sweep; the usual step is `h`."""
    steps = h * np.array([(*SCALES, AT_POINT)])
    sweep = as_sweep(probe(steps[0]), probe(-steps[0]), steps, -steps, reach, noise)
    return settle(analytic, sweep)


class TensorCheck:
    """The check of some entries (flat indices) of one tensor; where `rng` is given, of one random direction too."""

    def __init__(
        self,
        land: Landscape,
        address: str,
        analytic: Array,
        entries: Array,
        rng: np.random.Generator | None,
        difference: Central | None = None,
    ) -> None:
        self.difference = difference or Central(land)
        self.land, self.address, self.analytic, self.entries, self.rng = land, address, analytic, entries, rng
        shape = land.tensors[address].shape
        self.numeric, self.status = np.full(shape, np.nan), np.full(shape, NOT_CHECKED, np.int8)
        self.flat_a, self.flat_n = self.analytic.reshape(-1), self.numeric.reshape(-1)
        self.flat_status = self.status.reshape(-1)
        self.kinks: list[Kink] = []
        self.projection: tuple[float, float] | None = None

    def slices(self) -> Generator[int, None, TensorReport]:
        """Central differences, what they look like, and a second look at whatever is in doubt.

        Yields how many entries have been done since the last time; returns the report.
        """
        if self.analytic.shape != self.numeric.shape:
            return self._misshapen()
        if not np.isfinite(self.land.loss):
            self.flat_status[self.entries] = UNRESOLVABLE
            return self._report(UNRESOLVABLE, f"the loss itself is {self.land.loss}: there is no slope to compare with")
        if len(self.entries):
            yield from self._central()
            yield from self._second_look()
        return self._judged(PASS if self.rng is None else self._directed(self.rng))

    def _central(self) -> Iterator[int]:
        """Numerical derivatives of all chosen entries, and a first status for each."""
        size = self.land.chunk(self.address)
        for start in range(0, len(self.entries), size):
            part = self.entries[start : start + size]
            self.flat_n[part] = self.difference.slopes(self.address, part)
            yield len(part)
        a, n = self.flat_a[self.entries], self.flat_n[self.entries]
        self.flat_status[self.entries] = first_look(a, n, self.difference.doubt(self.address, self.entries, n))

    # --- a second look ----------------------------------------------------------------------------

    def _second_look(self) -> Iterator[int]:
        """Settle what seems to fail by the h sweep, and the largest entries of a tensor too small for the usual h."""
        suspects = self.entries[self.flat_status[self.entries] == FAIL]
        gap = np.nan_to_num(np.abs(self.flat_a[suspects] - self.flat_n[suspects]), nan=np.inf)
        suspects = suspects[np.argsort(-gap, kind="stable")]
        each = 2 * len(SCALES) * self.land.batch * self.land.widest(self.address)
        size = int(np.clip((1 << 20) // each, 1, 64))
        for start in range(0, len(suspects), size):
            part = suspects[start : start + size]
            self._settle(part)
            yield 0
            if (self.flat_status[part] == FAIL).any():
                return  # an error is certain; the rest stays as the first look has it
        if not self._seen_well():
            largest = self._hide_the_dim()
            for start in range(0, len(largest), size):
                self._settle(largest[start : start + size])
                yield 0

    def _hide_the_dim(self) -> Array:
        """Entries that agree only because rounding allows much become unresolvable; the largest, to be settled."""
        status, a, n = (flat[self.entries] for flat in (self.flat_status, self.flat_a, self.flat_n))
        status[(status == PASS) & (relative_error(a, n) > FAIL_ERROR)] = UNRESOLVABLE
        self.flat_status[self.entries] = status
        size = np.fmax(np.abs(a), np.abs(n))
        open_ones = np.flatnonzero((status == UNRESOLVABLE) & (size > 0))
        return np.asarray(self.entries[open_ones[np.argsort(-size[open_ones], kind="stable")[:LOOKED_AT_AGAIN]]])

    def _seen_well(self) -> bool:
        """Whether some entries stand out from rounding, and far enough."""
        return len(self._standing()) > 0 and self._error() <= FAIL_ERROR

    def _standing(self) -> Array:
        """The entries that count, flat indices: they pass or fail and are not 0 both ways."""
        status, a, n = (flat[self.entries] for flat in (self.flat_status, self.flat_a, self.flat_n))
        seen = (status == PASS) | (status == FAIL)
        return np.asarray(self.entries[seen & ((a != 0) | (n != 0))])

    def _error(self) -> float:
        standing = self._standing()
        return tensor_error(self.flat_a[standing], self.flat_n[standing])

    def _settle(self, entries: Array) -> None:
        """Decide some entries by their h sweep."""
        found = settle(self.flat_a[entries], self._sweep(entries))
        self.flat_status[entries] = found.status
        self.flat_n[entries] = found.numeric
        self._note_kinks(entries, found)

    def _note_kinks(self, entries: Array, found: Settled) -> None:
        for i in np.flatnonzero(found.status == KINK).tolist():
            index = tuple(int(v) for v in np.unravel_index(entries[i], self.numeric.shape))
            self.kinks.append(Kink(index, float(found.left[i]), float(found.right[i])))

    def _sweep(self, entries: Array) -> Sweep:
        """The losses on either side of each entry for every step of SCALES."""
        moves = [self.land.steps(self.address, entries, scale) for scale in (*SCALES, AT_POINT)]
        h_up, h_down = (np.stack(side, axis=1) for side in zip(*moves, strict=True))
        repeated = np.repeat(entries, h_up.shape[1])
        up = self.land.probe(self.address, repeated, h_up.reshape(-1))
        down = self.land.probe(self.address, repeated, h_down.reshape(-1))
        return as_sweep(up, down, h_up, h_down, self.land.reach(self.address), self.land.noise)

    # --- one random direction ---------------------------------------------------------------------

    @np.errstate(all="ignore")
    def _directed(self, rng: np.random.Generator) -> int:
        """The status of the slope along one random direction: two losses, and a sweep where they disagree."""
        tensor = self.land.tensors[self.address]
        direction = rng.standard_normal(tensor.shape)
        direction *= tensor.size**-0.25  # moves no unit far
        h = STEP * max(1.0, float(tensor.max()), -float(tensor.min()))
        analytic = np.array([np.vdot(self.analytic, direction)])
        slope = np.array([self.difference.along(self.address, direction, h)])
        self.projection = float(analytic[0]), float(slope[0])
        agree = relative_error(analytic, slope)[0] <= PASS_ERROR
        if agree and slope[0] and np.abs(slope[0]) >= FLOOR * self.difference.least(h):
            return PASS
        found = settle_along(
            analytic,
            lambda scales: self.land.probe_along(self.address, direction, scales),
            h,
            self.land.reach(self.address),
            self.land.noise,
        )
        self.projection = float(analytic[0]), float(found.numeric[0])
        return int(found.status[0])

    # --- verdicts ---------------------------------------------------------------------------------

    def _judged(self, directed: int) -> TensorReport:
        """The tensor's verdict from its entries' and its direction's."""
        counts = np.bincount(self.flat_status[self.entries], minlength=len(VERDICTS))
        if counts[FAIL] or directed == FAIL:
            return self._report(FAIL, self._why_failed(int(counts[FAIL])))
        if counts[KINK] or directed == KINK:
            return self._report(KINK, self._why_kink(int(counts[KINK])))
        if not len(self.entries):
            agrees = "the slope along a random direction agrees"
            return self._report(directed, agrees if directed == PASS else self._why_unresolvable())
        if not len(self._standing()):
            return self._report(UNRESOLVABLE, self._why_unresolvable())
        if self._error() > FAIL_ERROR:
            note = (
                f"the gradient is so small that rounding leaves {self._error():.0e} of doubt; nothing differs beyond it"
            )
            return self._report(UNRESOLVABLE, note)
        aside = f"; {counts[UNRESOLVABLE]:,} are too small to tell" if counts[UNRESOLVABLE] else ""
        return self._report(PASS, f"{counts[PASS]:,} of {len(self.entries):,} entries agree{aside}")

    def _report(self, status: int, note: str) -> TensorReport:
        if self.analytic.shape != self.numeric.shape:
            error = float("nan")
        elif len(self.entries):
            error = self._error()
        else:
            a, n = self.projection or (np.nan, np.nan)
            error = float(relative_error(np.array(a), np.array(n))) if a or n else float("nan")
        return TensorReport(
            self.address,
            VERDICTS[status],
            note,
            error,
            self.analytic,
            self.numeric,
            self.status,
            tuple(self.kinks),
            self.projection,
        )

    def _misshapen(self) -> TensorReport:
        """A gradient of another shape than its tensor's."""
        shape = self.numeric.shape
        return self._report(FAIL, f"the gradient has shape {self.analytic.shape}, but the tensor has {shape}")

    def _why_failed(self, count: int) -> str:
        infinite = int(np.count_nonzero(~np.isfinite(self.flat_a)))
        if infinite:
            return f"{infinite:,} entries of the analytic gradient are NaN or infinite, though the loss is finite"
        if not count and self.projection is not None:
            a, n = self.projection
            return f"along a random direction the analytic slope is {a:.6g}, the numerical one {n:.6g}"
        gap = np.where(self.flat_status == FAIL, np.abs(self.flat_a - self.flat_n), -1.0)
        worst = int(np.argmax(gap))
        index = ", ".join(str(int(i)) for i in np.unravel_index(worst, self.numeric.shape))
        a, n = self.flat_a[worst], self.flat_n[worst]
        return (
            f"{count:,} of {len(self.entries):,} entries differ, most at [{index}]: analytic {a:.6g}, numerical {n:.6g}"
        )

    def _why_kink(self, count: int) -> str:
        if not self.kinks:
            return "along a random direction the loss has a kink here; the analytic slope lies between its two sides"
        kink = self.kinks[0]
        index = ", ".join(map(str, kink.at))
        where = f"at [{index}] the slope is {kink.left + 0.0:.6g} on the left, {kink.right + 0.0:.6g} on the right"
        return f"{count:,} of {len(self.entries):,} entries lie on a kink: {where}; the analytic value is between them"

    def _why_unresolvable(self) -> str:
        known = self.flat_n[self.entries] if len(self.entries) else np.array(self.projection or (0.0, 0.0))
        if not known.any() and not self.flat_a.any():
            return "the loss does not react to this tensor and the gradient is 0: dead or saturated units show nothing"
        return "the gradient drowns in the rounding of the loss; take another mini-batch or less extreme weights"
