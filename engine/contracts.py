"""What every layer and loss keeps whatever its formula: backward is linear, repeatable, and leaves its inputs alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.layers.base import Array, Layer
from engine.losses import Loss
from engine.network import Pass

ROUNDING = 1e-11  # relative; what a sum in another order may differ by


def broken_contracts(run: Pass, x: Array, targets: Array) -> Iterator[str]:
    """One sentence for each broken contract, and "" after each layer and the loss so that a caller may pause.

    The pass is used up: its buffers and gradients are written.
    """
    rng = np.random.Generator(np.random.PCG64(2))
    y = x
    for index, layer in enumerate(run.layers):
        given = y
        with np.errstate(all="ignore"):
            y = layer.forward(given.copy()).copy()
            whole = bool(np.isfinite(y).all())
            found = list(layer_contracts(layer, given, rng.standard_normal(y.shape))) if whole else []
        yield from (f"layer {index} ({layer.spec.title()}): {sentence}" for sentence in found)
        yield ""
    with np.errstate(all="ignore"):
        found = list(loss_contracts(run.loss, y, targets)) if np.isfinite(y).all() else []
    yield from (f"loss: {sentence}" for sentence in found)
    yield ""


def backward(layer: Layer, grad_y: Array) -> dict[str, Array]:
    """The gradients of one backward, copied, by role and "x"."""
    for _ in layer.backward(grad_y):
        pass
    return {role: gradient.copy() for role, gradient in layer.gradients.items()} | {"x": layer.grad_x.copy()}


def layer_contracts(layer: Layer, x: Array, grad_y: Array) -> Iterator[str]:
    """The broken contracts of one layer at x (B, *in), grad_y (B, *out)."""
    layer.needs_grad_x = True
    for gradient in (layer.grad_x, *layer.gradients.values()):
        gradient.fill(0)  # so that what is added to instead of written doubles
    x_before, g_before = x.copy(), grad_y.copy()
    parameters = {role: value.copy() for role, value in layer.parameters.items()}
    y = layer.forward(x).copy()
    if not close(y, layer.replay(x, 1)):
        yield "forward and apply give different outputs"
    once = backward(layer, grad_y)
    if not np.array_equal(grad_y, g_before):
        yield "backward changes the grad_y it is given"
        grad_y = g_before.copy()
    again = backward(layer, grad_y)
    yield from _same(once, again)
    if all(np.array_equal(once[role], again[role]) for role in once):
        yield from _linear(once, backward(layer, 2 * g_before), backward(layer, np.zeros_like(g_before)))
    if not np.array_equal(x, x_before):
        yield "its input x is changed; work on a copy"
    for role, value in parameters.items():
        if not np.array_equal(layer.parameters[role], value):
            yield f"backward changes the parameter {role}; only the update may"
    for role, gradient in once.items():
        wanted = x.shape if role == "x" else parameters[role].shape
        if gradient.shape != wanted:
            yield f"grad_{role} has shape {gradient.shape}, but {role} has {wanted}"


def _same(once: dict[str, Array], again: dict[str, Array]) -> Iterator[str]:
    """Backward twice with the same grad_y gives the same."""
    for role, gradient in once.items():
        if np.array_equal(gradient, again[role], equal_nan=True):
            continue
        if close(again[role], 2 * gradient):
            yield f"grad_{role} doubles when backward runs twice: it is added to instead of written anew"
        else:
            yield f"grad_{role} differs when backward runs twice with the same grad_y"


def _linear(once: dict[str, Array], doubled: dict[str, Array], zero: dict[str, Array]) -> Iterator[str]:
    """backward(2G) = 2·backward(G), backward(0) = 0."""
    for role, gradient in once.items():
        if not close(doubled[role], 2 * gradient):
            yield f"grad_{role} does not double when grad_y does: the upstream gradient is ignored or bent"
        if zero[role].any():
            yield f"grad_{role} is not 0 when grad_y is 0"


def loss_contracts(loss: Loss, y: Array, targets: Array) -> Iterator[str]:
    """The broken contracts of a loss at outputs y (B, K)."""
    y_before = y.copy()
    value = loss.forward(y, targets)
    mean = float(loss.per_sample(y.copy(), targets).mean())
    if abs(value - mean) > ROUNDING * (1 + abs(mean)):
        yield f"forward gives {value:.6g}, but the mean over the samples is {mean:.6g}"
    once = loss.backward().copy()
    loss.forward(y, targets)
    if not np.array_equal(once, loss.backward(), equal_nan=True):
        yield "its gradient differs when it is computed twice"
    if not np.array_equal(y, y_before):
        yield "it changes the outputs it is given"


def close(one: Array, other: Array) -> bool:
    """Whether two arrays agree but for rounding, measured against their largest entry."""
    if one.shape != other.shape:
        return False
    size = max(float(np.abs(one).max(initial=0.0)), float(np.abs(other).max(initial=0.0)))
    if not np.isfinite(size):
        return np.array_equal(one, other, equal_nan=True)
    return float(np.abs(one - other).max(initial=0.0)) <= ROUNDING * size
