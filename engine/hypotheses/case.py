"""A case: a subject at one point, with what backward says and what forward's differences say."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np

from engine.generators import SEED, seed_globals
from engine.numeric import Landscape
from engine.opaque import OpaqueLandscape
from engine.subject import INPUT, Array, Subject
from engine.tensorcheck import TensorCheck, TensorReport
from engine.verdicts import FAIL_ERROR, UNRESOLVABLE, relative_error

ENTRIES = 600  # of a tensor, at most
CLOSE = 1e-5  # relative to the norm: two gradients are the same
LINE = 1e-3  # relative: a difference of two gradients is a multiple of something; it has fewer digits than they


def same(one: Array, other: Array, known: Array | None = None, tolerance: float = CLOSE) -> bool:
    """Whether two arrays agree by their norms, on the known entries where told; never without an entry but 0."""
    if one.shape != other.shape:
        return False
    if known is not None:
        one, other = one[known], other[known]
    size = max(_norm(one), _norm(other))
    return bool(np.isfinite(size)) and size > 0 and _norm(one - other) <= tolerance * size


def exactly(one: Array, other: Array) -> bool:
    """Whether two runs of the same code gave the same but for rounding; all zeros are the same too."""
    if one.shape != other.shape:
        return False
    size = max(_norm(one), _norm(other))
    return np.array_equal(one, other, equal_nan=True) or bool(_norm(one - other) <= 1e-9 * size)


def multiple(one: Array, other: Array, tolerance: float = LINE) -> float | None:
    """k where one = k·other, both 1-D with at least three entries and not constant 0; None where it is not."""
    if len(one) < 3 or not np.isfinite(one).all():
        return None
    square = float(np.dot(other, other))
    if square == 0 or not one.any():
        return None
    k = float(np.dot(one, other)) / square
    return k if k and _norm(one - k * other) <= tolerance * _norm(one) else None


def _norm(array: Array) -> float:
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


@dataclass
class Run:
    """One forward and backward on a copy: gradients by role, and which arrays of the caller's they changed."""

    y: Array
    gradients: dict[str, Array]
    changed: tuple[str, ...] = ()
    seen: dict[str, float] = field(default_factory=dict)  # how far each of them was changed


@dataclass
class Case:
    """A subject at x (B, *in), its targets, and the seed of everything drawn."""

    subject: Subject
    x: Array
    targets: Array | None
    seed: int

    @cached_property
    def rng(self) -> np.random.Generator:
        """Where the case draws its own numbers."""
        return np.random.Generator(np.random.PCG64([self.seed, len(self.x), 7]))

    @cached_property
    def land(self) -> OpaqueLandscape:
        """L around the point, by forward alone."""
        return OpaqueLandscape(self.subject, self.x, self.targets, self.rng)

    @property
    def batch(self) -> int:
        """B."""
        return len(self.x)

    @property
    def y(self) -> Array:
        """The output here."""
        return self.land.y

    @property
    def grad_y(self) -> Array:
        """The upstream gradient, normal numbers; ones for a loss."""
        return self.land.grad_y

    @cached_property
    def run(self) -> Run:
        """The gradients that backward gives here, on a fresh copy."""
        return self.fresh(self.x, self.targets, self.grad_y)

    @cached_property
    def analytic(self) -> dict[str, Array]:
        """Gradients by role, of the tensors that can be moved; the shape is mended where only ones are added to it."""
        found = {}
        for role, gradient in self.run.gradients.items():
            if role in self.land.tensors:
                found[role] = mended(np.asarray(gradient, np.float64), self.land.tensors[role].shape)
        return found

    def fresh(self, x: Array, targets: Array | None, grad_y: Array) -> Run:
        """Forward and backward on a fresh copy, the generators of own code seeded as everywhere."""
        copy = self.subject.copy()
        given_x, given_g = x.copy(), grad_y.copy()
        before = {role: value.copy() for role, value in copy.parameters.items()}
        seed_globals(SEED)
        y = np.array(copy.forward(given_x, targets), np.float64)
        seen = {} if np.array_equal(given_x, x, equal_nan=True) else {INPUT: float(np.abs(given_x - x).max())}
        gradients = {role: np.array(value) for role, value in copy.backward(given_g).items()}
        if not seen and not np.array_equal(given_x, x, equal_nan=True):
            seen[INPUT] = float(np.abs(given_x - x).max())
        if not np.array_equal(given_g, grad_y, equal_nan=True) and not _is_result(given_g, gradients.get(INPUT)):
            seen["grad_y"] = float(np.abs(given_g - grad_y).max())
        if self.subject.form not in (2, 3):  # those update themselves
            for role, value in before.items():
                if not np.array_equal(copy.parameters[role], value, equal_nan=True):
                    seen[role] = float(np.abs(copy.parameters[role] - value).max())
        return Run(y, gradients, tuple(seen), seen)

    # --- verdicts ---------------------------------------------------------------------------------

    def judge(self, role: str) -> TensorReport:
        """The verdict of one tensor, every entry checked, or some where there are very many."""
        land, analytic = self.land, self.analytic[role]
        size = land.tensors[role].size
        entries = np.arange(size) if size <= ENTRIES else self._some(role)
        rng = None if size <= ENTRIES else self.rng
        check = TensorCheck(cast(Landscape, land), role, analytic, entries, rng)
        return finished(check.slices())

    def _some(self, role: str) -> Array:
        """Some entries; of a square matrix with their mirror images."""
        tensor = self.land.tensors[role]
        drawn = np.sort(self.rng.choice(tensor.size, ENTRIES // 2, replace=False))
        if tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1]:
            rows, columns = np.divmod(drawn, tensor.shape[1])
            drawn = np.union1d(drawn, columns * tensor.shape[1] + rows)
        return np.asarray(drawn)

    def agrees(self, role: str) -> bool:
        """Whether one random direction's slope agrees, for two forwards; False says nothing."""
        tensor, analytic = self.land.tensors[role], self.analytic[role]
        if analytic.shape != tensor.shape:
            return False
        direction = self.rng.standard_normal(tensor.shape)
        h = 1e-6 * max(1.0, float(np.abs(tensor).max(initial=0.0)))
        (up, down), _ = self.land.probe_along(role, direction, np.array([h, -h]))
        slope, wanted = np.array((up - down) / (2 * h)), np.array(np.sum(analytic * direction))
        return bool(relative_error(wanted, slope) < FAIL_ERROR)

    def gap(self, role: str, report: TensorReport) -> Gap:
        """A failing tensor, ready for hypotheses."""
        if report.analytic.shape != report.numeric.shape:
            numeric = self.numeric(role)
            return Gap(self, role, report.analytic, numeric, np.isfinite(numeric))
        jumps = self.land.jumps.get(role, np.zeros(report.numeric.size)).reshape(report.numeric.shape)
        smooth = jumps <= 1e-3 * np.abs(report.numeric) + 1e-6 * np.nanmax(np.abs(report.numeric), initial=0.0)
        numeric = report.numeric
        known = np.isfinite(numeric) & smooth & (report.status != UNRESOLVABLE) | (numeric == 0)
        return Gap(self, role, report.analytic, numeric, known)

    def numeric(self, role: str, targets: Array | None = None) -> Array:
        """Central differences of every entry of a tensor, with other targets where told."""
        tensor, land = self.land.tensors[role], self.land
        if targets is not None:
            land = OpaqueLandscape(self.subject, self.x, targets, np.random.Generator(np.random.PCG64(0)))
            land.grad_y = self.grad_y
        return land.central(role, np.arange(tensor.size)).reshape(tensor.shape)

    def another(self, batch: int) -> Case:
        """The same subject at other inputs, another number of them."""
        x, targets = self.subject.draw(np.random.Generator(np.random.PCG64([self.seed, batch])), batch)
        return Case(self.subject, np.array(x), targets, self.seed)

    # --- how forward behaves ----------------------------------------------------------------------

    @cached_property
    def elementwise(self) -> bool:
        """Whether y[i] hangs on x[i] alone, whatever the entry."""
        if self.subject.family != "layer" or self.y.shape != self.x.shape or self.x.size < 2:
            return False
        for _ in range(2):
            moved = self.rng.random(self.x.shape) < 0.5
            y = self.land.forward.at(np.where(moved, self.x + 0.1 * self.rng.standard_normal(self.x.shape), self.x))
            if not np.array_equal(y[~moved], self.y[~moved]):
                return False
        return True

    @cached_property
    def mixes(self) -> bool:
        """Whether a sample's output hangs on other samples, as in batch norm."""
        if self.subject.family != "layer" or self.batch < 2 or len(self.y) != self.batch:
            return False
        moved = self.x.copy()
        moved[self.batch // 2 :] += self.rng.standard_normal(moved[self.batch // 2 :].shape)
        kept = slice(0, self.batch // 2)
        return not same(self.land.forward.at(moved)[kept], self.y[kept], None, 1e-12) and bool(self.y[kept].any())

    def slopes_at(self, z: Array) -> Array:
        """f′ at any z (B, *in) of an elementwise forward, by central differences."""
        h = 1e-6 * np.maximum(1.0, np.abs(z))
        up, down = z + h, z - h
        return np.asarray((self.land.forward.at(up) - self.land.forward.at(down)) / (up - down))


def mended(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient in its tensor's shape where the two differ only by axes of one entry."""
    if gradient.shape != shape and [n for n in gradient.shape if n != 1] == [n for n in shape if n != 1]:
        return gradient.reshape(shape)
    return gradient


def _is_result(given: Array, result: Array | None) -> bool:
    """Whether what was handed over is what came back: its author made the gradient in place."""
    return result is not None and result.shape == given.shape and np.array_equal(given, result, equal_nan=True)


def finished(slices: Generator[int, None, TensorReport]) -> TensorReport:
    """What a generator of slices returns in the end."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            return cast(TensorReport, end.value)


@dataclass
class Gap:
    """One failing tensor of a case: what backward says (any shape), and the numerical derivatives with what is known.

    `known` leaves out what lies on kinks or drowns in rounding.
    """

    case: Case
    role: str
    a: Array
    n: Array
    known: Array

    @property
    def shaped(self) -> bool:
        """Whether the gradient has its tensor's shape."""
        return self.a.shape == self.n.shape

    @property
    def theta(self) -> Array:
        """The tensor itself."""
        return self.case.land.tensors[self.role]

    @cached_property
    def difference(self) -> Array:
        """a − n, 1-D, of the known entries."""
        return np.asarray((self.a - self.n)[self.known])

    def is_(self, predicted: Array) -> bool:
        """Whether the gradient is what a bug predicts, and that is not simply the right one."""
        if not self.shaped or predicted.shape != self.n.shape:
            return False
        return same(self.a, predicted, self.known) and not same(predicted, self.n, self.known, LINE)

    @cached_property
    def factor(self) -> float | None:
        """c where a = c·n; None where it is not."""
        if not self.shaped or not self.known.any():
            return None
        a, n = self.a[self.known], self.n[self.known]
        square = float(np.dot(n, n))
        if not square or not np.isfinite(a).all():
            return None
        c = float(np.dot(a, n)) / square
        return c if c and _norm(a - c * n) <= CLOSE * _norm(a) else None


Evidence = dict[str, Any]
