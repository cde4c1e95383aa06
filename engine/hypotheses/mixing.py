"""Bugs of layers whose outputs hang on many inputs: softmax, norms, residual blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engine.bugs import Bug, found
from engine.hypotheses.case import LINE, Gap, same
from engine.subject import INPUT, Array


def softmax(gap: Gap) -> Iterator[Bug]:
    """Rows of y (or of e^y) that sum to 1: the Jacobian's diagonal alone, its dot term dropped, the other axis."""
    case = gap.case
    y, g, logs = case.y, case.grad_y, False
    if gap.role != INPUT or not gap.shaped or y.ndim != 2 or y.shape != gap.n.shape or y.shape[1] < 2:
        return
    if _distribution(np.exp(np.minimum(y, 1.0)), 1):
        y, logs = np.exp(y), True
    elif not _distribution(y, 1):
        return
    if logs:
        diagonal: dict[str, Array] = {
            "Only the diagonal 1 − eʸ stands in it.": g * (1 - y),
            "The sum over the classes is left out.": g,
            "The sum is not weighted by eʸ.": g - g.sum(axis=1, keepdims=True),
        }
        other: dict[str, Array] = {"": g - y * g.sum(axis=0), " ": g - y * g.sum(), "  ": _other_axis(case.x, g, True)}
    else:
        diagonal = {
            "Only the diagonal y(1 − y) stands in it.": g * y * (1 - y),
            "The dot product Σ grad_y·y is left out.": g * y,
            "The dot product lacks the factor y.": g * y - (g * y).sum(axis=1, keepdims=True),
            "The sum is not weighted by y.": y * (g - g.sum(axis=1, keepdims=True)),
        }
        other = {"": y * (g - (g * y).sum(axis=0)), " ": y * (g - (g * y).sum()), "  ": _other_axis(case.x, g, False)}
    for slug, guesses in (("softmax-diagonal-only", diagonal), ("softmax-wrong-axis", other)):
        for detail, guess in guesses.items():
            if gap.is_(guess):
                yield found(slug, gap.role, 0.97, {"classes": y.shape[1]}, detail.strip())
                return


def _distribution(y: Array, axis: int) -> bool:
    """Whether y is positive and sums to 1 along the axis."""
    return bool((y > 0).all()) and np.allclose(y.sum(axis=axis), 1, rtol=0, atol=1e-9)


def _other_axis(x: Array, g: Array, logs: bool) -> Array:
    """Backward of a softmax over the batch."""
    p = np.exp(x - x.max(axis=0))
    p /= p.sum(axis=0)
    return np.asarray(g - p * g.sum(axis=0) if logs else p * (g - (g * p).sum(axis=0)))


def normalisation(gap: Gap) -> Iterator[Bug]:
    """Gradients that must sum to 0 along what was normalised over, and do not, or not weighted by x − μ."""
    if gap.role != INPUT or not gap.shaped or gap.n.ndim < 2 or not gap.known.all() or not np.isfinite(gap.a).all():
        return
    axes_list = [(0, *range(2, gap.n.ndim))] if gap.case.mixes else [tuple(range(1, gap.n.ndim))]
    for axes in axes_list:
        if not _vanishes(gap.n.sum(axis=axes), np.abs(gap.n).sum(axis=axes)):
            continue
        yield from _paths(gap, axes)


def _vanishes(total: Array, size: Array) -> bool:
    return bool(np.all(np.abs(total) <= 1e-5 * size.max()))


def _paths(gap: Gap, axes: tuple[int, ...]) -> Iterator[Bug]:
    """The difference a − n as its mean over the axes and what is left, which has to follow x − μ."""
    if np.prod([gap.n.shape[axis] for axis in axes]) < 3:
        return
    difference = gap.a - gap.n
    level = difference.mean(axis=axes, keepdims=True)
    rest = difference - level
    around = gap.case.x - gap.case.x.mean(axis=axes, keepdims=True)
    square = (around * around).sum(axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        share = np.where(square > 0, (rest * around).sum(axis=axes, keepdims=True) / square, 0.0)
    size = float(np.linalg.norm(difference))
    if np.linalg.norm(rest - share * around) > LINE * size:
        return
    evidence: dict[str, Any] = {
        "sum": float(np.abs(gap.a.sum(axis=axes)).max()),
        "sum_with_x": float(np.abs((gap.a * around).sum(axis=axes)).max()),
    }
    varies = float(np.linalg.norm(rest)) > LINE * size
    if np.linalg.norm(level) * np.sqrt(difference.size / level.size) > LINE * size:
        detail = "The path through the variance is missing too." if varies else ""
        yield found("batchnorm-mean-path", gap.role, 0.95, evidence, detail)
    if varies:
        yield found("batchnorm-variance-path", gap.role, 0.95, evidence)


def residual(gap: Gap) -> Iterator[Bug]:
    """y = f(x) + x: the share of the skip dropped, or the block's share overwritten by it."""
    case = gap.case
    if gap.role != INPUT or not gap.shaped or case.subject.family != "layer":
        return
    if case.elementwise and case.subject.kind != "residual":
        return
    for name, share in _skips(gap):
        if same(gap.n - gap.a, share, gap.known, LINE):
            yield found("skip-dropped", gap.role, 0.97, {"through": name})
            return
        if gap.is_(share) and (case.subject.kind == "residual" or name != "x" or _adds_x(gap)):
            yield found("branch-overwritten", gap.role, 0.9, {"left": name}, "Only the skip's share is left.")
            return


def _skips(gap: Gap) -> Iterator[tuple[str, Array]]:
    """What flows back through a skip: grad_y itself, or by way of a projection."""
    g = gap.case.grad_y
    if g.shape == gap.n.shape:
        yield "x", g
    for role, value in gap.case.land.tensors.items():
        if role == INPUT or g.ndim != gap.n.ndim or ("skip" not in role and gap.case.subject.kind == "residual"):
            continue
        if value.ndim == 2 == g.ndim and value.shape == (gap.n.shape[1], g.shape[1]):
            yield role, g @ value.T
        elif (
            value.ndim == 4 == g.ndim and value.shape[2:] == (1, 1) and value.shape[:2] == (g.shape[1], gap.n.shape[1])
        ):
            yield role, _unstrided(np.einsum("nfrs,fc->ncrs", g, value[:, :, 0, 0]), gap.n.shape)


def _unstrided(share: Array, shape: tuple[int, ...]) -> Array:
    """A 1×1 projection's share at the pixels it was taken of, by the least stride that fits."""
    whole = np.zeros(shape)
    rows, columns = share.shape[2:]
    stride = next((s for s in range(1, 65) if -(-shape[2] // s) == rows and -(-shape[3] // s) == columns), 0)
    if stride:
        whole[:, :, ::stride, ::stride] = share
    return whole


def _adds_x(gap: Gap) -> bool:
    """Whether y − x still hangs on many inputs, with x added to it: the slope of y[i] along x[i] is 1 + something.

    It is told by scale: with every parameter 0, what is left of y − y(0) is x.
    """
    land = gap.case.land
    kept = {role: value.copy() for role, value in land.tensors.items() if role != INPUT}
    if not kept:
        return False
    try:
        for role in kept:
            land.tensors[role][...] = 0
        y, base = land.forward.at(land.x.copy()), land.forward.at(np.zeros_like(land.x))
    finally:
        for role, value in kept.items():
            land.tensors[role][...] = value
    return same(y - base, land.x, None, 1e-9)


def shared_weights(gap: Gap) -> Iterator[Bug]:
    """A matrix used twice, once of the two on x itself: one use's share of its gradient is lost."""
    x, g = gap.case.x, gap.case.grad_y
    if gap.role == INPUT or not gap.shaped or x.ndim != 2 or g.ndim != 2 or gap.n.shape != (x.shape[1], g.shape[1]):
        return
    share = x.T @ g
    if gap.is_(share) or same(gap.n - gap.a, share, gap.known, LINE):
        evidence = {"share_found": gap.is_(share)}
        yield found("branch-overwritten", gap.role, 0.85, evidence, "One of its uses is x·W, another is there beside.")
