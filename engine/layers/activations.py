"""Activations that work entry by entry: ReLU, LeakyReLU, Tanh, Sigmoid. With z the input: y = f(z)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape


class Activation(LayerSpec, frozen=True, kw_only=True):
    """An elementwise layer: any shape in, the same shape out, no parameters."""

    family: ClassVar[str] = "Activation"
    layer: ClassVar[type[Layer]]

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return self.layer(self, shape, batch, dtype)


class ElementwiseLayer(Layer):
    """grad_x = grad_y ⊙ f′(x)."""

    elementwise: ClassVar[bool] = True
    rowwise: ClassVar[bool] = True

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = grad_y ⊙ f′(x)."""
        self.grad_y = grad_y
        self.derivative(self.grad_x)
        np.multiply(grad_y, self.grad_x, out=self.grad_x)
        yield "grad_x"

    def derivative(self, out: Array) -> None:
        """f′ at the x of the last forward, written into `out` of the same shape."""
        raise NotImplementedError


class ReLULayer(ElementwiseLayer):
    """y = max(z, 0); the derivative at z = 0 is taken as 0."""

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._active = np.zeros(self.y.shape, bool)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = max(z, 0)."""
        return np.maximum(x, 0, out=out)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = grad_y ⊙ [z > 0]."""
        self.grad_y = grad_y
        np.greater(self.y, 0, out=self._active)
        np.multiply(grad_y, self._active, out=self.grad_x)
        yield "grad_x"

    def decisions(self, x: Array) -> Array:
        """True where z > 0."""
        return x > 0


class ReLU(Activation, frozen=True, kw_only=True):
    """y = max(z, 0)."""

    formulas: ClassVar[dict[str, str]] = {"forward": "y = max(z, 0)", "grad_x": "grad_x = grad_y ⊙ [z > 0]"}
    layer: ClassVar[type[Layer]] = ReLULayer


class LeakyReLULayer(ElementwiseLayer):
    """y = z where z > 0, slope·z elsewhere."""

    spec: LeakyReLU

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = z where z > 0, slope·z elsewhere."""
        y = np.multiply(x, self.spec.slope, out=out)
        np.copyto(y, x, where=x > 0)
        return y

    def derivative(self, out: Array) -> None:
        """1 where z > 0, slope elsewhere."""
        out.fill(self.spec.slope)
        np.copyto(out, 1, where=self.x > 0)

    def decisions(self, x: Array) -> Array:
        """True where z > 0."""
        return x > 0


class LeakyReLU(Activation, frozen=True, kw_only=True):
    """y = z where z > 0, slope·z elsewhere: a ReLU that cannot die."""

    slope: Annotated[float, Meta(ge=-1.0, le=1.0, title="slope", description="Slope for negative inputs")] = 0.01

    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = z > 0 ? z : slope·z",
        "grad_x": "grad_x = grad_y ⊙ (z > 0 ? 1 : slope)",
    }
    layer: ClassVar[type[Layer]] = LeakyReLULayer


class TanhLayer(ElementwiseLayer):
    """y = tanh z."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = tanh z."""
        return np.tanh(x, out=out)

    def derivative(self, out: Array) -> None:
        """1 − y²."""
        np.multiply(self.y, self.y, out=out)
        np.subtract(1, out, out=out)


class Tanh(Activation, frozen=True, kw_only=True):
    """y = tanh z, between −1 and 1."""

    formulas: ClassVar[dict[str, str]] = {"forward": "y = tanh z", "grad_x": "grad_x = grad_y ⊙ (1 − y²)"}
    layer: ClassVar[type[Layer]] = TanhLayer


class SigmoidLayer(ElementwiseLayer):
    """y = 1 / (1 + e^−z), as ½ + ½·tanh(z/2), which cannot overflow."""

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = ½ + ½·tanh(z/2)."""
        y = np.multiply(x, 0.5, out=out)
        np.tanh(y, out=y)
        np.multiply(y, 0.5, out=y)
        return np.add(y, 0.5, out=y)

    def derivative(self, out: Array) -> None:
        """y·(1 − y)."""
        np.subtract(1, self.y, out=out)
        np.multiply(self.y, out, out=out)


class Sigmoid(Activation, frozen=True, kw_only=True):
    """y = 1 / (1 + e^−z), between 0 and 1."""

    formulas: ClassVar[dict[str, str]] = {"forward": "y = 1 / (1 + e^−z)", "grad_x": "grad_x = grad_y ⊙ y(1 − y)"}
    layer: ClassVar[type[Layer]] = SigmoidLayer
