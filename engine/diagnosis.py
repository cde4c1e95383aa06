"""The bug's name: what is wrong in a backward, told from outside by contracts, verdicts and hypotheses.

Contracts come first (what changes, what is kept from call to call), then the verdict of every tensor, then for each
that fails the bugs whose marks it bears. A bug is named only where a verdict is fail or a contract is broken; what
fits nothing is `unknown`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import numpy as np

from engine.bugs import Bug, found
from engine.generators import global_generators_kept
from engine.hypotheses import conduct, elementwise, generic, losses, mixing, perceptron
from engine.hypotheses.case import Case, Gap
from engine.subject import Subject, SubjectError, SubjectReport
from engine.tensorcheck import TensorReport

_Asked = TypeVar("_Asked", Case, Gap)
BATCH = 5  # samples: a prime, so that a factor names its size
OF_A_CASE: tuple[Callable[[Case], Iterator[Bug]], ...] = (
    conduct.changes_what_it_gets,
    conduct.integers,
    conduct.keeps_the_past,
    conduct.softmax_over_batch,
    losses.forward_probes,
    conduct.overflow,
)
OF_A_TENSOR: tuple[Callable[[Gap], Iterator[Bug]], ...] = (  # the first that knows the difference names it
    generic.wrong_shape,
    generic.whole_numbers,
    conduct.upstream,
    elementwise.dropout,
    losses.targets_unused,
    generic.constant_factor,
    losses.cross_entropy,
    mixing.residual,
    mixing.shared_weights,
    elementwise.relu_mask,
    elementwise.smooth,
    mixing.softmax,
    mixing.normalisation,
    generic.axes_exchanged,
    generic.wrong_sum,
    generic.penalty,
    generic.grad_y_alone,
    conduct.only_one_sample,
)


def examine(subject: Subject, seed: int = 0, batch: int = BATCH) -> SubjectReport:
    """The verdict of every tensor of a subject, and its bugs by name, the surest first.

    NumPy's and Python's own generators are as before in the end. Raises SubjectError where the code cannot be run.
    """
    with global_generators_kept(), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the code under check
        x, targets = subject.draw(np.random.Generator(np.random.PCG64([seed, batch])), batch)
        return _report(Case(subject, np.array(x), targets, seed))


def _report(case: Case) -> SubjectReport:
    """Contracts, verdicts, hypotheses."""
    case.run  # noqa: B018  # raises SubjectError where nothing runs
    if not case.land.forward.repeatable:
        return SubjectReport(case.subject, _not_repeatable(case))
    bugs = [bug for probe in OF_A_CASE for bug in _heard(probe, case)]
    tensors = {role: case.judge(role) for role in case.analytic}
    failing = [role for role, report in tensors.items() if report.verdict == "fail"]
    bugs += _of_tensors(case, tensors, failing)
    if not failing and not bugs:
        bugs += conduct.one_sample(case)
    serious = [bug for bug in bugs if bug.slug != "overflow"]
    if failing and not serious:
        bugs.append(_unknown(failing, tensors))
    return SubjectReport(case.subject, tensors, merged(bugs))


def _of_tensors(case: Case, tensors: dict[str, TensorReport], failing: list[str]) -> list[Bug]:
    """The bugs of the tensors that fail, one by one; of a model, those that none knows alone together."""
    bugs, unnamed = [], []
    for role in failing:
        gap = case.gap(role, tensors[role])
        named = _named(gap)
        bugs += named
        if not named or named[0].confidence < 0.7:
            unnamed.append(gap)
    if unnamed and case.subject.family == "model":
        numeric = {role: report.numeric for role, report in tensors.items() if np.isfinite(report.numeric).all()}
        together = list(perceptron.explain(case, numeric, unnamed))
        if together:
            roles = {gap.role for gap in unnamed}
            bugs = [bug for bug in bugs if bug.tensor not in roles] + together
    return bugs


def _named(gap: Gap) -> list[Bug]:
    """What the first hypothesis that knows a failing tensor says of it."""
    return next((named for hypothesis in OF_A_TENSOR if (named := _heard(hypothesis, gap))), [])


def _heard(hypothesis: Callable[[_Asked], Iterator[Bug]], asked: _Asked) -> list[Bug]:
    """What a hypothesis says; nothing where the code refuses its inputs, or has shapes that it does not think of."""
    try:
        return list(hypothesis(asked))
    except (SubjectError, ValueError):
        return []


def _unknown(failing: list[str], tensors: dict[str, TensorReport]) -> Bug:
    """The bug without a name, with the first tensor that shows it."""
    report = tensors[failing[0]]
    evidence = {"error": report.error, "tensors": failing}
    return found("unknown", failing[0], 1.0, evidence, f"In {failing[0]}, {report.note}.")


def _not_repeatable(case: Case) -> dict[str, TensorReport]:
    """A verdict for each tensor of a forward that differs from call to call, however its generators are seeded."""
    note = "forward gives another result at every call; draw from np.random or a generator made in the constructor"
    return {
        role: TensorReport(
            role, "unresolvable", note, float("nan"), a, np.full(a.shape, np.nan), np.zeros(a.shape, np.int8)
        )
        for role, a in case.analytic.items()
    }


def merged(bugs: list[Bug]) -> tuple[Bug, ...]:
    """One bug for each slug, the surest first; the tensors that show it stand in its evidence."""
    by_slug: dict[str, list[Bug]] = {}
    for bug in bugs:
        by_slug.setdefault(bug.slug, []).append(bug)
    one_each = []
    for same_slug in by_slug.values():
        best = max(same_slug, key=lambda bug: bug.confidence)
        roles = list(dict.fromkeys(bug.tensor for bug in same_slug if bug.tensor))
        evidence = best.evidence | ({"tensors": roles} if len(roles) > 1 else {})
        one_each.append(msgspec.structs.replace(best, evidence=evidence))
    return tuple(sorted(one_each, key=lambda bug: -bug.confidence))
