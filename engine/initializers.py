"""How the first values of a parameter are drawn. fan_in and fan_out are the inputs and outputs one unit sees."""

from __future__ import annotations

from math import isfinite, prod, sqrt
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import KindSpec, members

Distribution = Annotated[
    Literal["normal", "uniform"], Meta(title="drawn from", description="Normal, or uniform with the same variance")
]
Scale = Annotated[float, Meta(ge=0.0, le=1e6)]
Gain = Annotated[float, Meta(ge=0.0, le=1e6, title="gain", description="Times the standard deviation")]
Mean = Annotated[float, Meta(ge=-1e6, le=1e6, title="mean")]


class Initializer(KindSpec, frozen=True, kw_only=True):
    """A rule for first values."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """First values, float64, of `shape`."""
        raise NotImplementedError

    def check(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError, a problem and a cure, where there are no first values of this shape."""


def _with_std(rng: np.random.Generator, shape: tuple[int, ...], std: float, distribution: str) -> NDArray[Any]:
    """Values of mean 0 and standard deviation `std`: normal, or uniform on ±std·√3."""
    if distribution == "normal":
        return rng.standard_normal(shape) * std
    return rng.uniform(-1.0, 1.0, shape) * (std * sqrt(3.0))


class He(Initializer, frozen=True, kw_only=True):
    """std = gain·√(2 / fan_in), for ReLU (He et al. 2015; PyTorch's kaiming_normal_ and kaiming_uniform_)."""

    distribution: Distribution = "normal"
    gain: Gain = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """std = gain·√(2 / fan_in)."""
        return _with_std(rng, shape, self.gain * sqrt(2.0 / fan_in), self.distribution)


class Xavier(Initializer, frozen=True, kw_only=True):
    """std = gain·√(2 / (fan_in + fan_out)), for tanh and sigmoid (Glorot and Bengio 2010; PyTorch's xavier_…)."""

    distribution: Distribution = "uniform"
    gain: Gain = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """std = gain·√(2 / (fan_in + fan_out))."""
        return _with_std(rng, shape, self.gain * sqrt(2.0 / (fan_in + fan_out)), self.distribution)


class LeCun(Initializer, frozen=True, kw_only=True, tag="lecun"):
    """std = gain·√(1 / fan_in), for SELU (LeCun et al. 1998; not truncated, unlike Keras's lecun_normal)."""

    distribution: Distribution = "normal"
    gain: Gain = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """std = gain·√(1 / fan_in)."""
        return _with_std(rng, shape, self.gain * sqrt(1.0 / fan_in), self.distribution)


class Normal(Initializer, frozen=True, kw_only=True):
    """Normal with a given mean and standard deviation."""

    std: Annotated[Scale, Meta(title="std", description="Standard deviation")] = 0.01
    mean: Mean = 0.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """mean + std·N(0, 1)."""
        return self.mean + self.std * rng.standard_normal(shape)


class TruncatedNormal(Initializer, frozen=True, kw_only=True):
    """Normal, but what lies farther out than `cut` standard deviations is drawn again (Keras's TruncatedNormal, cut 2).

    PyTorch's trunc_normal_(mean, std, mean − cut·std, mean + cut·std). `std` is that of the normal before it is cut.
    """

    std: Annotated[Scale, Meta(title="std", description="Standard deviation before the cut")] = 0.01
    mean: Mean = 0.0
    cut: Annotated[
        float, Meta(ge=0.1, le=10.0, title="cut", description="Farthest a value lies out, in standard deviations")
    ] = 2.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """mean + std·N(0, 1), |N| ≤ cut."""
        values = rng.standard_normal(shape)
        while (outside := np.abs(values) > self.cut).any():
            values[outside] = rng.standard_normal(int(np.count_nonzero(outside)))
        return np.asarray(self.mean + self.std * values)


class Uniform(Initializer, frozen=True, kw_only=True):
    """Uniform on ±limit."""

    limit: Annotated[Scale, Meta(title="limit", description="Values lie between −limit and +limit")] = 0.01

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """U(−limit, limit)."""
        return rng.uniform(-1.0, 1.0, shape) * self.limit


class Orthogonal(Initializer, frozen=True, kw_only=True):
    """Rows or columns, whichever are fewer, at right angles and of length gain (Saxe et al. 2014; orthogonal_).

    More than two axes are laid out as (first, all others); a vector is a single column.
    """

    gain: Annotated[Scale, Meta(title="gain", description="Length of each row or column")] = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """gain·Q of the QR of a normal matrix, its signs made those of R's diagonal so that every Q is as likely."""
        rows = shape[0] if shape else 1
        columns = prod(shape[1:])
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        return np.asarray(self.gain * (q if rows >= columns else q.T).reshape(shape))


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


Value = Annotated[float, Meta(ge=-1e30, le=1e30)]
Row = Union[Value, tuple[Union[Value, tuple[Union[Value, tuple[Value, ...]], ...]], ...]]


class Given(Initializer, frozen=True, kw_only=True):
    """The very values written here, nested as the parameter is: [[0.15, 0.25], [0.2, 0.3]] for a W of 2×2."""

    values: Annotated[tuple[Row, ...], Meta(min_length=1, title="values", description="Nested as the parameter is")] = (
        0.0,
    )

    def __post_init__(self) -> None:
        def finite(values: Any) -> bool:
            return all(map(finite, values)) if isinstance(values, tuple | list) else isfinite(values)

        if not finite(self.values):
            raise ValueError("values must be finite numbers")

    def check(self, shape: tuple[int, ...]) -> None:
        """The values have exactly the parameter's shape."""
        try:
            found = np.array(self.values, np.float64).shape
        except ValueError:
            raise ValueError("the given values are ragged; make all rows of equal length") from None
        if found != shape:
            has, wants = ("×".join(map(str, s)) for s in (found, shape))
            raise ValueError(f"has shape {wants}, but the given values have {has}; give {wants} values")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...], fan_in: int, fan_out: int) -> NDArray[Any]:
        """values."""
        self.check(shape)
        return np.array(self.values, np.float64)


if TYPE_CHECKING:
    AnyInitializer = Initializer
else:
    AnyInitializer = Union[members(Initializer)]
