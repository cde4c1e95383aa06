"""Softmax cross-entropy on logits, in one piece."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.losses.base import Array, AtLabels, Loss, LossSpec, class_labels, picked


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

    def believe(self, y: Array) -> Array:
        """softmax(y), row by row."""
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))
