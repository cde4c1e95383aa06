"""Bugs of losses and models: targets that do not count, targets of elsewhere, softmax derivatives too many."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.bugs import Bug, found
from engine.hypotheses.case import Case, Gap, exactly, same
from engine.subject import INPUT, Array, SubjectError


def forward_probes(case: Case) -> Iterator[Bug]:
    """What forward alone shows: a loss that no target changes, or that does not care whose target is whose.

    A loss far out may be like that by chance, so it is asked at several inputs.
    """
    if case.subject.family == "layer" or case.targets is None or case.land.forward.random or case.batch < 3:
        return
    order = shuffled(case.targets)
    if order is None:
        return
    try:
        losses = np.array([_losses(case, x, order) for x in _inputs(case, case.targets)])
    except SubjectError:
        return
    losses = losses[np.isfinite(losses).all(axis=1)]
    if len(losses) < 2 or not losses[:, 0].any():
        return
    here, at_shuffled, at_others = losses.T
    evidence = {"loss": here[0], "with_shuffled_targets": at_shuffled[0], "with_others": at_others[0]}
    if np.allclose(at_others, here, rtol=1e-12, atol=0):
        yield found("labels-ignored", "", 0.9, evidence, "Forward ignores them.")
    elif np.allclose(at_shuffled, here, rtol=1e-12, atol=0):
        detail = f"Shuffling the targets leaves the loss at {here[0]:.6g}."
        yield found("broadcast", "loss", 0.97, evidence, detail)


def _inputs(case: Case, targets: Array) -> list[Array]:
    """x, x of another size and a little moved, and where x is like the targets: near them."""
    rng = case.rng
    moved = 1 + 0.1 * rng.standard_normal((2, *case.x.shape))
    size = float(np.abs(case.x).max()) or 1.0
    found_inputs = [case.x.copy(), case.x * moved[0], case.x / size * moved[1]]
    if targets.shape == case.x.shape and targets.dtype.kind == "f":
        found_inputs.append(0.8 * targets[::-1] + 0.05 + 0.02 * rng.standard_normal(targets.shape))
    return found_inputs


def _losses(case: Case, x: Array, order: Array) -> tuple[float, float, float]:
    """The loss at x with the targets as they are, shuffled, and others."""
    assert case.targets is not None
    at = case.land.forward.at
    all_targets = (case.targets, case.targets[order], other_targets(case.targets))
    one, two, three = (float(np.sum(at(x.copy(), targets))) for targets in all_targets)
    return one, two, three


def shuffled(targets: Array) -> Array | None:
    """An order in which some sample has another target; None where all are the same."""
    order = np.roll(np.arange(len(targets)), 1)
    return order if not np.array_equal(targets[order], targets) else None


def other_targets(targets: Array) -> Array:
    """Targets of the same kind of which each differs."""
    if targets.dtype.kind in "iub":
        return np.asarray((targets.astype(np.intp) + 1) % (int(targets.max()) + 1)).astype(targets.dtype)
    if targets.ndim == 2 and targets.shape[1] > 1 and _one_hot(targets):
        return np.roll(targets, 1, axis=1)
    return np.asarray(1 - targets if targets.min() >= 0 and targets.max() <= 1 else targets + 0.7)


def _one_hot(targets: Array) -> bool:
    return bool(np.isin(targets, (0, 1)).all() and (targets.sum(axis=1) == 1).all())


def targets_unused(gap: Gap) -> Iterator[Bug]:
    """A gradient that stays when the targets are shuffled: they are ignored, or others are read."""
    case = gap.case
    if case.subject.family == "layer" or case.targets is None or not gap.shaped:
        return
    order = shuffled(case.targets)
    given = case.run.gradients.get(gap.role)
    if order is None or given is None:
        return
    try:
        others = [case.targets[order], other_targets(case.targets)]
        again = [case.fresh(case.x, targets, case.grad_y).gradients.get(gap.role) for targets in others]
    except SubjectError:
        return
    unused = all(one is not None and exactly(given, one) for one in again) and _should_react(gap, others)
    where = _right_for(gap) if gap.role == INPUT else None
    evidence = {"reacts_to_targets": not unused}
    if where is not None:
        slug = "labels-ignored" if where == "0" and unused else "labels-from-elsewhere"
        yield found(slug, gap.role, 0.95, {**evidence, "right_for": where}, f"It is right for the targets {where}.")
    elif unused:
        yield found("labels-ignored", gap.role, 0.85, evidence, "It stays the same when the targets are shuffled.")


def _should_react(gap: Gap, others: list[Array]) -> bool:
    """Whether the right gradient changes with the targets; far out that of |y − t| does not."""
    return not any(same(gap.case.numeric(gap.role, targets), gap.n, gap.known) for targets in others)


def _right_for(gap: Gap) -> str | None:
    """The targets, as text, for which the gradient of the outputs would be right; None where there are none."""
    targets, x = gap.case.targets, gap.case.x
    assert targets is not None
    if x.ndim != 2 or len(targets) != len(x):
        return None
    hot = targets.ndim == 2 and targets.shape[1] > 1 and _one_hot(targets)
    try:
        if targets.dtype.kind in "iu" or hot:
            return _class_each(gap, x.shape[1], hot)
        return _value_each(gap)
    except (SubjectError, ArithmeticError, IndexError):
        return None


def _class_each(gap: Gap, classes: int, hot: bool) -> str | None:
    """The class of each row whose gradient it has."""
    targets = gap.case.targets
    assert targets is not None
    if gap.is_(gap.case.numeric(INPUT, np.zeros_like(targets))) and hot:
        return "0"
    found_classes = np.full(len(targets), -1)
    for k in range(classes):
        as_given = np.zeros_like(targets)
        if hot:
            as_given[:, k] = 1
        else:
            as_given[...] = k
        rows = gap.case.numeric(INPUT, as_given)
        for row in np.flatnonzero(found_classes < 0):
            if np.allclose(gap.a[row], rows[row], rtol=0, atol=1e-6 * np.abs(rows).max()):
                found_classes[row] = k
    return ", ".join(map(str, found_classes)) if (found_classes >= 0).all() else None


def _value_each(gap: Gap) -> str | None:
    """The value of each entry for which a gradient that is linear in the targets would be right."""
    targets = gap.case.targets
    assert targets is not None
    at_0, at_1 = (gap.case.numeric(INPUT, np.full_like(targets, value)) for value in (0.0, 1.0))
    with np.errstate(all="ignore"):
        wanted = (gap.a - at_0) / (at_1 - at_0)
    if not np.isfinite(wanted).all() or wanted.size != targets.size:
        return None
    if np.abs(wanted).max() < 1e-6:
        return "0"
    order = np.sort(wanted.reshape(-1)), np.sort(targets.reshape(-1))
    unused = np.allclose(*order, atol=1e-5) or np.ptp(wanted) < 1e-5 or np.isin(np.round(wanted, 5), (0.0, 1.0)).all()
    if not unused or not gap.is_(gap.case.numeric(INPUT, wanted.reshape(targets.shape))):
        return None
    return ", ".join(f"{value:.4g}" for value in wanted.reshape(-1)[:8])


def cross_entropy(gap: Gap) -> Iterator[Bug]:
    """Softmax with cross-entropy: the softmax's derivative once more, or a softmax over the batch."""
    case, x = gap.case, gap.case.x
    if case.subject.family != "loss" or gap.role != INPUT or not gap.shaped or x.ndim != 2 or x.shape[1] < 2:
        return
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    over_batch = np.exp(x - x.max(axis=0))
    over_batch /= over_batch.sum(axis=0)
    whole = np.exp(x - x.max())
    target = _target_part(gap, p)
    if target is None:
        return
    c, t = target
    again = gap.n - p * (gap.n * 1).sum(axis=1, keepdims=True)
    guesses = {
        "extra-derivative": (
            gap.n * p * (1 - p),
            p * (gap.n - (gap.n * p).sum(axis=1, keepdims=True)),
            gap.n * p,
            again,
        ),
        "softmax-wrong-axis": (c * (over_batch - t), c * (whole / whole.sum() - t)),
        "softmax-diagonal-only": (-c * t * (1 - p), c * t * (p - 1)),
        "labels-ignored": (c * p,),
    }
    for slug, arrays in guesses.items():
        if any(gap.is_(guess) for guess in arrays):
            yield found(slug, gap.role, 0.95, {"classes": x.shape[1]})
            return


def _target_part(gap: Gap, p: Array) -> tuple[float, Array] | None:
    """c and t (B, K) where n = c·(p − t): the loss is a cross-entropy of the softmax; None where it is not."""
    targets = gap.case.targets
    if targets is None:
        return None
    for c in (1 / gap.case.batch, 1.0, 1 / p.size):
        t = p - gap.n / c
        if np.allclose(t.sum(axis=1), 1, rtol=0, atol=1e-6) and t.min() > -1e-6:
            hot = np.eye(p.shape[1])[targets] if targets.dtype.kind in "iu" and targets.ndim == 1 else targets
            if hot.shape == t.shape and np.array_equal(t.argmax(axis=1), hot.argmax(axis=1)):
                return c, t
    return None
