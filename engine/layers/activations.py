"""Activations that work entry by entry: ReLU, LeakyReLU, Tanh, Sigmoid, PReLU. With z the input: y = f(z)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.initializers import Constant
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape


class Activation(LayerSpec, frozen=True, kw_only=True):
    """An elementwise layer: any shape in, the same shape out."""

    family: ClassVar[str] = "Activation"
    layer: ClassVar[type[Layer]]

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return self.layer(self, shape, batch, dtype)


class ElementwiseLayer(Layer):
    """grad_x = grad_y ⊙ f′(x)."""

    elementwise: ClassVar[bool] = True
    rowwise: ClassVar[bool] = True

    @cached_property
    def _sides(self) -> Array:
        """Room for one truth value an entry, (B, *in)."""
        return np.zeros(self._in_shape, bool)

    def above(self, x: Array) -> Array:
        """Where x > 0; for a mini-batch of the usual size no array is made."""
        return np.greater(x, 0, out=self._sides if x.shape == self._in_shape else None)

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

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = max(z, 0)."""
        return np.maximum(x, 0, out=out)

    def derivative(self, out: Array) -> None:
        """1 where z > 0, 0 elsewhere."""
        np.greater(self.y, 0, out=out)

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
        np.copyto(y, x, where=self.above(x))
        return y

    def derivative(self, out: Array) -> None:
        """1 where z > 0, slope elsewhere."""
        out.fill(self.spec.slope)
        np.copyto(out, 1, where=self.above(self.x))

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


class PReLULayer(ElementwiseLayer):
    """y = z where z > 0, slope·z elsewhere; the slope is (1,), or one for each feature or channel."""

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._work = np.zeros_like(self.y)
        self._beside = (-1, *[1] * (len(shape) - 1))  # the slope's shape where it meets x

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """The slope and its gradient, (1,) or (C,)."""
        super().attach(parameters, gradients)
        self._slope, self._grad_slope = parameters["slope"].reshape(self._beside), gradients["slope"]

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = z where z > 0, slope·z elsewhere."""
        y = np.multiply(x, self._slope, out=out)
        np.copyto(y, x, where=self.above(x))
        return y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_slope = Σ grad_y ⊙ min(z, 0) over all that share a slope; grad_x = grad_y ⊙ (z > 0 ? 1 : slope)."""
        self.grad_y = grad_y
        np.multiply(np.minimum(self.x, 0, out=self._work), grad_y, out=self._work)
        if len(self._grad_slope) == 1:
            np.sum(self._work, keepdims=True, out=self._grad_slope.reshape([1] * self._work.ndim))
        else:
            np.sum(self._work, axis=(0, *range(2, self._work.ndim)), out=self._grad_slope)
        yield "grad_slope"
        if self.needs_grad_x:
            np.multiply(grad_y, self._slope, out=self.grad_x)
            np.copyto(self.grad_x, grad_y, where=self.above(self.x))
            yield "grad_x"

    def decisions(self, x: Array) -> Array:
        """True where z > 0."""
        return x > 0

    def pass_column(self, values: Array, columns: Array) -> Array:
        """Each column by the slope of its feature or channel."""
        slope = self._slope.reshape(-1)
        if len(slope) > 1:
            slope = slope.take(columns // (self.y[0].size // len(slope)))
        return np.where(values > 0, values, slope * values)

    def react(self, role: str, entries: Array, deltas: Array, x: Array) -> tuple[Array, Array] | None:
        """slope[j] + δ moves column j of y by δ·min(x[:, j], 0); a slope shared by many columns: none."""
        if len(self._grad_slope) != self.y[0].size:
            return None
        return entries, np.minimum(x.reshape(len(x), -1).T.take(entries, axis=0), 0) * deltas[:, None]


class PReLU(Activation, frozen=True, kw_only=True):
    """y = z where z > 0, slope·z elsewhere, the slope learned (He et al. 2015)."""

    per_feature: Annotated[
        bool,
        Meta(title="per feature", description="One slope a feature, of images one a channel; else one for all"),
    ] = False
    start: Annotated[float, Meta(ge=-1.0, le=1.0, title="slope starts", description="First value of the slope")] = 0.25

    parts: ClassVar[tuple[str, ...]] = ("grad_slope", "grad_x")
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = z > 0 ? z : slope·z",
        "grad_slope": "grad_slope = Σ grad_y ⊙ min(z, 0)",
        "grad_x": "grad_x = grad_y ⊙ (z > 0 ? 1 : slope)",
    }
    layer: ClassVar[type[Layer]] = PReLULayer

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """slope (1,), or (C,) with C the features or channels."""
        count = shape[0] if self.per_feature else 1
        return {"slope": Parameter((count,), Constant(value=self.start), count, count)}
