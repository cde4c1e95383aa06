"""Form 6: a loss and its gradient, as two functions, as a class, or as one function that returns both."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from engine.owncode.arrays import Array
from engine.owncode.load import Source
from engine.owncode.names import meaning
from engine.owncode.setting import (
    BACKWARD_RAISED,
    NOT_FINITE,
    RAISED,
    WRONG_KIND,
    Domain,
    Setting,
    UnfitError,
    plain_array,
)
from engine.owncode.slopes import agreement
from engine.subject import Copy, Subject, SubjectError

Targets = Literal["labels", "onehot", "values", "bits", "signs"]
Reduction = Literal["", "mean", "sum", "mean of all"]
CLASSES = 3
SQUARED = re.compile(r"mse|squar|quadratic|mae|huber|rmse|sse|l1|l2|absolute|regression", re.I)
BINARY = re.compile(r"binary|bce|logistic|bernoulli", re.I)
HINGE = re.compile(r"hinge|svm|margin", re.I)
EXPONENTIAL = ("exp", "softmax", "logsumexp", "log_softmax", "sigmoid", "log1p", "logaddexp")

Evaluate = Callable[[Array, Array], Any]


@dataclass(frozen=True)
class LossSetting:
    """How a loss is fed: the predictions, the kind of targets, and what a loss per sample is averaged by."""

    data: Setting
    targets: Targets
    reduction: Reduction = ""
    through: Literal["", "softmax", "sigmoid"] = ""  # predictions are made from logits, of which the gradient is

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array]:
        """Predictions (B, *shape) and their targets."""
        y = self.data.draw(rng, batch)
        return y, draw_targets(self.targets, y, rng)


def draw_targets(kind: Targets, y: Array, rng: np.random.Generator) -> Array:
    """Targets for predictions of this shape: labels (B,), the rest with the shape of y."""
    classes = y.shape[-1] if y.ndim > 1 else 2
    if kind == "labels":
        return rng.integers(0, classes, len(y))
    if kind == "onehot":
        return np.eye(classes)[rng.integers(0, classes, len(y))] if y.ndim > 1 else rng.integers(0, 2, y.shape) * 1.0
    if kind == "bits":
        return rng.integers(0, 2, y.shape) * 1.0
    return np.where(rng.random(y.shape) < 0.5, -1.0, 1.0) if kind == "signs" else rng.standard_normal(y.shape)


class OwnLoss(Subject):
    """A loss of a user's file; `make` gives an evaluation and a gradient that belong together."""

    family: Literal["layer", "loss", "model"] = "loss"
    form = 6

    def __init__(
        self, name: str, make: Callable[[], tuple[Evaluate, Evaluate]], setting: LossSetting, names: tuple[str, str]
    ) -> None:
        self.name, self.make, self.setting = name, make, setting
        self.forward_name, self.backward_name = names
        self.sums = False  # its gradient is meant as that of the sum over the mini-batch

    def copy(self) -> OwnLossCopy:
        """The code at work."""
        return OwnLossCopy(self)

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Array, Array]:
        """Predictions and targets that the loss takes."""
        return self.setting.draw(rng, batch)


class OwnLossCopy(Copy):
    """One copy of a loss at work, handed samples as rows."""

    def __init__(self, subject: OwnLoss) -> None:
        self.subject, self.parameters = subject, {}
        self.evaluate, self.gradient = subject.make()

    def forward(self, x: Array, targets: Array | None = None) -> Array:
        """The loss, shape ()."""
        assert targets is not None
        setting = self.subject.setting
        self.x, self.targets = predicted(setting.through, x), targets
        value = self.evaluate(setting.data.give(self.x), setting.data.give(targets))
        return reduced(value, setting.reduction, len(x), self.subject.forward_name)

    def backward(self, grad_y: Array) -> dict[str, Array]:
        """The gradient with respect to the predictions, samples as rows."""
        data = self.subject.setting.data
        found = self.gradient(data.give(self.x), data.give(self.targets))
        which = "the gradient with respect to the predictions"
        gradient = np.array(data.take(plain_array(found, self.subject.backward_name, which))) * grad_y
        return {"x": gradient / len(self.x) if self.subject.sums else gradient}


def predicted(through: str, logits: Array) -> Array:
    """Predictions made from logits, where the gradient is meant with respect to these."""
    if through == "softmax":
        shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True))
    return 1 / (1 + np.exp(-logits)) if through == "sigmoid" else logits


def reduced(value: Any, reduction: Reduction, count: int, what: str) -> Array:
    """A loss as one number. Raises SubjectError where it is none."""
    if value is None:
        raise SubjectError(f"{what} returns None; return the loss")
    if isinstance(value, list | tuple | dict | str):
        raise SubjectError(f"{what} returns a {type(value).__name__}; return the loss, a number or one for each sample")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise SubjectError(f"{what} returns {array.dtype}; return the loss, a number or one for each sample")
    array = np.asarray(array, np.float64)
    if array.size == 1:
        return np.array(array.reshape(()))
    total = np.asarray(array.sum())
    return total / count if reduction == "mean" else total / array.size if reduction == "mean of all" else total


# --- finding how it is fed ------------------------------------------------------------------------


def prediction_first(names: list[str]) -> bool:
    """Whether of two arguments the first is the prediction, as in loss(logits, y); not in mse(y_true, y_pred)."""
    kinds = [meaning(name) for name in names]
    if kinds == ["target", "target"]:  # loss(y, t) is common, loss(t, y) too
        return names[1].lower() != "y" or names[0].lower() == "y"
    return kinds[:1] != ["target"]


def feed(
    source: Source, name: str, body: str, make: Callable[[], tuple[Evaluate, Evaluate]], names: tuple[str, str],
    usual: Setting | None,
) -> OwnLoss:  # fmt: skip
    """The loss with the setting that fits it. Raises SubjectError where none does: why the likeliest does not.

    `body`: the qualified name whose code is looked into for logarithms and exponentials.
    """
    worked: list[OwnLoss] = []
    failures: list[UnfitError] = []
    for setting in _settings(source, name, body, usual):
        subject = OwnLoss(name, make, setting, names)
        try:
            if _try(subject):
                return _with_the_kind_that_fails(_as_meant(source, subject, body))
            worked.append(subject)
        except UnfitError as failure:
            failures.append(failure)
    if worked:
        return _as_meant(source, worked[0], body)
    raise max(failures, key=lambda failure: failure.stage)


def _with_the_kind_that_fails(subject: OwnLoss) -> OwnLoss:
    """A loss that takes labels and one-hot rows alike is fed the kind whose gradient is wrong, if one is."""
    if subject.setting.targets != "labels" or subject.setting.data.layout != "rows":
        return subject
    setting = replace(subject.setting, targets="onehot")
    other = OwnLoss(subject.name, subject.make, setting, (subject.forward_name, subject.backward_name))
    y, labels = subject.draw(np.random.default_rng(2), subject.setting.data.batch)
    try:
        with np.errstate(all="ignore"):
            by_label = subject.copy().forward(y, labels)
            by_row = other.copy().forward(y, np.eye(y.shape[-1])[labels])
            if np.isclose(by_label, by_row, rtol=1e-9) and agreement(other) != "same":
                return other
    except (SubjectError, IndexError):
        pass  # it takes labels alone
    return subject


def _settings(source: Source, name: str, body: str, usual: Setting | None) -> Iterator[LossSetting]:
    layouts = ["rows", "columns"] if usual is None or usual.layout != "columns" else ["columns", "rows"]
    for shape in ((CLASSES,), (1,), ()):
        for layout in layouts:
            for kind in _kinds(name, columns=layout == "columns"):
                for domain in _domains(source, body, kind):
                    yield LossSetting(Setting(layout, shape, 5, domain), kind)  # type: ignore[arg-type]


def _kinds(name: str, columns: bool) -> list[Targets]:
    if SQUARED.search(name):
        return ["values", "onehot", "labels"]
    if BINARY.search(name):
        return ["bits", "onehot", "labels"]
    if HINGE.search(name):
        return ["labels", "signs", "onehot"]
    return ["onehot", "labels", "values"] if columns else ["labels", "onehot", "values"]


def _domains(source: Source, body: str, kind: Targets) -> list[Domain]:
    """Probabilities first where the code takes logarithms of what it is given."""
    logarithm = any(source.mentions(body, word) for word in ("log", "log2", "log10"))
    if logarithm and not any(source.mentions(body, word) for word in EXPONENTIAL):
        return ["unit", "simplex"] if kind == "bits" else ["simplex", "unit"]
    return ["normal", "simplex", "unit"]


def _try(subject: OwnLoss) -> bool:
    """Run it once; whether the gradient has the shape of the predictions. Raises UnfitError."""
    with np.errstate(all="ignore"):
        y, targets = subject.draw(np.random.default_rng(1), subject.setting.data.batch)
        worker = subject.copy()
        try:
            value = worker.forward(y, targets)
        except SubjectError as error:
            raise UnfitError(RAISED if " returns " not in str(error) else WRONG_KIND, error) from error
        if not np.isfinite(value):
            raise UnfitError(NOT_FINITE, f"{subject.forward_name} returns {value} for ordinary predictions")
        try:
            gradient = worker.backward(np.ones(()))["x"]
        except SubjectError as error:
            raise UnfitError(BACKWARD_RAISED, error) from error
    return gradient.shape == y.shape


def _as_meant(source: Source, subject: OwnLoss, body: str) -> OwnLoss:
    """The loss with what is averaged, and of what the gradient is, told by what fits; else as it stands."""
    value, _ = _raw(subject)
    reductions: list[Reduction] = [""]
    if np.size(value) > 1:
        used = how_used(source, body.split(".")[0])
        each_sample = np.size(value) == subject.setting.data.batch
        # One number per sample is averaged over the mini-batch, as nearly everyone does, where the file says nothing.
        reductions = [used or "mean"] if each_sample else ["sum", "mean", "mean of all"]
    throughs: list[Any] = [""]
    if subject.setting.data.domain == "simplex":
        throughs = ["", "softmax"]
    elif subject.setting.data.domain == "unit":
        throughs = ["", "sigmoid"]
    scaled = None
    for through in throughs:
        for reduction in reductions:
            data = subject.setting.data if not through else replace(subject.setting.data, domain="normal")
            setting = replace(subject.setting, data=data, reduction=reduction, through=through)
            meant = OwnLoss(subject.name, subject.make, setting, (subject.forward_name, subject.backward_name))
            found = agreement(meant)
            if found == "same":
                return meant
            if found == "scaled" and scaled is None:
                scaled = meant
    plain = OwnLoss(subject.name, subject.make, replace(subject.setting, reduction=reductions[0]),
                    (subject.forward_name, subject.backward_name))  # fmt: skip
    return scaled or plain


def _raw(subject: OwnLoss) -> tuple[Any, Array]:
    y, targets = subject.draw(np.random.default_rng(1), subject.setting.data.batch)
    evaluate, _ = subject.make()
    return evaluate(subject.setting.data.give(y), subject.setting.data.give(targets)), y


def how_used(source: Source, name: str) -> Reduction:
    """Whether the file takes the mean or the sum of a function's values: np.mean(loss(…)), loss(…).mean(), by name."""
    held = {
        target.id
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and _calls(node.value, name)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr not in ("mean", "sum"):
            continue
        for about in [node.func.value, *node.args[:1]]:
            if _calls(about, name) or (isinstance(about, ast.Name) and about.id in held):
                return "mean" if node.func.attr == "mean" else "sum"
    return ""


def _calls(node: ast.AST, name: str) -> bool:
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return isinstance(function, ast.Name) and function.id == name
