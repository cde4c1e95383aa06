"""Bugs that any tensor's gradient may have: a constant factor, exchanged axes, wrong sums, penalties, integers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from engine.bugs import Bug, found
from engine.hypotheses.case import Gap, multiple, same
from engine.subject import INPUT, Array, SubjectError

NAMED = {2.0: "2", 0.5: "½", -2.0: "−2", -0.5: "−½"}


def wrong_shape(gap: Gap) -> Iterator[Bug]:
    """A gradient of another shape than its tensor's: transposed, not summed, or summed too far."""
    if gap.shaped:
        return
    a, n, batch = gap.a, gap.n, gap.case.batch
    shapes = {"shape": list(a.shape), "wanted": list(n.shape)}
    if a.ndim == n.ndim and a.shape == n.shape[::-1] and same(a.transpose(), n, gap.known):
        yield found("transposed", gap.role, 0.99, shapes)
    elif gap.role != INPUT and batch in a.shape and _sums_to(a, n, gap.known):
        detail = f"It has shape {a.shape}, and summed over the batch it is right."
        yield found("bias-not-summed", gap.role, 0.99, shapes, detail)
    elif a.size == 1 and np.isfinite(a).all() and same(np.full(n.shape, a.item()), np.full(n.shape, n.sum())):
        yield found("bias-summed-over-all", gap.role, 0.98, {**shapes, "sum": float(n.sum())})
    elif gap.role != INPUT and n.ndim <= 2 and a.size == batch and _over_outputs(gap):
        detail = "It is summed over the outputs, one number a sample."
        yield found("bias-not-summed", gap.role, 0.95, shapes, detail)


def _sums_to(a: Array, n: Array, known: Array) -> bool:
    """Whether some axis of a, summed, leaves n."""
    return any(
        total.size == n.size and same(total.reshape(n.shape), n, known)
        for total in (a.sum(axis=axis) for axis in range(a.ndim))
    )


def _over_outputs(gap: Gap) -> bool:
    """Whether the gradient is grad_y summed over the outputs."""
    grad_y = gap.case.grad_y
    return grad_y.ndim == 2 and same(gap.a.reshape(-1), grad_y.sum(axis=1))


def whole_numbers(gap: Gap) -> Iterator[Bug]:
    """Every entry a whole number, where the right ones are not: kept in integers."""
    given = gap.case.run.gradients[gap.role]
    kind = np.asarray(given).dtype.kind
    if kind in "iub":
        yield found("integer-dtype", gap.role, 0.99, {"dtype": str(np.asarray(given).dtype)})
    elif gap.shaped and np.isfinite(gap.a).all() and gap.is_(np.trunc(np.where(gap.known, gap.n, 0.0))):
        yield found("integer-dtype", gap.role, 0.9, {"largest": float(np.abs(gap.a).max())})


def constant_factor(gap: Gap) -> Iterator[Bug]:
    """a = c·n: which number c is, confirmed with another batch size."""
    c = gap.factor
    if c is None or abs(c - 1) < 1e-4:
        return
    case, few = gap.case, int(gap.known.sum()) < 3
    other, batch = _other_factor(gap), case.batch
    if other is None:
        if not few:
            yield found("sign-flipped" if _is(c, -1) else "constant-factor", gap.role, 0.6, {"factor": c})
        return
    evidence = {"factor": c, "batch": batch, "factor_at_other_batch": other[0], "other_batch": other[1]}
    confidence = 0.8 if few else 0.98
    if abs(other[0] / c - other[1] / batch) < 1e-4:
        yield found("missing-batch-mean", gap.role, confidence, evidence, _times("Besides, it is", c / batch))
    elif abs(c / other[0] - other[1] / batch) < 1e-4:
        yield found("extra-batch-mean", gap.role, confidence, evidence, _times("Besides, it is", c * batch))
    elif _is(c, other[0]) and _is(c, -1):
        yield found("sign-flipped", gap.role, confidence, evidence)
    elif _is(c, other[0]):
        yield found("constant-factor", gap.role, confidence, evidence, _times("It is", c, _meaning(gap, c)))


def _other_factor(gap: Gap) -> tuple[float, int] | None:
    """c and the batch size at other inputs, fewer of them."""
    batch = max(2, gap.case.batch - 2)
    try:
        case = gap.case.another(batch)
        report = case.judge(gap.role)
        again = case.gap(gap.role, report)
    except (SubjectError, KeyError):
        return None
    return None if again.factor is None else (again.factor, batch)


def _is(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-4 * abs(other)


def _times(start: str, c: float, meaning: str = "") -> str:
    """How many times too large, as a sentence; nothing for 1."""
    return "" if _is(c, 1) else f"{start} {NAMED.get(round(c, 9), f'{c:.6g}')} times the right one{meaning}."


def _meaning(gap: Gap, c: float) -> str:
    """Which size of the subject a factor is, as words."""
    if _is(abs(c), round(abs(c))) or _is(1 / abs(c), round(1 / abs(c))):
        sizes = {"outputs": gap.case.x.shape[-1] if not gap.case.y.ndim else gap.case.y.shape[-1]}
        sizes["inputs"] = gap.case.x.shape[-1]
        for name, size in sizes.items():
            if size > 2 and (_is(abs(c), size) or _is(abs(c), 1 / size)):
                return (
                    f": the number of {name} is {size}" if abs(c) > 1 else f": the number of {name} is {size}, 1/{size}"
                )
    return ""


def axes_exchanged(gap: Gap) -> Iterator[Bug]:
    """The right numbers with axes of the same length exchanged; or grad_y·W where grad_y·Wᵀ belongs."""
    if not gap.shaped:
        return
    if gap.n.ndim >= 2:
        for order in permutations(range(gap.n.ndim)):
            if order != tuple(range(gap.n.ndim)) and gap.is_(_filled(gap).transpose(order)):
                yield found("transposed", gap.role, 0.98, {"axes": list(order)})
                return
    grad_y = gap.case.grad_y
    if gap.role != INPUT or grad_y.ndim != 2:
        return
    for role, matrix in gap.case.land.tensors.items():
        if role == INPUT or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            continue
        if len(matrix) == grad_y.shape[1]:
            right = [m for m in (matrix, matrix.T) if same(grad_y @ m, gap.n, gap.known)]
            if right and gap.is_(grad_y @ right[0].T):
                yield found(
                    "transposed", gap.role, 0.98, {"with": role}, f"It multiplies by {role} where {role}ᵀ belongs."
                )


def _filled(gap: Gap) -> Array:
    """n, with what is not known taken from a: an entry and its mirror image are then the same by themselves."""
    return np.where(np.isfinite(gap.n), gap.n, gap.a)


def wrong_sum(gap: Gap) -> Iterator[Bug]:
    """A parameter's gradient that is one number everywhere, Σn, or that counts a single sample alone."""
    if not gap.shaped or gap.role == INPUT or gap.a.size < 2 or not np.isfinite(gap.a).all():
        return
    n = gap.n if np.isfinite(gap.n).all() else None
    if n is not None and gap.is_(np.full(n.shape, n.sum())):
        yield found("bias-summed-over-all", gap.role, 0.98, {"sum": float(n.sum())})
        return
    if (
        _flat_outputs(gap)
        and gap.n.size == gap.case.batch
        and gap.is_(gap.case.grad_y.sum(axis=1).reshape(gap.n.shape))
    ):
        yield found(
            "bias-not-summed", gap.role, 0.9, {"axis": 1}, "It is summed over the outputs, one number a sample."
        )
        return
    shares = _shares(gap)
    if shares is None or not same(shares.sum(axis=0), gap.n):
        return
    for row, share in enumerate(shares):
        if gap.is_(share):
            yield found("bias-not-summed", gap.role, 0.95, {"sample": row}, f"Only sample {row} counts in it.")


def _flat_outputs(gap: Gap) -> bool:
    """Whether y is (B, outputs)."""
    return gap.case.grad_y.ndim == 2


def _shares(gap: Gap) -> Array | None:
    """What each sample's grad_y gives to a bias, (B, *its shape): as it is, or summed over a channel's pixels."""
    grad_y = gap.case.grad_y
    if grad_y.ndim > 1 and grad_y[0].size == gap.n.size:
        return grad_y.reshape(-1, *gap.n.shape)
    if grad_y.ndim == 4 and grad_y.shape[1] == gap.n.size:
        return np.asarray(grad_y.sum(axis=(2, 3)).reshape(-1, *gap.n.shape))
    return None


def penalty(gap: Gap) -> Iterator[Bug]:
    """a − n = k·θ, or k·sign(θ): a penalty on the weights in one of loss and gradient only."""
    if not gap.shaped or gap.role == INPUT or gap.theta.size < 4:
        return
    theta = gap.theta[gap.known]
    if float(np.ptp(np.abs(theta), axis=None)) == 0:
        return
    k = multiple(gap.difference, theta)
    if k is not None:
        yield found("l2-mismatch", gap.role, 0.97, {"k": k}, f"The difference is {k:.6g} times {gap.role}.")
        return
    k = multiple(gap.difference, np.sign(theta))
    if k is not None:
        yield found(
            "l2-mismatch", gap.role, 0.9, {"k": k}, f"The difference is {k:.6g} times the sign of {gap.role}: L1."
        )


def grad_y_alone(gap: Gap) -> Iterator[Bug]:
    """grad_x = grad_y: the layer's own derivative does not stand in it."""
    if gap.role == INPUT and gap.case.subject.family == "layer" and gap.is_(gap.case.grad_y):
        yield found("local-derivative-missing", gap.role, 0.95, {"a": "grad_y"}, "It is grad_y itself.")
