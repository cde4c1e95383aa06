"""The multi-class hinge loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.losses.base import Array, AtLabels, Loss, LossSpec, class_labels, over_entries, picked
from engine.terms import Index, Product, Sum, Tensors, cells, constant


class Hinge(LossSpec, frozen=True, kw_only=True):
    """L = mean_n Σ_{k≠label} max(0, margin − y[n, label] + y[n, k]) / K (as PyTorch's MultiMarginLoss)."""

    margin: Annotated[
        float, Meta(ge=0.0, le=1e6, title="margin", description="Lead the right class must have over each other")
    ] = 1.0

    needs_classes: ClassVar[bool] = True

    @property
    def formulas(self) -> dict[str, str]:
        """Forward and backward."""
        return {
            "forward": f"L = meanₙ Σₖ≠label max(0, {self.margin:g} − y[n, label] + y[n, k]) / K",
            "backward": "grad_y = [k within the margin] / (B·K),  at the label minus their sum",
        }

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """Labels (N,) as integers."""
        return class_labels(labels, self.title())

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return HingeLoss(outputs, batch, dtype, self.margin)


class HingeLoss(Loss):
    """L = mean over batch and outputs of m[n, k] = max(0, margin − y[n, label] + y[n, k]), 0 at the label."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike, margin: float) -> None:
        super().__init__(outputs, batch, dtype)
        self.margin = margin
        self._labels = AtLabels(outputs, batch, dtype)
        self._at_label = self._labels.point(np.zeros(batch, np.intp))
        self._margins = np.zeros((batch, outputs), dtype)
        self._flat_margins, self._flat_grad = self._margins.reshape(-1), self.grad_y.reshape(-1)
        self._within = np.zeros((batch, outputs), bool)
        self._pull = np.zeros(batch, dtype)

    def _short_of(self, y: Array, targets: Array) -> Array:
        """margin − y[label] + y[k], 0 at the label, (N, K)."""
        rows = np.asarray(y - picked(y, targets)[:, None] + self.margin)
        rows[np.arange(len(y)), targets] = 0
        return rows

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of m[n, k], (N,)."""
        return np.asarray(np.maximum(self._short_of(y, targets), 0).mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of m[n, k]."""
        np.copyto(self.p, y)
        self._labels.point(targets)
        np.subtract(y, self._labels.take(self.p)[:, None], out=self._margins)
        np.add(self._margins, self.margin, out=self._margins)
        self._flat_margins[self._at_label] = 0
        np.greater(self._margins, 0, out=self._within)
        np.maximum(self._margins, 0, out=self._margins)
        return float(np.add.reduce(self._flat_margins)) / self._margins.size

    def backward(self) -> Array:
        """1 / (B·K) where m > 0; at the label minus the sum of its row."""
        np.multiply(self._within, 1.0 / self.grad_y.size, out=self.grad_y)
        np.add.reduce(self.grad_y, axis=1, out=self._pull)
        self._flat_grad[self._at_label] = np.negative(self._pull, out=self._pull)
        return self.grad_y

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """The loss sums the margins that are missed / (B·K); grad_y counts them, at the label with a minus."""
        y, labels, each = at("y"), at("targets"), constant(r"\frac{1}{B \cdot K}", 1 / self.p.size)
        if role == "p":
            return Sum("p = y", [Product((cells("y", y, "y", index),))], {"y": y.shape})
        missed = np.maximum(self._short_of(y.astype(np.float64), labels), 0)
        function = r"\max \left( 0, m - y_{\mathrm{label}} + {} \right)"
        if role == "":
            formula = r"L = \frac{1}{B \cdot K} \sum_{n,k} " + function.replace("{}", "y_{n,k}")
            return over_entries(formula, y, each, missed, function)
        n, k = index
        formula = r"g_{n,k} = \frac{1}{B \cdot K} \left[ k \; \mathrm{within \; the \; margin} \right]"
        within = (self._margins > 0).astype(np.float64)
        if labels[n] != k:
            return over_entries(formula, y, each, within, r"\left[ {} > y_{\mathrm{label}} - m \right]", index)
        others = np.delete(np.arange(y.shape[1]), k)
        taken = cells("y", y, "y", (np.full_like(others, n), others))
        counted = r"\left( -\left[ {} > y_{\mathrm{label}} - m \right] \right)"
        factor = replace(taken, applied=-within[n, others], function=counted)
        formula = r"g_{n,\mathrm{label}} = -\sum_{k \ne \mathrm{label}} g_{n,k}"
        return Sum(formula, [Product((each, factor), samples=n)], {"y": y.shape})

    def decisions(self, y: Array, targets: Array) -> Array:
        """True where a class is within the margin."""
        return self._short_of(y, targets) > 0
