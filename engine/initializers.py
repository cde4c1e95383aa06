"""How the first values of a parameter are drawn. fan_in and fan_out are the inputs and outputs one unit sees."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import KindSpec, members

Distribution = Annotated[
    Literal["normal", "uniform"], Meta(title="drawn from", description="Normal, or uniform with the same variance")
]
Scale = Annotated[float, Meta(ge=0.0, le=1e6)]


class Initializer(KindSpec, frozen=True, kw_only=True):
    """A rule for first values."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """First values, float64, of `shape`."""
        raise NotImplementedError


def _with_std(rng: np.random.Generator, shape: tuple[int, ...], std: float, distribution: str) -> NDArray[Any]:
    """Values of mean 0 and standard deviation `std`: normal, or uniform on ±std·√3."""
    if distribution == "normal":
        return rng.standard_normal(shape) * std
    return rng.uniform(-1.0, 1.0, shape) * (std * sqrt(3.0))


class He(Initializer, frozen=True, kw_only=True):
    """std = √(2 / fan_in), for ReLU (He et al. 2015)."""

    distribution: Distribution = "normal"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """std = √(2 / fan_in)."""
        return _with_std(rng, shape, sqrt(2.0 / fan_in), self.distribution)


class Xavier(Initializer, frozen=True, kw_only=True):
    """std = √(2 / (fan_in + fan_out)), for tanh and sigmoid (Glorot and Bengio 2010)."""

    distribution: Distribution = "uniform"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """std = √(2 / (fan_in + fan_out))."""
        return _with_std(rng, shape, sqrt(2.0 / (fan_in + fan_out)), self.distribution)


class Normal(Initializer, frozen=True, kw_only=True):
    """Normal with a given mean and standard deviation."""

    std: Annotated[Scale, Meta(title="std", description="Standard deviation")] = 0.01
    mean: Annotated[float, Meta(ge=-1e6, le=1e6, title="mean")] = 0.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """mean + std·N(0, 1)."""
        return self.mean + self.std * rng.standard_normal(shape)


class Uniform(Initializer, frozen=True, kw_only=True):
    """Uniform on ±limit."""

    limit: Annotated[Scale, Meta(title="limit", description="Values lie between −limit and +limit")] = 0.01

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """U(−limit, limit)."""
        return rng.uniform(-1.0, 1.0, shape) * self.limit


class Zeros(Initializer, frozen=True, kw_only=True):
    """All zero."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """0."""
        return np.zeros(shape)


class Constant(Initializer, frozen=True, kw_only=True):
    """Every entry the same value."""

    value: Annotated[float, Meta(ge=-1e6, le=1e6, title="value")] = 0.5

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """value."""
        return np.full(shape, self.value)


if TYPE_CHECKING:
    AnyInitializer = Initializer
else:
    AnyInitializer = Union[members(Initializer)]
