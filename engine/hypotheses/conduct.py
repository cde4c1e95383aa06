"""What code does beside computing: changes what it is given, keeps what it should forget, breaks at a batch of one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.bugs import Bug, found
from engine.generators import SEED, seed_globals
from engine.hypotheses.case import Case, Gap, exactly, same
from engine.subject import INPUT, Array, SubjectError


def changes_what_it_gets(case: Case) -> Iterator[Bug]:
    """Inputs, parameters and the upstream gradient stay as they are."""
    for role in case.run.changed:
        yield found("mutates-input", role, 0.99, {"changed_by_up_to": case.run.seen[role]})


def integers(case: Case) -> Iterator[Bug]:
    """Parameters, outputs or gradients of integers."""
    copy = case.land.forward.copy
    for role, value in copy.parameters.items():
        if np.asarray(value).dtype.kind in "iub":
            yield found("integer-dtype", role, 0.97, {"dtype": str(value.dtype)}, "The parameter itself is.")
    if case.land.forward.first.dtype.kind in "iub" and case.x.dtype.kind == "f":
        kind = str(case.land.forward.first.dtype)
        yield found("integer-dtype", "", 0.97, {"dtype": kind}, "Forward's output is.")
    for role, gradient in case.run.gradients.items():
        if np.asarray(gradient).dtype.kind in "iub":
            yield found("integer-dtype", role, 0.99, {"dtype": str(np.asarray(gradient).dtype)})


def keeps_the_past(case: Case) -> Iterator[Bug]:
    """Another forward, or a whole call, before this one: the gradients must be those of this one alone."""
    rng = np.random.Generator(np.random.PCG64([case.seed, 11]))
    x, targets = case.subject.draw(rng, case.batch)
    other = np.array(x, np.float64)
    if other.shape != case.x.shape or np.array_equal(other, case.x):
        other = case.x[::-1] * 0.7 + 0.1
    other_g = rng.standard_normal(case.grad_y.shape) if case.subject.family == "layer" else case.grad_y
    try:
        first, older = case.fresh(other, targets, other_g).gradients, case.fresh(other, targets, case.grad_y).gradients
        half = _gradients(case, [(case.x, targets)]) if targets is not None else {}
        called = _gradients(case, [(other, targets), other_g, (case.x, case.targets)])
        passed = _gradients(case, [(other, targets), (case.x, case.targets)])
    except SubjectError:
        return
    for role, right in case.run.gradients.items():
        for now in (called.get(role), passed.get(role)):
            if now is None or exactly(now, right):
                continue
            size = {"norm": float(np.linalg.norm(now)), "right": float(np.linalg.norm(right))}
            if _is_sum(now, right, first.get(role)):
                yield found("accumulates-across-calls", role, 0.98, size, "A second call gives the sum of both.")
            elif role in older and exactly(now, older[role]):
                yield found("stale-cache", role, 0.98, size)
            elif role in half and exactly(now, half[role]):
                yield found("labels-from-elsewhere", role, 0.95, size, "They are those of an earlier forward.")
            else:
                continue
            break


def _is_sum(now: Array, right: Array, first: Array | None) -> bool:
    """Whether a gradient is that of this call and of the one before together."""
    return first is not None and first.shape == right.shape and exactly(now, right + first)


def _gradients(case: Case, calls: list[tuple[Array, Array | None] | Array]) -> dict[str, Array]:
    """The last backward's gradients after these forwards, an array standing for a backward, on one copy."""
    copy = case.subject.copy()
    parameters = {role: value.copy() for role, value in copy.parameters.items()}
    for call in calls:
        if not isinstance(call, tuple):
            copy.backward(call.copy())
            for role, value in parameters.items():  # those that update themselves start anew
                copy.parameters[role][...] = value
        else:
            seed_globals(SEED)
            copy.forward(call[0].copy(), call[1])
    return {role: np.array(value) for role, value in copy.backward(case.grad_y.copy()).items()}


def upstream(gap: Gap) -> Iterator[Bug]:
    """The same gradient whatever comes from behind."""
    case = gap.case
    if case.subject.family != "layer":
        return
    given = case.run.gradients[gap.role]
    other = case.rng.standard_normal(case.grad_y.shape)
    for grad_y in (2 * case.grad_y, other):
        if not exactly(given, case.fresh(case.x, case.targets, grad_y).gradients[gap.role]):
            return
    if given.any():
        yield found("upstream-ignored", gap.role, 0.98, {"same_for": "grad_y, 2·grad_y and another"})


def one_sample(case: Case) -> Iterator[Bug]:
    """Right for several samples: right for one, too?"""
    if case.mixes:
        return
    try:
        alone = case.another(1)
        rows = alone.land.y.shape[:1] if case.subject.family == "layer" else (1,)
        analytic = alone.analytic
    except SubjectError as error:
        yield found("batch-of-one", "", 0.95, {"batch": 1}, f"With one sample: {error}")
        return
    if rows != (1,) and len(case.y) == case.batch:
        yield found("batch-of-one", "", 0.95, {"batch": 1, "shape": list(alone.land.y.shape)}, "Forward loses an axis.")
        return
    if not alone.land.forward.repeatable or not np.isfinite(alone.land.loss):
        return
    for role in analytic:
        if not alone.agrees(role) and alone.judge(role).verdict == "fail":
            detail = "It is right for several samples, not for one."
            yield found("batch-of-one", role, 0.95, {"batch": 1, "right_at": case.batch}, detail)
            return


def only_one_sample(gap: Gap) -> Iterator[Bug]:
    """Wrong for several samples, right for one."""
    try:
        alone = gap.case.another(1)
        right = gap.case.batch > 1 and not gap.case.mixes and alone.judge(gap.role).verdict == "pass"
    except (SubjectError, KeyError):
        return
    if right:
        evidence = {"right_at": 1, "batch": gap.case.batch}
        yield found("batch-of-one", gap.role, 0.6, evidence, "It is right for one sample, not for several.")


def overflow(case: Case) -> Iterator[Bug]:
    """NaN or infinity at inputs of ±1000 where the function itself is tame there."""
    if not np.isfinite(case.land.loss) or not case.x.size or not _tame_far_out(case):
        return
    for size in (1000.0, -1000.0):
        try:
            run = case.fresh(size * np.where(case.x > 0, 1.0, -1.0), case.targets, case.grad_y)
        except SubjectError:
            return
        if not np.isfinite(run.y).all():
            where = "" if case.subject.family == "layer" else "loss"
            yield found("overflow", where, 0.95, {"at": 1000.0}, "Forward does.")
            return
        if not all(np.isfinite(gradient).all() for gradient in run.gradients.values()):
            yield found("overflow", INPUT, 0.95, {"at": 1000.0}, "Backward does.")
            return


def _tame_far_out(case: Case) -> bool:
    """Whether forward is a softmax, its logarithm, a cross-entropy of it, or straight far out: finite everywhere."""
    at, x, y = case.land.forward.at, case.x, case.y
    if case.land.forward.random or x.ndim < 2:
        return False
    if case.subject.family == "loss":
        shift = np.linspace(-1, 1, case.batch).reshape(-1, *[1] * (x.ndim - 1))
        return x.shape[-1] > 1 and same(at(x + shift), y, None, 1e-9)
    if case.subject.family != "layer" or y.shape != x.shape or case.land.forward.copy.parameters:
        return False
    if case.elementwise:
        values = [at(np.full_like(x, sign * z)) for sign in (1, -1) for z in (20.0, 30.0, 40.0)]
        return all(np.allclose(values[k + 2] - values[k + 1], values[k + 1] - values[k], atol=1e-6) for k in (0, 3))
    shift = np.linspace(-1, 1, case.batch).reshape(-1, *[1] * (x.ndim - 1))
    moved = at(x + shift)
    return (
        same(moved, y, None, 1e-9)
        and x.ndim == 2
        and bool(np.allclose(y.sum(axis=1), 1) or np.allclose(np.exp(np.minimum(y, 1)).sum(axis=1), 1))
    )


def softmax_over_batch(case: Case) -> Iterator[Bug]:
    """A forward whose columns, over the batch, are distributions, and whose rows are not."""
    y = case.y
    if (
        case.subject.family != "layer"
        or y.ndim != 2
        or y.shape != case.x.shape
        or min(y.shape) < 2
        or not (y > 0).all()
    ):
        return
    if np.allclose(y.sum(axis=0), 1, rtol=0, atol=1e-9) and not np.allclose(y.sum(axis=1), 1, rtol=0, atol=1e-3):
        evidence = {"sum_over_batch": 1.0, "sum_over_classes": float(y.sum(axis=1)[0])}
        yield found("softmax-wrong-axis", "", 0.9, evidence, "Forward's rows do not sum to 1, its columns do.")
