"""What each bug does to the gradients that a layer's own backward has computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from engine.layers.base import Array, Layer
from engine.layers.norm import BatchNorm
from engine.layers.softmax import LogSoftmax, OverClasses

LAMBDA = 0.01  # of a penalty that stands in the gradient alone
Bend = Callable[[Any, Array], None]  # changes the gradients of a layer in place, given grad_y


class BuggyLayer(Layer):
    """What `plant` puts in front of a layer's own class."""

    bug: str
    past: dict[str, Any]  # what a bug remembers from call to call

    def prepare(self, step: int) -> None:
        """The layer's own; what a bug draws hangs on the step too."""
        super().prepare(step)
        self.past["step"] = step

    def forward(self, x: Array) -> Array:
        """The layer's own; some bugs change x, or remember it."""
        if self.spec.forward_parts:
            return super().forward(x)  # which is all of its steps
        self._remember(x)
        y = super().forward(x)
        self._mutate(x)
        return y

    def forward_steps(self, x: Array) -> Iterator[str]:
        """As forward."""
        self._remember(x)
        for part in super().forward_steps(x):
            if part == "y":
                self._mutate(x)
            yield part

    def _remember(self, x: Array) -> None:
        if self.bug == "stale-cache":
            self.past["before"], self.past["x"] = self.past.get("x"), x.copy()

    def _mutate(self, x: Array) -> None:
        if self.bug == "mutates-input":
            np.multiply(x, 0.5, out=x)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """The layer's own, to its end; then bent."""
        given = self._without_upstream(grad_y) if self.bug == "upstream-ignored" else grad_y
        before = self.past.get("before")
        if self.bug == "stale-cache" and before is not None and len(before) == len(grad_y):
            parts = self._at_older(before, given)
        else:
            parts = list(super().backward(given))
        self.grad_y = grad_y
        if self.bug in BENDS:
            BENDS[self.bug](self, grad_y)
        yield from parts

    def _without_upstream(self, grad_y: Array) -> Array:
        """Ones; for a softmax, which makes 0 of them, the derivative of the first class."""
        given = np.ones_like(grad_y)
        if isinstance(self.spec, OverClasses):
            given[:, 1:] = 0
        return given

    def _at_older(self, before: Array, grad_y: Array) -> list[str]:
        """Backward as if the forward had been the one before; running statistics stay as they are."""
        names = ("running_mean", "running_var")
        kept = {name: getattr(self, name).copy() for name in names if hasattr(self, name)}
        x, y, past = self.x, self.y.copy(), dict(self.past)
        super().forward(before)
        parts = list(super().backward(grad_y))
        self.past = past
        for name, value in kept.items():
            getattr(self, name)[...] = value
        self.x = x
        np.copyto(self.y, y) if self.y.flags.writeable and not np.shares_memory(self.y, before) else None
        return parts


def _tensors(layer: Layer) -> list[Array]:
    """The gradients a bug of the arithmetic falls on: the parameters' where there are some, else the input's."""
    return list(layer.gradients.values()) or [_own_grad_x(layer)]


def _own_grad_x(layer: Layer) -> Array:
    """grad_x, made the layer's own where it is a view of grad_y, as that of a Flatten is."""
    if np.shares_memory(layer.grad_x, layer.grad_y):
        layer.grad_x = layer.grad_x.copy()
    return layer.grad_x


def _scaled(c: Callable[[Layer], float]) -> Bend:
    def bend(layer: Layer, grad_y: Array) -> None:
        for gradient in _tensors(layer):
            np.multiply(gradient, c(layer), out=gradient)

    return bend


def _transposed(layer: Layer, grad_y: Array) -> None:
    """W's gradient with its last two axes exchanged."""
    gradient = layer.gradients["W"]
    gradient[...] = np.swapaxes(gradient, -1, -2).copy()


def _summed_over_all(layer: Layer, grad_y: Array) -> None:
    layer.gradients[bias_role(layer.gradients)][...] = grad_y.sum()


def _last_sample_only(layer: Layer, grad_y: Array) -> None:
    """The bias gets what the last sample says alone."""
    gradient = layer.gradients[bias_role(layer.gradients)]
    last = grad_y[-1]
    gradient[...] = last.sum(axis=(1, 2)) if last.ndim == 3 and gradient.ndim == 1 else last


def bias_role(tensors: Any) -> str:
    """The role of the bias."""
    return "b" if "b" in tensors else "beta"


def _mask_missing(layer: Layer, grad_y: Array) -> None:
    np.copyto(layer.grad_x, grad_y)


def _mask_inverted(layer: Layer, grad_y: Array) -> None:
    slope = layer.parameters.get("slope")
    below: Any = getattr(layer.spec, "slope", 0.0)
    if slope is not None:
        below = slope.reshape(-1, *[1] * (grad_y.ndim - 2)) if len(slope) > 1 else slope[0]
    np.copyto(layer.grad_x, np.where(layer.x > 0, grad_y * below, grad_y))


def _twice(layer: Layer, grad_y: Array) -> None:
    """The derivative once more."""
    once = layer.grad_x.copy()
    for _ in super(BuggyLayer, layer).backward(once):  # type: ignore[misc]
        pass
    layer.grad_y = grad_y


def _diagonal(layer: Layer, grad_y: Array) -> None:
    y = layer.y
    np.copyto(layer.grad_x, grad_y * (1 - np.exp(y)) if isinstance(layer.spec, LogSoftmax) else grad_y * y * (1 - y))


def _other_axis(layer: Layer, grad_y: Array) -> None:
    y = layer.y
    if isinstance(layer.spec, LogSoftmax):
        np.copyto(layer.grad_x, grad_y - np.exp(y) * grad_y.sum(axis=0))
    else:
        np.copyto(layer.grad_x, y * (grad_y - (grad_y * y).sum(axis=0)))


def _without(mean: bool) -> Bend:
    """A norm's grad_x = (g − [mean] − x̂·[mean of g·x̂])·1/σ with one of the two left out."""

    def bend(layer: Any, grad_y: Array) -> None:
        normal, over_batch = layer.normal, isinstance(layer.spec, BatchNorm)
        g = grad_y.reshape(normal.shape)
        inverse = layer._inverse
        if over_batch:
            axes: tuple[int, ...] = (0,) if normal.ndim == 2 else (0, 2)
            g, inverse = g * layer._beside(layer._gamma), layer._beside(inverse)
        else:
            axes, g = (1,), g * layer._gamma
        share = g - (normal * (g * normal).mean(axis=axes, keepdims=True) if mean else g.mean(axis=axes, keepdims=True))
        layer.grad_x[...] = (share * inverse).reshape(layer.grad_x.shape)

    return bend


def _skip_dropped(layer: Any, grad_y: Array) -> None:
    np.copyto(layer.grad_x, layer._block[0].grad_x)


def _block_overwritten(layer: Any, grad_y: Array) -> None:
    np.copyto(layer.grad_x, grad_y if layer._skip is None else layer._skip.grad_x)


def _piled_up(layer: Any, grad_y: Array) -> None:
    """Every call adds to what the calls before left."""
    for index, gradient in enumerate(_tensors(layer)):
        total = layer.past.setdefault(index, np.zeros_like(gradient))
        np.add(total, gradient, out=total)
        np.copyto(gradient, total)


def _mask_without_scale(layer: Any, grad_y: Array) -> None:
    np.copyto(layer.grad_x, grad_y * (layer.mask > 0))


def _mask_redrawn(layer: Any, grad_y: Array) -> None:
    """Another mask, that of the step: a step computed again has the same."""
    rng = np.random.Generator(np.random.PCG64([5, layer.past.get("step", 0)]))
    rate = layer.spec.rate
    np.copyto(layer.grad_x, grad_y * (rng.random(grad_y.shape) >= rate) / (1 - rate))


def _penalised(layer: Layer, grad_y: Array) -> None:
    layer.gradients["W"] += LAMBDA * layer.parameters["W"]


def _truncated(layer: Layer, grad_y: Array) -> None:
    for gradient in _tensors(layer):
        np.trunc(gradient, out=gradient)


def _first_alone(layer: Layer, grad_y: Array) -> None:
    """A batch of one is squeezed: what was an axis of samples is now one of features."""
    if len(grad_y) == 1:
        for gradient in _tensors(layer):
            gradient[...] = gradient.mean()


BENDS: dict[str, Bend] = {
    "extra-batch-mean": _scaled(lambda layer: 1 / len(layer.grad_y)),
    "missing-batch-mean": _scaled(lambda layer: len(layer.grad_y)),
    "constant-factor": _scaled(lambda layer: 2.0),
    "sign-flipped": _scaled(lambda layer: -1.0),
    "transposed": _transposed,
    "bias-not-summed": _last_sample_only,
    "bias-summed-over-all": _summed_over_all,
    "relu-mask-missing": _mask_missing,
    "relu-mask-inverted": _mask_inverted,
    "local-derivative-missing": _mask_missing,
    "extra-derivative": _twice,
    "softmax-diagonal-only": _diagonal,
    "softmax-wrong-axis": _other_axis,
    "batchnorm-mean-path": _without(mean=True),
    "batchnorm-variance-path": _without(mean=False),
    "skip-dropped": _skip_dropped,
    "branch-overwritten": _block_overwritten,
    "accumulates-across-calls": _piled_up,
    "dropout-scale": _mask_without_scale,
    "dropout-mask-redrawn": _mask_redrawn,
    "l2-mismatch": _penalised,
    "integer-dtype": _truncated,
    "batch-of-one": _first_alone,
}
ANYWHERE = ("constant-factor", "sign-flipped", "upstream-ignored", "mutates-input")
REMEMBERED = ("stale-cache",)  # where backward needs what forward kept
