"""What every loss is: a spec that knows its targets and convention, and a built loss with forward and backward."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.spec import KindSpec
from engine.terms import Cells, Index, Product, Sum, Tensors, cells, constant

Array = NDArray[Any]


class LossSpec(KindSpec, frozen=True, kw_only=True):
    """The description of a loss."""

    needs_classes: ClassVar[bool] = False
    takes: ClassVar[Literal["logits", "probabilities", "values"]] = "values"  # what the last layer should give

    @property
    def averaging(self) -> str:
        """What the loss averages or sums, in words for the screen."""
        return "mean over batch and outputs"

    @property
    def formulas(self) -> dict[str, str]:
        """What "forward" and "backward" compute, as text."""
        raise NotImplementedError

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """What the loss compares with: class labels (N,) or values (N, outputs). Raises ValueError with the cure."""
        return rows_of_targets(labels, values, outputs, dtype)

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss itself, with buffers for `batch` samples of `outputs` values."""
        raise NotImplementedError


class Loss:
    """One built loss over outputs y (B, K). After `forward`: `p`, what the network believes, and `grad_y`."""

    threshold: ClassVar[float] = 0.5  # a single output above it says class 1

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        self.p: Array = np.zeros((batch, outputs), dtype)
        self.grad_y: Array = np.zeros((batch, outputs), dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """The loss of each sample, (N,), for any number of samples; remembers nothing.

        Its mean over the samples of a mini-batch is what `forward` gives.
        """
        raise NotImplementedError

    def forward(self, y: Array, targets: Array) -> float:
        """The loss of a mini-batch; keeps what backward needs."""
        raise NotImplementedError

    def backward(self) -> Array:
        """∂L/∂y of the last forward, (B, K)."""
        raise NotImplementedError

    def terms(self, role: str, index: Index, at: Tensors) -> Sum | None:
        """What the loss itself ("", index ()), or a cell of "p" or "grad_y", is made of; None: the loss cannot say.

        `at` gives "y" (B, K), what the last layer gave, "p" and "targets".
        """
        return None

    def decisions(self, y: Array, targets: Array) -> Array | None:
        """Which side of the loss's kinks each entry of y (N, K) falls on; None where the loss is smooth."""
        return None

    def believe(self, y: Array) -> Array:
        """What the outputs y (N, K) say: probabilities where the loss has them, y itself elsewhere."""
        return y

    def classify(self, y: Array) -> Array:
        """The class each row of y (N, K) names: its largest output; of a single output, its side of the threshold."""
        return np.asarray(y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0] > self.threshold)

    def hit_share(self, y: Array, labels: Array | None) -> float:
        """The share of samples whose class is named rightly; NaN without labels."""
        if labels is None:
            return math.nan
        return int(np.count_nonzero(self.classify(y) == labels)) / len(labels)


def over_entries(formula: str, y: Array, scale: Cells, applied: Array, function: str, index: Index = ()) -> Sum:
    """Terms scale · f(y[n, k]) over all entries, f's values `applied` (B, K); of one entry where `index` is given."""
    n, k = (np.atleast_1d(axis) for axis in index) if index else np.indices(y.shape).reshape(2, -1)
    factor = replace(cells("y", y, "y", (n, k)), applied=np.asarray(applied, np.float64)[n, k], function=function)
    return Sum(formula, [Product((scale, factor), samples=n)], {"y": y.shape})


def difference_terms(symbol: str, given: Array, target: float, scale: float, index: Index, formula: str) -> Sum:
    """Terms scale · given[n, k] − scale · target, as many gradients of losses are."""
    share, minus = constant(r"c", scale), constant("-c", -scale)
    role = "p" if symbol == "p" else "y"
    taken = Product((share, cells(symbol, given, role, index)), samples=index[0])
    return Sum(formula, [taken, Product((minus, constant("t", target)), samples=index[0])], {"y": given.shape})


class AtLabels:
    """Picks the entry at each sample's label out of rows (B, K), without making an array."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        self._first = np.arange(batch, dtype=np.intp) * outputs
        self._at = np.zeros(batch, np.intp)
        self.picked: Array = np.zeros(batch, dtype)

    def point(self, labels: Array) -> Array:
        """Flat indices of row n, column labels[n]."""
        return np.add(labels, self._first, out=self._at)

    def take(self, rows: Array) -> Array:
        """rows[n, labels[n]] of the labels last pointed at, (B,)."""
        return np.take(rows.reshape(-1), self._at, out=self.picked, mode="clip")


def picked(rows: Array, labels: Array) -> Array:
    """rows[n, labels[n]], (N,)."""
    return np.asarray(rows[np.arange(len(rows)), labels])


def class_labels(labels: Array | None, loss: str) -> Array:
    """The labels (N,) as integers. Raises ValueError where the data has values."""
    if labels is None:
        raise ValueError(f"{loss} needs class labels, but the data has values; use a squared error")
    return labels.astype(np.intp)


def rows_of_targets(labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
    """Values (N, K); labels become one-hot rows, or 0 and 1 for a single output. Raises ValueError with the cure."""
    if values is None:
        assert labels is not None
        if outputs == 1:
            return np.asarray(labels, dtype).reshape(-1, 1)
        return np.asarray(np.eye(outputs, dtype=dtype)[labels])
    if values.shape[1] != outputs:
        raise ValueError(
            f"the data has {values.shape[1]} target values a sample, but the last layer gives {outputs}; "
            f"set its units to {values.shape[1]}"
        )
    return np.asarray(values, dtype)
