"""Cross-entropy on probabilities, and binary cross-entropy on logits and on probabilities.

Logarithms of probabilities are taken of max(p, c), c = e^−100 (in float32 its smallest normal number, 1.2e-38): so
log p ≥ −100, as in PyTorch's BCELoss, and nothing overflows. The gradient is the slope of what is computed: 0 where p
was clipped. (PyTorch's BCELoss divides by at least 1e-12 instead, and so departs from its own loss for p below it.)
"""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from engine.losses.base import (
    Array,
    AtLabels,
    Loss,
    LossSpec,
    class_labels,
    difference_terms,
    over_entries,
    picked,
    rows_of_targets,
)
from engine.magnitude import magnitude
from engine.terms import Index, Product, Sum, Tensors, cells, constant


def smallest_probability(dtype: DTypeLike) -> float:
    """The probability below which logarithms are clipped."""
    return max(exp(-100.0), float(np.finfo(dtype).tiny))


class CrossEntropy(LossSpec, frozen=True, kw_only=True):
    """L = −mean_n log p[n, label]: the last layer has to give probabilities, as a Softmax layer does."""

    needs_classes: ClassVar[bool] = True
    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "probabilities"

    @property
    def averaging(self) -> str:
        """What it averages."""
        return "mean over the batch"

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        return {"forward": "L = −meanₙ log y[n, label]", "backward": "grad_y = −onehot / (y·B)"}

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """Labels (N,) as integers."""
        return class_labels(labels, self.title())

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return CrossEntropyLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "cross-entropy on probabilities"


class CrossEntropyLoss(Loss):
    """L = −mean_n log max(p[n, label], c); grad_y = −1 / (B·p) at the label where p ≥ c, 0 elsewhere."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self.least = smallest_probability(dtype)
        self._labels = AtLabels(outputs, batch, dtype)
        self._at_label = self._labels.point(np.zeros(batch, np.intp))
        self._logs = np.zeros(batch, dtype)
        self._kept = np.zeros(batch, bool)
        self._flat_grad = self.grad_y.reshape(-1)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """−log max(p[label], c), (N,)."""
        return np.asarray(-np.log(np.maximum(picked(y, targets), self.least)))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over the batch of −log max(p[label], c)."""
        np.copyto(self.p, y)
        self._labels.point(targets)
        at_label = self._labels.take(self.p)
        np.greater_equal(at_label, self.least, out=self._kept)
        np.maximum(at_label, self.least, out=at_label)
        np.log(at_label, out=self._logs)
        return -float(np.add.reduce(self._logs)) / len(y)

    def backward(self) -> Array:
        """−1 / (B·p) at the label, 0 elsewhere."""
        self.grad_y.fill(0)
        slope = np.divide(-1.0 / len(self.p), self._labels.picked, out=self._logs)
        self._flat_grad[self._at_label] = np.multiply(slope, self._kept, out=slope)
        return self.grad_y

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums −log p / B at the labels; grad_y is −1 / (B·p) there."""
        y, labels, batch = at("y"), at("targets"), len(self.p)
        if role == "p":
            return Sum("p = y", [Product((cells("y", y, "y", index),))], {"y": y.shape})
        clipped = np.maximum(y.astype(np.float64), self.least)
        share = constant(r"\frac{1}{B}", 1 / batch)
        if role == "grad_y":
            hit = (labels[index[0]] == index[1]) & (y[index] >= self.least)
            slopes = np.where(hit, -1 / clipped, 0.0)
            function = r"\left( -\frac{1}{{}} \right)" if hit else r"0 \cdot {}"
            formula = r"g_{n,k} = -\frac{\left[ k = \mathrm{label} \right]}{B \, y_{n,k}}"
            return over_entries(formula, y, share, slopes, function, index)
        n = np.arange(batch)
        taken = cells("y", y, "y", (n, labels))
        factor = replace(taken, applied=-np.log(clipped[n, labels]), function=r"\left( -\log {} \right)")
        formula = r"L = -\frac{1}{B} \sum_n \log y_{n,\mathrm{label}}"
        return Sum(formula, [Product((share, factor), samples=n)], {"y": y.shape})

    def decisions(self, y: Array, targets: Array) -> Array:
        """True where the probability at the label is not clipped."""
        return np.asarray(picked(y, targets) >= self.least)


class _Binary(LossSpec, frozen=True, kw_only=True):
    """Binary cross-entropy: each output is a yes-or-no question of its own."""

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """0 and 1 for a single output, one-hot rows for more, or values between 0 and 1 (N, K)."""
        found = rows_of_targets(labels, values, outputs, dtype)
        if len(found) and (found.min() < 0 or found.max() > 1):
            raise ValueError(
                f"the targets run from {found.min():g} to {found.max():g}, but {self.title()} takes 0 to 1; "
                "use a squared error, or one output a class"
            )
        return found


class BinaryCrossEntropy(_Binary, frozen=True, kw_only=True):
    """L = −mean (t·log σ(y) + (1 − t)·log(1 − σ(y))), y logits; in one piece (as PyTorch's BCEWithLogitsLoss)."""

    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        return {
            "forward": "L = −mean (t·log σ(y) + (1 − t)·log(1 − σ(y)))",
            "backward": "grad_y = (σ(y) − t) / (B·K)",
        }

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return BinaryCrossEntropyLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "binary cross-entropy"


class BinaryCrossEntropyLoss(Loss):
    """L = mean (max(y, 0) − y·t + log(1 + e^−|y|)); grad_y = (σ(y) − t) / (B·K)."""

    threshold: ClassVar[float] = 0.0

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self._small = np.zeros((batch, outputs), dtype)  # e^−|y|
        self._terms = np.zeros((batch, outputs), dtype)
        self._positive = np.zeros((batch, outputs), bool)
        self._targets: Array = self.p

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of max(y, 0) − y·t + log(1 + e^−|y|), (N,)."""
        terms = np.log1p(np.exp(-magnitude(y))) + np.maximum(y, 0) - y * targets
        return np.asarray(terms.mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of max(y, 0) − y·t + log(1 + e^−|y|)."""
        small, terms, p = self._small, self._terms, self.p
        self._targets = targets
        np.abs(y, out=small)
        np.negative(small, out=small)
        np.exp(small, out=small)
        np.greater_equal(y, 0, out=self._positive)
        np.copyto(p, small)
        np.copyto(p, 1, where=self._positive)
        np.add(small, 1, out=terms)
        np.divide(p, terms, out=p)  # 1 / (1 + e^−y), or e^y / (1 + e^y) where y < 0: σ(y) without overflow
        np.log1p(small, out=small)
        np.maximum(y, 0, out=terms)
        np.add(small, terms, out=small)
        np.multiply(y, targets, out=terms)
        np.subtract(small, terms, out=small)
        return float(np.add.reduce(small, axis=None)) / small.size

    def backward(self) -> Array:
        """(σ(y) − t) / (B·K)."""
        np.subtract(self.p, self._targets, out=self.grad_y)
        return np.multiply(self.grad_y, 1.0 / self.grad_y.size, out=self.grad_y)

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums the cost of every answer / (B·K); grad_y is (p − t) / (B·K), p = σ(y)."""
        y, t, each = at("y"), at("targets"), 1 / self.p.size
        if role == "grad_y":
            formula = r"g_{n,k} = c \left( p_{n,k} - t_{n,k} \right), \quad c = \frac{1}{B \cdot K}"
            return difference_terms("p", at("p"), float(t[index]), each, index, formula)
        wide = y.astype(np.float64)
        small = np.exp(-np.abs(wide))
        if role == "p":
            function, p = r"\sigma \left( {} \right)", np.where(wide >= 0, 1, small) / (1 + small)
            return over_entries(r"p = \sigma (y)", y, constant("1", 1.0), p, function, index)
        costs = np.log1p(small) + np.maximum(wide, 0) - wide * t
        function = r"\left( -t \log \sigma({}) - (1 - t) \log (1 - \sigma({})) \right)"
        formula = r"L = \frac{1}{B \cdot K} \sum_{n,k} " + function.replace("{}", "y_{n,k}")
        return over_entries(formula, y, constant(r"\frac{1}{B \cdot K}", each), costs, function)

    def believe(self, y: Array) -> Array:
        """σ(y)."""
        small = np.exp(-np.abs(y))
        return np.asarray(np.where(y >= 0, 1, small) / (1 + small), y.dtype)


class BinaryCrossEntropyOnProbabilities(_Binary, frozen=True, kw_only=True):
    """L = −mean (t·log p + (1 − t)·log(1 − p)): the last layer has to give probabilities, as a Sigmoid layer does."""

    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "probabilities"

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        return {
            "forward": "L = −mean (t·log y + (1 − t)·log(1 − y))",
            "backward": "grad_y = ((1 − t)/(1 − y) − t/y) / (B·K)",
        }

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return BinaryCrossEntropyOnProbabilitiesLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "binary cross-entropy on probabilities"


class BinaryCrossEntropyOnProbabilitiesLoss(Loss):
    """L = −mean (t·log max(p, c) + (1 − t)·log max(1 − p, c)), and its slope."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self.least = smallest_probability(dtype)
        self._yes, self._no, self._terms = (np.zeros((batch, outputs), dtype) for _ in range(3))
        self._kept = np.zeros((batch, outputs), bool)
        self._targets: Array = self.p

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of −t·log max(p, c) − (1 − t)·log max(1 − p, c), (N,)."""
        yes, no = np.log(np.maximum(y, self.least)), np.log(np.maximum(1 - y, self.least))
        return np.asarray(-(targets * yes + (1 - targets) * no).mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of −t·log max(p, c) − (1 − t)·log max(1 − p, c)."""
        yes, no, terms = self._yes, self._no, self._terms
        self._targets = targets
        np.copyto(self.p, y)
        np.subtract(1, y, out=no)
        np.log(np.maximum(no, self.least, out=no), out=no)
        np.log(np.maximum(y, self.least, out=yes), out=yes)
        np.multiply(yes, targets, out=yes)
        np.subtract(1, targets, out=terms)
        np.multiply(no, terms, out=no)
        np.add(yes, no, out=yes)
        return -float(np.add.reduce(yes, axis=None)) / yes.size

    def backward(self) -> Array:
        """((1 − t)/(1 − p) [1 − p ≥ c] − t/p [p ≥ c]) / (B·K)."""
        yes, no, terms = self._yes, self._no, self._terms
        np.subtract(1, self.p, out=no)
        np.subtract(1, self._targets, out=terms)
        self._slope(no, terms, self.grad_y)
        self._slope(self.p, self._targets, yes)
        np.subtract(self.grad_y, yes, out=self.grad_y)
        return np.multiply(self.grad_y, 1.0 / self.grad_y.size, out=self.grad_y)

    def _slope(self, p: Array, weight: Array, out: Array) -> None:
        """weight / p where p ≥ c, 0 elsewhere."""
        np.greater_equal(p, self.least, out=self._kept)
        np.maximum(p, self.least, out=out)
        np.divide(weight, out, out=out)
        np.multiply(out, self._kept, out=out)

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums −t·log p − (1 − t)·log(1 − p) over all entries / (B·K); grad_y has a term for each answer."""
        y, t, each = at("y"), at("targets").astype(np.float64), constant(r"\frac{1}{B \cdot K}", 1 / self.p.size)
        if role == "p":
            return Sum("p = y", [Product((cells("y", y, "y", index),))], {"y": y.shape})
        p = y.astype(np.float64)
        q = (1 - y).astype(np.float64)  # as the engine rounds it
        if role == "grad_y":
            no = np.where(q >= self.least, (1 - t) / np.maximum(q, self.least), 0.0)
            yes = np.where(p >= self.least, -t / np.maximum(p, self.least), 0.0)
            formula = r"g_{n,k} = \frac{1}{B \cdot K} \left( \frac{1 - t}{1 - y} - \frac{t}{y} \right)"
            first = over_entries(formula, y, each, no, r"\frac{1 - t}{1 - {}}", index)
            second = over_entries(formula, y, each, yes, r"\left( -\frac{t}{{}} \right)", index)
            return replace(first, products=[*first.products, *second.products])
        costs = -t * np.log(np.maximum(p, self.least)) - (1 - t) * np.log(np.maximum(q, self.least))
        function = r"\left( -t \log {} - (1 - t) \log (1 - {}) \right)"
        formula = r"L = \frac{1}{B \cdot K} \sum_{n,k} " + function.replace("{}", "y_{n,k}")
        return over_entries(formula, y, each, costs, function)

    def decisions(self, y: Array, targets: Array) -> Array:
        """Where neither logarithm is clipped."""
        return np.asarray((y >= self.least) & (1 - y >= self.least))
