"""Curves to learn by regression: one number in, one number out, made on the spot from a seed."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.datasets.points import Count, GeneratedSpec, Noise
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

End = Annotated[float, Meta(ge=-1e6, le=1e6)]


class CurveSpec(GeneratedSpec, frozen=True, kw_only=True):
    """Points on a curve, x uniform between two ends; noise is added to the values."""

    samples: Count = 200
    noise: Noise = 0.05
    low: Annotated[End, Meta(title="from", description="Smallest x")] = -1.0
    high: Annotated[End, Meta(title="to", description="Largest x")] = 1.0

    def curve(self, x: Array) -> Array:
        """The value at each x, (N, 1) → (N, 1), without the noise."""
        raise NotImplementedError

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, 1) and values (N, 1); no labels."""
        if self.high <= self.low:
            raise RecipeError(f"data.high: {self.high:g} is not above data.low, {self.low:g}; raise it")
        rng = self.stream(rng)
        x = rng.uniform(self.low, self.high, (self.samples, 1))
        values = self.curve(x) + rng.normal(0.0, 1.0, x.shape) * self.noise
        return Samples(x, None, (), values=values, columns=("x",))


class Sine(CurveSpec, frozen=True, kw_only=True):
    """sin(2π·cycles·x)."""

    cycles: Annotated[float, Meta(ge=0.01, le=100.0, title="cycles", description="Full waves for each unit of x")] = 1.0

    def curve(self, x: Array) -> Array:
        """sin(2π·cycles·x)."""
        return np.asarray(np.sin(2 * np.pi * self.cycles * x))


class Polynomial(CurveSpec, frozen=True, kw_only=True):
    """c₀ + c₁x + c₂x² + … for given coefficients."""

    coefficients: Annotated[
        tuple[Annotated[float, Meta(ge=-1e6, le=1e6)], ...],
        Meta(min_length=1, max_length=20, title="coefficients", description="Of 1, x, x², …"),
    ] = (0.0, -1.0, 0.0, 2.0)

    def curve(self, x: Array) -> Array:
        """Σ c_k x^k, by Horner's rule."""
        return np.asarray(np.polynomial.polynomial.polyval(x, self.coefficients))


class Step(CurveSpec, frozen=True, kw_only=True):
    """0 to the left of a place, 1 from there on."""

    at: Annotated[End, Meta(title="at", description="Where the value jumps")] = 0.0

    def curve(self, x: Array) -> Array:
        """1 where x ≥ at, else 0."""
        return np.where(x >= self.at, 1.0, 0.0)
