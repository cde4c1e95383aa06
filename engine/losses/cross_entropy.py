"""Softmax cross-entropy on logits, in one piece."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.losses.base import Array, AtLabels, Loss, LossSpec, class_labels, difference_terms, picked
from engine.terms import Cells, Index, Product, Sum, Tensors, cells, constant


class SoftmaxCrossEntropy(LossSpec, frozen=True, kw_only=True):
    """L = −mean_n Σ_k t[n,k]·log softmax(y)[n,k]; t is 1 at the label and 0 elsewhere; in one piece: no overflow.

    With label smoothing s, t = (1 − s)·onehot + s/K (as PyTorch's CrossEntropyLoss).
    """

    label_smoothing: Annotated[
        float,
        Meta(ge=0.0, le=1.0, title="label smoothing", description="Share of the target spread over all classes"),
    ] = 0.0

    needs_classes: ClassVar[bool] = True
    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"

    @property
    def averaging(self) -> str:
        """What it averages."""
        return "mean over the batch"

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward, with the smoothing where there is one."""
        if not self.label_smoothing:
            return {
                "forward": "L = −meanₙ log softmax(y)[n, label]",
                "backward": "grad_y = (softmax(y) − onehot) / B",
            }
        s = self.label_smoothing
        return {
            "forward": f"L = −meanₙ Σₖ t·log softmax(y)[n, k],  t = {1 - s:g}·onehot + {s:g}/K",
            "backward": "grad_y = (softmax(y) − t) / B",
        }

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """Labels (N,) as integers."""
        return class_labels(labels, self.title())

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return SoftmaxCrossEntropyLoss(outputs, batch, dtype, self.label_smoothing)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "softmax cross-entropy"


class SoftmaxCrossEntropyLoss(Loss):
    """L = mean_n (log Σ_k exp(z[n,k]) − (1 − s)·z[n,label] − s/K·Σ_k z[n,k]), z[n,k] = y[n,k] − max_k y[n,k]."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike, smoothing: float = 0.0) -> None:
        super().__init__(outputs, batch, dtype)
        self.smoothing = smoothing
        self._column = np.zeros((batch, 1), dtype)
        self._sum = np.zeros((batch, 1), dtype)
        self._labels = AtLabels(outputs, batch, dtype)
        self._at_label = self._labels.point(np.zeros(batch, np.intp))
        self._flat_grad = self.grad_y.reshape(-1)
        self._shifted = np.zeros((batch, outputs), dtype)
        self._flat_shifted = self._shifted.reshape(-1)
        self._scale = np.asarray(1.0 / batch, dtype)
        self._at_the_label = np.asarray((1.0 - smoothing) / batch, dtype)
        self._everywhere = np.asarray(smoothing / outputs / batch, dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """−Σ_k t[k]·log softmax(y)[k], (N,)."""
        shifted = y - np.maximum.reduce(y, axis=1, keepdims=True)
        hit: Array = picked(shifted, targets)
        if self.smoothing:
            hit = (1.0 - self.smoothing) * hit + self.smoothing * shifted.mean(axis=1)
        log_sum: Array = np.log(np.add.reduce(np.exp(shifted, out=shifted), axis=1))
        return np.asarray(log_sum - hit)

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over the batch of −Σ_k t[k]·log softmax(y)[k]."""
        np.maximum.reduce(y, axis=1, keepdims=True, out=self._column)
        np.subtract(y, self._column, out=self._shifted)
        self._labels.point(targets)
        np.exp(self._shifted, out=self.p)
        np.add.reduce(self.p, axis=1, keepdims=True, out=self._sum)
        np.divide(self.p, self._sum, out=self.p)
        np.log(self._sum, out=self._column)
        hits = np.add.reduce(self._flat_shifted.take(self._at_label))
        if self.smoothing:
            spread = np.add.reduce(self._flat_shifted) / y.shape[1]
            hits = (1.0 - self.smoothing) * hits + self.smoothing * spread
        return float(np.add.reduce(self._column, axis=None) - hits) / len(y)

    def backward(self) -> Array:
        """(softmax(y) − t) / B."""
        np.multiply(self.p, self._scale, out=self.grad_y)
        if self.smoothing:
            np.subtract(self.grad_y, self._everywhere, out=self.grad_y)
        self._flat_grad[self._at_label] -= self._at_the_label
        return self.grad_y

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums −t·log p over samples and classes; grad_y is (p − t) / B."""
        y, p, labels, batch = at("y").astype(np.float64), at("p"), at("targets"), len(self.p)
        shapes, wide = {"y": y.shape, "p": p.shape}, self.smoothing / y.shape[1]
        shifted = y - y.max(axis=1, keepdims=True)
        weights = np.exp(shifted)
        if role == "p":
            n, _ = index
            shown = replace(cells("y", at("y"), "y", index), applied=weights[index][None], function=r"e^{{} - \max y}")
            whole = constant(r"\frac{1}{\sum_k e^{y_k - \max y}}", 1 / float(weights[n].sum()))
            return Sum(r"p_{n,j} = \frac{e^{y_{n,j}}}{\sum_k e^{y_{n,k}}}", [Product((shown, whole))], shapes)
        if role == "grad_y":
            target = wide + (1 - self.smoothing) * float(labels[index[0]] == index[1])
            formula = r"g_{n,j} = \frac{p_{n,j} - t_{n,j}}{B}, \quad c = \frac{1}{B}"
            return difference_terms("p", p, target, 1 / batch, index, formula)
        costs = np.log(weights.sum(axis=1, keepdims=True)) - shifted
        rows, classes = np.arange(batch), labels
        if self.smoothing:
            rows, classes = np.indices(p.shape).reshape(2, -1)
        taken = cells("p", p, "p", (rows, classes))
        factor = replace(taken, applied=costs[rows, classes], function=r"\left( -\log {} \right)")
        share = Cells(r"\frac{t}{B}", (wide + (1 - self.smoothing) * (labels[rows] == classes)) / batch)
        formula = r"L = -\frac{1}{B} \sum_{n,k} t_{n,k} \log p_{n,k}"
        return Sum(formula, [Product((share, factor), samples=rows)], shapes)

    def believe(self, y: Array) -> Array:
        """softmax(y), row by row."""
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))
