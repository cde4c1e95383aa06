"""Optimizers: from gradients to an update of the parameters, as a few operations on flat arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from engine.spec import LIVE, KindSpec, Rate, members

Array = NDArray[Any]


class OptimizerSpec(KindSpec, frozen=True, kw_only=True):
    """The description of an optimizer; it holds no state of its own: `slots` flat arrays are handed to it."""

    lr: Rate = 0.1
    formulas: ClassVar[dict[str, str]] = {}

    @property
    def slots(self) -> int:
        """How many arrays of state it keeps per parameter."""
        return 0

    def update(self, gradient: Array, update: Array, slots: Array) -> None:
        """Write the update Δθ for `gradient`, both (P,); `slots` (slots, P) is its memory."""
        raise NotImplementedError


class SGD(OptimizerSpec, frozen=True, kw_only=True):
    """Stochastic gradient descent: v ← momentum·v + g, Δθ = −lr·v (as PyTorch's SGD; v starts at 0)."""

    momentum: Annotated[
        float,
        Meta(ge=0.0, lt=1.0, title="momentum", description="How much of the last update goes on", extra=LIVE),
    ] = 0.0

    formulas: ClassVar[dict[str, str]] = {"update": "v ← momentum·v + grad_θ,  θ ← θ − lr·v"}

    @property
    def slots(self) -> int:
        """One: the velocity v. Kept without momentum too, so that momentum may change in mid-run."""
        return 1

    def update(self, gradient: Array, update: Array, slots: Array) -> None:
        """v ← momentum·v + g, Δθ = −lr·v."""
        velocity = slots[0]
        if self.momentum:
            np.multiply(velocity, self.momentum, out=velocity)
            np.add(velocity, gradient, out=velocity)
            gradient = velocity
        np.multiply(gradient, -self.lr, out=update)


if TYPE_CHECKING:
    AnyOptimizer = OptimizerSpec
else:
    AnyOptimizer = Union[members(OptimizerSpec)]
