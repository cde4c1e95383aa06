"""Bugs of layers that work entry by entry: masks of ReLUs, derivatives left out or taken twice, dropout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engine.bugs import Bug, found
from engine.hypotheses.case import Gap, same
from engine.subject import INPUT, Array


class Slopes(NamedTuple):
    """What an elementwise layer multiplies grad_y by, 1-D over the known entries."""

    wrong: Array  # in backward
    right: Array  # as forward has it
    x: Array
    y: Array
    grad_y: Array


def _slopes(gap: Gap) -> Slopes | None:
    case = gap.case
    if gap.role != INPUT or not gap.shaped or not case.elementwise:
        return None
    known = gap.known & (np.abs(case.grad_y) > 1e-3) & np.isfinite(gap.a)
    if known.sum() < 2:
        return None
    g = case.grad_y[known]
    return Slopes(gap.a[known] / g, gap.n[known] / g, case.x[known], case.y[known], g)


def dropout(gap: Gap) -> Iterator[Bug]:
    """A mask that does not hang on x: its scale missing or doubled in backward, or a mask of another draw."""
    slopes = _slopes(gap)
    if slopes is None or not _masks(gap, slopes.right):
        return
    wrong, right = slopes.wrong, slopes.right
    scale = float(np.abs(right).max())
    keep = {"keep": 1 / scale, "kept": float(np.mean(right != 0))}
    c = gap.factor
    if c is not None:
        if min(abs(c * scale - 1), abs(c - scale)) < 1e-5:
            yield found("dropout-scale", gap.role, 0.97, {**keep, "factor": c})
        return
    values = np.abs(wrong[np.abs(wrong) > 1e-9])
    one_scale = len(values) == 0 or np.ptp(values) <= 1e-5 * values.max()
    if len(values) == len(wrong) and one_scale:
        yield found("local-derivative-missing", gap.role, 0.9, keep, "The mask of dropout does not stand in it.")
    elif one_scale:
        other = float(np.mean((wrong != 0) != (right != 0)))
        yield found("dropout-mask-redrawn", gap.role, 0.95, {**keep, "differing_share": other})


def _masks(gap: Gap, right: Array) -> bool:
    """Whether y = x ⊙ m with m either 0 or one number, whatever the sign of x."""
    case, scale = gap.case, float(np.abs(right).max(initial=0.0))
    two = scale > 0 and bool(np.all((np.abs(right) < 1e-6 * scale) | (np.abs(right - scale) < 1e-6 * scale)))
    return two and (right == 0).any() and same(case.land.forward.at(-case.x), -case.y, None, 1e-9)


def relu_mask(gap: Gap) -> Iterator[Bug]:
    """A layer with one slope on each side of 0: the mask missing, inverted, or taken of another tensor."""
    slopes = _slopes(gap)
    if slopes is None or gap.case.land.forward.random:
        return
    wrong, right, x = slopes.wrong, slopes.right, slopes.x
    above, below = x > 0, x < 0
    if not above.any() or not below.any() or not _one(right[above]) or not _straight(gap):
        return
    top = float(right[above][0])
    if not top:
        return
    off_above, off_below = not _all(wrong[above], right[above]), not _all(wrong[below], right[below])
    evidence = {
        "wrong_where_positive": float(np.mean(np.abs(wrong - right)[above] > 1e-6)),
        "wrong_where_negative": float(np.mean(np.abs(wrong - right)[below] > 1e-6)),
    }
    if off_above and off_below and _all(wrong[below], top) and not _all(wrong[above], top):
        yield found("relu-mask-inverted", gap.role, 0.98, evidence)
    elif not off_above and off_below and _all(wrong[below], top):
        yield found("relu-mask-missing", gap.role, 0.98, evidence, "It is grad_y itself.")
    elif not off_above and off_below and _all(wrong[below], 0.0):
        yield found("relu-mask-missing", gap.role, 0.9, evidence, "The slope for negative inputs is lost.")
    elif _all(wrong[slopes.grad_y > 0], top) and _all(wrong[slopes.grad_y < 0], float(np.median(right[below]))):
        yield found("relu-mask-missing", gap.role, 0.9, evidence, "The mask is taken of grad_y, not of the input.")
    elif not off_above and off_below and _one(wrong[below]):
        yield found("relu-mask-missing", gap.role, 0.7, evidence, "Another slope stands where the input is negative.")


def _straight(gap: Gap) -> bool:
    """Whether the slopes stay as they are when x grows: two straight lines that meet at 0."""
    case = gap.case
    return same(case.land.forward.at(2 * case.x), 2 * case.y, None, 1e-9)


def smooth(gap: Gap) -> Iterator[Bug]:
    """A curved function: its derivative twice, of the wrong tensor, or a part of it left out."""
    slopes = _slopes(gap)
    if slopes is None or gap.case.land.forward.random or _one(slopes.right):
        return
    wrong, right, x, y = slopes.wrong, slopes.right, slopes.x, slopes.y
    known = gap.known & (np.abs(gap.case.grad_y) > 1e-3) & np.isfinite(gap.a)
    of_y = gap.case.slopes_at(gap.case.y)[known]
    of_slope = gap.case.slopes_at(gap.case.slopes_at(gap.case.x))[known]
    too_many = {
        "It stands twice.": right * right,
        "It stands three times.": right**3,
        "It is taken of the output, as if the function were applied twice.": of_y,
        "Its formula is in terms of the output, but it is given the input: x(1 − x).": x * (1 - x),
        "Its formula is in terms of the output, but it is given the input: 1 − x².": 1 - x * x,
        "It is taken of the output and of the input.": right * of_y,
        "It is taken of the derivative.": of_slope,
    }
    missing = {
        "It is grad_y itself.": np.ones_like(y),
        "The factor (1 − y) is left out.": y,
        "The factor y is left out.": 1 - y,
        "The output itself stands in its place.": -y,
        "1 − y stands where 1 − y² belongs.": 1 - np.abs(y),
        "1 + y stands where 1 − y² belongs.": 1 + y,
        "The 1 of 1 − y² is left out.": y * y,
    }
    for slug, guesses in (("local-derivative-missing", missing), ("extra-derivative", too_many)):
        for detail, guess in guesses.items():
            if _all(wrong, guess) and not _all(right, guess):
                yield found(slug, gap.role, 0.95, {"entries": len(wrong)}, detail)
                return


def _all(one: Array, other: Array | float) -> bool:
    """Whether all slopes are these, nearly all by the digits that differences have."""
    other = np.broadcast_to(other, one.shape)
    return len(one) > 0 and bool(np.all(np.abs(one - other) <= 2e-5 * (1 + np.maximum(np.abs(one), np.abs(other)))))


def _one(values: Array) -> bool:
    """Whether all are one number."""
    return _all(values, float(values[0]))
