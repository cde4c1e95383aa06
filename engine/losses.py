"""Losses: the number that training lowers, and its gradient with respect to the network's output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Union

import numpy as np
from numpy.typing import DTypeLike, NDArray

from engine.spec import KindSpec, members

Array = NDArray[Any]


class LossSpec(KindSpec, frozen=True, kw_only=True):
    """The description of a loss. `convention` says what it averages, in words for the screen."""

    convention: ClassVar[str] = ""
    formulas: ClassVar[dict[str, str]] = {}
    needs_classes: ClassVar[bool] = False

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """What the loss compares with: class labels (N,) or values (N, outputs). Raises ValueError with the cure."""
        raise NotImplementedError

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss itself, with buffers for `batch` samples of `outputs` values."""
        raise NotImplementedError


class Loss:
    """One built loss over outputs y (B, K). After `forward`: `p`, what the network believes, and `grad_y`."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        self.p: Array = np.zeros((batch, outputs), dtype)
        self.grad_y: Array = np.zeros((batch, outputs), dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """The loss of each sample, (N,), for any number of samples; remembers nothing."""
        raise NotImplementedError

    def forward(self, y: Array, targets: Array) -> float:
        """The mean loss of a mini-batch; keeps what backward needs."""
        raise NotImplementedError

    def backward(self) -> Array:
        """∂L/∂y of the last forward, (B, K)."""
        raise NotImplementedError

    def believe(self, y: Array) -> Array:
        """What the outputs y (N, K) say: probabilities where the loss has them, y itself elsewhere."""
        return y


class SoftmaxCrossEntropy(LossSpec, frozen=True, kw_only=True):
    """L = −mean_n log p[n, label], p = softmax(logits); in one piece, so that it cannot overflow."""

    convention: ClassVar[str] = "mean over the batch"
    formulas: ClassVar[dict[str, str]] = {
        "forward": "L = −meanₙ log softmax(y)[n, label]",
        "backward": "grad_y = (softmax(y) − onehot) / B",
    }
    needs_classes: ClassVar[bool] = True

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """Labels (N,) as integers."""
        if labels is None:
            raise ValueError("softmax cross-entropy needs class labels, but the data has values; use a squared error")
        return labels.astype(np.intp)

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return SoftmaxCrossEntropyLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "softmax cross-entropy"


class SoftmaxCrossEntropyLoss(Loss):
    """L = mean_n (log Σ_k exp(y[n,k] − m_n) − (y[n,label] − m_n)), m_n = max_k y[n,k]."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self._column = np.zeros((batch, 1), dtype)
        self._sum = np.zeros((batch, 1), dtype)
        self._first = np.arange(batch, dtype=np.intp) * outputs
        self._at_label = np.zeros(batch, np.intp)
        self._flat_grad = self.grad_y.reshape(-1)
        self._shifted = np.zeros((batch, outputs), dtype)
        self._flat_shifted = self._shifted.reshape(-1)
        self._scale = np.asarray(1.0 / batch, dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """−log softmax(y)[label], (N,)."""
        shifted = y - np.maximum.reduce(y, axis=1, keepdims=True)
        picked = np.take(shifted.reshape(-1), targets + np.arange(len(y)) * y.shape[1])
        log_sum: Array = np.log(np.add.reduce(np.exp(shifted, out=shifted), axis=1))
        return np.asarray(log_sum - picked)

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over the batch of −log softmax(y)[label]."""
        np.maximum.reduce(y, axis=1, keepdims=True, out=self._column)
        np.subtract(y, self._column, out=self._shifted)
        np.add(targets, self._first, out=self._at_label)
        np.exp(self._shifted, out=self.p)
        np.add.reduce(self.p, axis=1, keepdims=True, out=self._sum)
        np.divide(self.p, self._sum, out=self.p)
        np.log(self._sum, out=self._column)
        total = np.add.reduce(self._column, axis=None) - np.add.reduce(self._flat_shifted.take(self._at_label))
        return float(total) / len(y)

    def backward(self) -> Array:
        """(softmax(y) − onehot) / B."""
        np.multiply(self.p, self._scale, out=self.grad_y)
        self._flat_grad[self._at_label] -= self._scale
        return self.grad_y

    def believe(self, y: Array) -> Array:
        """softmax(y), row by row."""
        e = np.exp(y - y.max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True))


class MeanSquaredError(LossSpec, frozen=True, kw_only=True):
    """L = mean over batch and outputs of (y − target)²."""

    convention: ClassVar[str] = "mean over batch and outputs"
    formulas: ClassVar[dict[str, str]] = {
        "forward": "L = mean (y − target)²",
        "backward": "grad_y = 2(y − target) / (B·K)",
    }

    def targets(self, labels: Array | None, values: Array | None, outputs: int, dtype: DTypeLike) -> Array:
        """Values (N, K); labels become one-hot rows, or 0 and 1 for a single output."""
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

    def build(self, outputs: int, batch: int, dtype: DTypeLike) -> Loss:
        """The loss with buffers."""
        return MeanSquaredErrorLoss(outputs, batch, dtype)

    @classmethod
    def title(cls) -> str:
        """The name on screen."""
        return "mean squared error"


class MeanSquaredErrorLoss(Loss):
    """L = mean (y − t)²; grad_y = 2 (y − t) / (B·K)."""

    def __init__(self, outputs: int, batch: int, dtype: DTypeLike) -> None:
        super().__init__(outputs, batch, dtype)
        self._difference = np.zeros((batch, outputs), dtype)

    def per_sample(self, y: Array, targets: Array) -> Array:
        """Mean over the outputs of (y − t)², (N,)."""
        difference = y - targets
        return np.asarray(np.multiply(difference, difference, out=difference).mean(axis=1))

    def forward(self, y: Array, targets: Array) -> float:
        """Mean over batch and outputs of (y − t)²."""
        np.copyto(self.p, y)
        np.subtract(y, targets, out=self._difference)
        flat = self._difference.reshape(-1)
        return float(np.dot(flat, flat)) / flat.size

    def backward(self) -> Array:
        """2 (y − t) / (B·K)."""
        return np.multiply(self._difference, 2.0 / self.grad_y.size, out=self.grad_y)


if TYPE_CHECKING:
    AnyLoss = LossSpec
else:
    AnyLoss = Union[members(LossSpec)]
