"""What each bug does to the gradient that a loss's own backward has computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from engine.layers.base import Array
from engine.losses import Loss, SoftmaxCrossEntropyLoss


class BuggyLoss(Loss):
    """What `plant` puts in front of a loss's own class."""

    bug: str
    past: dict[str, Any]

    def forward(self, y: Array, targets: Array) -> float:
        """The loss's own; kept is what a bug needs in backward."""
        self.past["y"], self.past["targets"] = y, targets
        self.past.setdefault("first", targets.copy())
        return super().forward(y, targets)

    def backward(self) -> Array:
        """The loss's own, bent."""
        return LOSS_BENDS[self.bug](self)

    def right(self) -> Array:
        """What the loss's own backward gives."""
        return super().backward()

    def with_targets(self, targets: Array) -> Array:
        """Its own backward for other targets; what forward left is put back."""
        y, p = self.past["y"], self.p.copy()
        super().forward(y, targets)
        gradient = super().backward()
        np.copyto(self.p, p)
        return gradient


def _loss_scaled(c: Callable[[Loss], float]) -> Callable[[Any], Array]:
    def bend(loss: Any) -> Array:
        gradient: Array = loss.right()
        return np.multiply(gradient, c(loss), out=gradient)

    return bend


def _no_targets(loss: Any) -> Array:
    """p − t without t, or the targets taken as 0."""
    if isinstance(loss, SoftmaxCrossEntropyLoss):
        return np.asarray(np.divide(loss.p, len(loss.p), out=loss.grad_y))
    return np.asarray(loss.with_targets(np.zeros_like(loss.past["targets"])))


def _first_targets(loss: Any) -> Array:
    """Those of the first sample for all."""
    targets = loss.past["targets"]
    return np.asarray(loss.with_targets(np.ascontiguousarray(np.broadcast_to(targets[:1], targets.shape))))


def _softmax_again(loss: Any) -> Array:
    gradient: Array = loss.right()
    np.multiply(gradient, loss.p * (1 - loss.p), out=gradient)
    return gradient


def _softmax_over_batch(loss: Any) -> Array:
    y, p = loss.past["y"], loss.p
    e = np.exp(y - y.max(axis=0))
    gradient: Array = loss.right()
    np.add(gradient, (e / e.sum(axis=0) - p) / len(y), out=gradient)
    return gradient


LOSS_BENDS: dict[str, Callable[[Any], Array]] = {
    "missing-batch-mean": _loss_scaled(lambda loss: len(loss.grad_y)),
    "extra-batch-mean": _loss_scaled(lambda loss: 1 / len(loss.grad_y)),
    "constant-factor": _loss_scaled(lambda loss: 0.5),
    "sign-flipped": _loss_scaled(lambda loss: -1.0),
    "labels-ignored": _no_targets,
    "labels-from-elsewhere": _first_targets,
    "extra-derivative": _softmax_again,
    "softmax-wrong-axis": _softmax_over_batch,
}
