"""A quick look at how a backward agrees with the slopes of its forward: to tell how code is meant, not to judge it."""

from __future__ import annotations

from typing import Literal

import numpy as np

from engine.generators import seed_globals
from engine.owncode.arrays import Array
from engine.subject import Subject, SubjectError

STEP = 1e-5
ALIKE = 1e-4  # relative; two gradients that differ by less are meant to be the same
ENTRIES = 24

Agreement = Literal["same", "scaled", "apart"]


def agreement(subject: Subject, batch: int = 5, role: str = "x") -> Agreement:
    """Whether the gradient of one tensor is its forward's, that times a constant, or another. Raises SubjectError."""
    with np.errstate(all="ignore"):
        given, found = _pair(subject, batch, role)
    if given is None or found is None or not (np.isfinite(given).all() and np.isfinite(found).all()):
        return "apart"
    sizes = float(np.linalg.norm(given)), float(np.linalg.norm(found))
    if max(sizes) == 0:
        return "same"
    if np.linalg.norm(given - found) <= ALIKE * max(sizes):
        return "same"
    alike = min(sizes) > 0 and abs(float(given @ found)) >= (1 - ALIKE**1.5) * sizes[0] * sizes[1]
    return "scaled" if alike else "apart"


def ratio(subject: Subject, batch: int, role: str) -> float:
    """How many times the slopes of its forward a gradient is; NaN where it is no multiple. Raises SubjectError."""
    with np.errstate(all="ignore"):
        given, found = _pair(subject, batch, role)
        if given is None or found is None or agreement(subject, batch, role) == "apart":
            return float("nan")
        return float(given @ found) / float(found @ found)


def worst(subject: Subject, batch: int = 5) -> Agreement:
    """The worst agreement of all parameters, or of the input where there are none."""
    roles = list(subject.copy().parameters) or ["x"]
    found = {agreement(subject, batch, role) for role in roles}
    order: tuple[Agreement, ...] = ("apart", "scaled", "same")
    return next(kind for kind in order if kind in found)


def _pair(subject: Subject, batch: int, role: str) -> tuple[Array | None, Array | None]:
    """Some entries of the gradient, as given and as forward's differences have them."""
    x, targets = subject.draw(np.random.default_rng(4), batch)
    worker = subject.copy()
    seed_globals()
    y = worker.forward(x.copy(), targets)
    weights = np.ones(()) if subject.family != "layer" else np.random.default_rng(5).standard_normal(y.shape)
    given = worker.backward(weights.copy()).get(role)
    tensor = x if role == "x" else worker.parameters[role]
    if given is None or given.shape != tensor.shape or tensor.dtype.kind != "f":
        return None, None
    entries = np.random.default_rng(6).permutation(tensor.size)[:ENTRIES]
    found = np.array([_slope(subject, x, targets, role, int(k), weights) for k in entries])
    return given.reshape(-1)[entries], found


def _slope(subject: Subject, x: Array, targets: Array | None, role: str, entry: int, weights: Array) -> float:
    sides = []
    for step in (STEP, -STEP):
        worker, moved = subject.copy(), x.copy()
        tensor = moved if role == "x" else worker.parameters[role]
        tensor.flat[entry] += step
        seed_globals()
        sides.append(float((weights * worker.forward(moved, targets)).sum()))
    return (sides[0] - sides[1]) / (2 * STEP)


def agreement_or_apart(subject: Subject, batch: int = 5) -> Agreement:
    """As `worst`; "apart" where the code raises."""
    try:
        return worst(subject, batch)
    except SubjectError:
        return "apart"
