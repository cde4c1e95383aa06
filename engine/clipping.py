"""Clipping: gradients that are too large are made smaller, in place, before the optimizer sees them."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import LIVE, KindSpec, members


class Clipping(KindSpec, frozen=True, kw_only=True):
    """The description of a way to clip."""

    def clip(self, gradient: NDArray[Any]) -> None:
        """Clip the gradient of all parameters, (P,), in place."""
        raise NotImplementedError

    def factor(self, gradient: NDArray[Any], entry: float) -> float:
        """What an entry of the gradient (P,) is multiplied by where it is clipped; 1 where it stays."""
        return 1.0


class NoClipping(Clipping, frozen=True, kw_only=True, tag="none"):
    """Gradients as they are."""

    def clip(self, gradient: NDArray[Any]) -> None:
        """Nothing."""

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "none"


class ClipByNorm(Clipping, frozen=True, kw_only=True):
    """Scales all gradients together where their norm is above a limit (as PyTorch's clip_grad_norm_)."""

    max_norm: Annotated[
        float, Meta(ge=0.0, le=1e12, title="largest norm", description="Of all gradients together", extra=LIVE)
    ] = 1.0

    def clip(self, gradient: NDArray[Any]) -> None:
        """g ← g·min(1, max_norm / (‖g‖ + 1e-6))."""
        scale = self.factor(gradient, 0.0)
        if scale != 1.0:
            np.multiply(gradient, scale, out=gradient)

    def factor(self, gradient: NDArray[Any], entry: float) -> float:
        """min(1, max_norm / (‖g‖ + 1e-6)), of every entry the same; NaN where ‖g‖ is."""
        scale = self.max_norm / (sqrt(float(np.dot(gradient, gradient))) + 1e-6)
        return 1.0 if scale >= 1.0 else scale

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "by norm"


class ClipByValue(Clipping, frozen=True, kw_only=True):
    """Limits every entry of every gradient to ±limit (as PyTorch's clip_grad_value_)."""

    limit: Annotated[
        float, Meta(ge=0.0, le=1e12, title="limit", description="Of every entry, either sign", extra=LIVE)
    ] = 1.0

    def clip(self, gradient: NDArray[Any]) -> None:
        """g ← min(max(g, −limit), limit)."""
        np.clip(gradient, -self.limit, self.limit, out=gradient)

    def factor(self, gradient: NDArray[Any], entry: float) -> float:
        """limit / |g| where an entry is beyond the limit."""
        return self.limit / abs(entry) if abs(entry) > self.limit else 1.0

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "by value"


if TYPE_CHECKING:
    AnyClipping = Clipping
else:
    AnyClipping = Union[members(Clipping)]
