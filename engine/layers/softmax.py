"""Softmax and LogSoftmax as layers, with the whole Jacobian in backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape, ShapeError, shape_text


class OverClasses(LayerSpec, frozen=True, kw_only=True):
    """A layer that makes each row of scores z one distribution over its entries."""

    family: ClassVar[str] = "Activation"
    layer: ClassVar[type[Layer]]

    def output_shape(self, shape: Shape) -> Shape:
        """(K,) → (K,). Raises ShapeError for anything but a vector."""
        if len(shape) != 1:
            raise ShapeError(
                f"takes vectors (classes,) but gets {shape_text(shape)} arrays", "insert a Flatten layer before it"
            )
        return shape

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return self.layer(self, shape, batch, dtype)


class OverClassesLayer(Layer):
    """Buffers for one number a sample and one an entry."""

    rowwise: ClassVar[bool] = True

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._row = np.zeros((batch, 1), dtype)
        self._ones = np.ones((shape[0], 1), dtype)
        self._work = np.zeros_like(self.y)


class SoftmaxLayer(OverClassesLayer):
    """y_j = e^(z_j) / Σₖ e^(z_k), computed from z − max z, which cannot overflow."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = e^(z − max z) / Σ e^(z − max z)."""
        y: Array = np.subtract(x, x.max(axis=1, keepdims=True), out=out)
        np.exp(y, out=y)
        return np.divide(y, np.dot(y, self._ones), out=y)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = Jᵀ·grad_y with J_jk = ∂y_j/∂z_k = y_j·([j = k] − y_k): y ⊙ (grad_y − Σₖ grad_y_k·y_k)."""
        self.grad_y = grad_y
        np.dot(np.multiply(grad_y, self.y, out=self._work), self._ones, out=self._row)
        np.subtract(grad_y, self._row, out=self.grad_x)
        np.multiply(self.grad_x, self.y, out=self.grad_x)
        yield "grad_x"


class Softmax(OverClasses, frozen=True, kw_only=True):
    """Probabilities from scores: y_j = e^(z_j) / Σₖ e^(z_k)."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "yⱼ = e^(zⱼ) / Σₖ e^(zₖ)",
        "grad_x": "grad_x = Jᵀ·grad_y, Jⱼₖ = yⱼ([j = k] − yₖ): y ⊙ (grad_y − Σₖ grad_yₖ·yₖ)",
    }
    layer: ClassVar[type[Layer]] = SoftmaxLayer


class LogSoftmaxLayer(OverClassesLayer):
    """y_j = z_j − log Σₖ e^(z_k), computed from z − max z, which cannot overflow."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = z − max z − log Σ e^(z − max z)."""
        y: Array = np.subtract(x, x.max(axis=1, keepdims=True), out=out)
        e = np.exp(y, out=self._work if y.shape == self._work.shape else None)
        return np.subtract(y, np.log(np.dot(e, self._ones)), out=y)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = Jᵀ·grad_y with J_jk = ∂y_j/∂z_k = [j = k] − e^(y_k): grad_y − e^y·Σₖ grad_y_k."""
        self.grad_y = grad_y
        np.dot(grad_y, self._ones, out=self._row)
        np.multiply(np.exp(self.y, out=self._work), self._row, out=self._work)
        np.subtract(grad_y, self._work, out=self.grad_x)
        yield "grad_x"


class LogSoftmax(OverClasses, frozen=True, kw_only=True):
    """Logarithms of the probabilities: y_j = z_j − log Σₖ e^(z_k)."""

    formulas: ClassVar[dict[str, str]] = {
        "forward": "yⱼ = zⱼ − log Σₖ e^(zₖ)",
        "grad_x": "grad_x = Jᵀ·grad_y, Jⱼₖ = [j = k] − e^(yₖ): grad_y − e^y·Σₖ grad_yₖ",
    }
    layer: ClassVar[type[Layer]] = LogSoftmaxLayer
