"""Data made on the spot from a seed: points in the plane in classes, and numbers with labels drawn by lot."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from msgspec import Meta

from engine.datasets.base import DataSpec, Validation
from engine.datasets.pictures import numbered
from engine.datasets.samples import Array, Samples
from engine.spec import RecipeError

Count = Annotated[int, Meta(ge=2, le=1_000_000, title="samples", description="How many samples to make")]
Noise = Annotated[float, Meta(ge=0.0, le=10.0, title="noise", description="Standard deviation of the scatter")]
OwnSeed = (
    Annotated[int, Meta(ge=0, le=2**53, title="own seed", description="Draws the samples instead of the run's seed")]
    | None
)


class GeneratedSpec(DataSpec, frozen=True, kw_only=True):
    """Samples made on the spot, from the recipe's seed or from their own."""

    samples: Count = 400
    seed: OwnSeed = None

    def stream(self, rng: np.random.Generator) -> np.random.Generator:
        """Where the samples are drawn from: `rng`, or a stream of their own seed."""
        return rng if self.seed is None else np.random.Generator(np.random.PCG64(self.seed))


class PointSpec(GeneratedSpec, frozen=True, kw_only=True):
    """Points in the plane in classes, made on the spot from the recipe's seed."""

    noise: Noise = 0.1
    imbalance: Annotated[
        float,
        Meta(ge=0.0, lt=1.0, title="imbalance", description="0: as many of each class; 0.9: each a tenth of the last"),
    ] = 0.0

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """x (N, 2) and labels (N,), without the noise."""
        raise NotImplementedError

    def deal(self, classes: int) -> Array:
        """Labels (N,): each class has (1 − imbalance) times as many samples as the one before it."""
        if not self.imbalance:
            return np.arange(self.samples) % classes
        weights = (1.0 - self.imbalance) ** np.arange(classes)
        ends = np.rint(np.cumsum(weights) / weights.sum() * self.samples).astype(np.intp)
        counts = np.diff(ends, prepend=0)
        if not counts.all():
            raise RecipeError(
                f"data.imbalance: {self.imbalance:g} leaves no sample for class {int(counts.argmin())}; "
                "lower it, or make more samples"
            )
        return np.repeat(np.arange(classes), counts)

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, 2) with noise, in random order."""
        rng = self.stream(rng)
        x, labels = self.points(rng)
        x = x + rng.normal(0.0, 1.0, x.shape) * self.noise
        order = rng.permutation(len(x))
        return Samples(x[order], labels[order], numbered(int(labels.max()) + 1))


class Xor(PointSpec, frozen=True, kw_only=True):
    """Four corners of a square; the class is whether the signs of the two coordinates differ."""

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Corners (±1, ±1) in turn."""
        if self.imbalance:
            labels = self.deal(2)
            turn = np.arange(self.samples) % 2
            corner = np.where(labels == 0, 3 * turn, 1 + turn)
        else:
            corner = np.arange(self.samples) % 4
        x = np.stack([corner % 2, corner // 2], axis=1) * 2.0 - 1.0
        return x, (corner % 2) ^ (corner // 2)


class Circles(PointSpec, frozen=True, kw_only=True):
    """A disc of radius 0.5 inside a ring from 0.7 to 1."""

    noise: Noise = 0.0

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Uniform in radius and angle."""
        labels = self.deal(2)
        radius = np.where(labels == 0, rng.uniform(0.0, 0.5, self.samples), rng.uniform(0.7, 1.0, self.samples))
        angle = rng.uniform(0.0, 2 * np.pi, self.samples)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels


class Moons(PointSpec, frozen=True, kw_only=True):
    """Two interleaved half circles."""

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Half circles of radius 1 around (−½, −¼) and (½, ¼)."""
        labels = self.deal(2)
        angle = rng.uniform(0.0, np.pi, self.samples)
        upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
        return np.where(labels[:, None] == 0, upper, -upper), labels


class Spirals(PointSpec, frozen=True, kw_only=True):
    """Arms of a spiral, one a class."""

    classes: Annotated[int, Meta(ge=2, le=10, title="arms", description="Number of classes")] = 3
    turns: Annotated[float, Meta(ge=0.1, le=4.0, title="turns", description="How far each arm winds")] = 0.65
    samples: Count = 450
    noise: Noise = 0.03

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Radius grows with the angle."""
        labels = self.deal(self.classes)
        along = rng.uniform(0.05, 1.0, self.samples)
        angle = 2 * np.pi * (self.turns * along + labels / self.classes)
        return np.stack([along * np.cos(angle), along * np.sin(angle)], axis=1), labels


class Blobs(PointSpec, frozen=True, kw_only=True):
    """Round clouds, one a class, on a circle."""

    classes: Annotated[int, Meta(ge=2, le=10, title="clouds", description="Number of classes")] = 3
    noise: Noise = 0.25

    def points(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Each class's centre on the unit circle."""
        labels = self.deal(self.classes)
        angle = 2 * np.pi * labels / self.classes
        return np.stack([np.cos(angle), np.sin(angle)], axis=1), labels


class RandomLabels(GeneratedSpec, frozen=True, kw_only=True):
    """Whole numbers with labels drawn by lot: nothing to understand, only to learn by heart."""

    samples: Count = 64
    features: Annotated[int, Meta(ge=1, le=10_000, title="features", description="Numbers a sample")] = 5
    classes: Annotated[int, Meta(ge=2, le=100, title="classes", description="Number of classes")] = 3
    low: Annotated[int, Meta(ge=-1_000_000, le=1_000_000, title="from", description="Smallest number")] = 3
    high: Annotated[int, Meta(ge=-1_000_000, le=1_000_000, title="to", description="Largest number")] = 9
    validation: Validation = 0.0

    def read(self, rng: np.random.Generator) -> Samples:
        """x (N, features) of whole numbers from low to high, labels (N,)."""
        if self.high <= self.low:
            raise RecipeError(f"data.high: {self.high} is not above data.low, {self.low}; raise it")
        rng = self.stream(rng)
        x = rng.integers(self.low, self.high, (self.samples, self.features), endpoint=True).astype(np.float64)
        return Samples(x, rng.integers(0, self.classes, self.samples), numbered(self.classes))
