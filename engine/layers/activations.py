"""Activations that work entry by entry: ReLU, LeakyReLU, Tanh, Sigmoid, PReLU. With z the input: y = f(z)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.initializers import Constant
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, bracketed, cells, number, slope


class Activation(LayerSpec, frozen=True, kw_only=True):
    """An elementwise layer: any shape in, the same shape out."""

    family: ClassVar[str] = "Activation"
    layer: ClassVar[type[Layer]]
    # LaTeX of f(z) and of its slope f′(z), with Z for z and Y for y.
    function: ClassVar[str]
    derivative: ClassVar[str]

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

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is a function of one cell; grad_x that of y times the slope there."""
        spec, z, shapes = self.spec, at("x")[index], {"z": self._in_shape}
        assert isinstance(spec, Activation)
        shown, given = bracketed(float(z)), cells("z", at("x"), "x", index)
        if role == "y":
            function = spec.function.replace("Z", "{}")
            y = self.apply(np.full((1,) * len(index), z, np.float64)).reshape(-1)
            formula = "y = " + function.replace("{}", "z")
            numbers = function.replace("{}", shown) + f" = {number(float(at('y')[index]))}"
            return Sum(
                formula, [Product((replace(given, applied=y, function=function),), samples=index[0])], shapes, numbers
            )
        slopes = np.zeros_like(self.y)
        self.derivative(slopes)
        named, y_shown = spec.derivative.replace("Z", "{}"), bracketed(float(at("y")[index]))
        factor = replace(given, applied=slopes[index].astype(np.float64)[None], function=named.replace("Y", "y"))
        back = cells(G, at("grad_y"), "grad_y", index)
        formula = slope("z") + rf"{G} \odot f'(z), \quad f'(z) = " + named.replace("{}", "z").replace("Y", "y")
        numbers = named.replace("{}", shown).replace("Y", y_shown) + f" = {number(float(slopes[index]))}"
        return Sum(formula, [Product((back, factor), samples=index[0])], shapes, numbers)


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
    function: ClassVar[str] = r"\max \left( Z, 0 \right)"
    derivative: ClassVar[str] = r"\left[ Z > 0 \right]"


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
    function: ClassVar[str] = r"\begin{cases} Z & Z > 0 \\ \alpha \, Z & Z \le 0 \end{cases}"
    derivative: ClassVar[str] = r"\begin{cases} 1 & Z > 0 \\ \alpha & Z \le 0 \end{cases}"


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
    function: ClassVar[str] = r"\tanh Z"
    derivative: ClassVar[str] = r"1 - Y^2"


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
    function: ClassVar[str] = r"\frac{1}{1 + e^{-Z}}"
    derivative: ClassVar[str] = r"Y \left( 1 - Y \right)"


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

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """As of every leaky ReLU, with a slope that is a cell; grad_slope is a sum over all that share it."""
        spec, shared = self.spec, len(self._grad_slope) == 1
        assert isinstance(spec, PReLU)
        shapes = {"z": self._in_shape, r"\alpha": self._grad_slope.shape}
        if role == "grad_slope":
            where = np.indices(self.y.shape if shared else (len(self.y), 1, *self.y.shape[2:])).reshape(self.y.ndim, -1)
            place = [*where] if shared else [where[0], np.full_like(where[0], index[0]), *where[2:]]
            z = cells("z", at("x"), "x", tuple(place))
            below = replace(z, applied=np.minimum(z.values, 0), function=r"\min ({}, 0)")
            factors = cells(G, at("grad_y"), "grad_y", tuple(place)), below
            formula = slope(r"\alpha") + rf"\sum {G} \odot \min (z, 0)"
            return Sum(formula, [Product(factors, samples=where[0])], shapes)
        own = 0 if shared else index[1]
        given, symbol = ("x", "z") if role == "y" else ("grad_y", G)
        through = [cells(symbol, at(given), given, index)]
        if not at("x")[index] > 0:
            through.append(cells(r"\alpha", at("slope"), "slope", (own,)))
        formula = "y = " + spec.function.replace("Z", "z") if role == "y" else slope("z") + rf"{G} \odot f'(z)"
        return Sum(formula, [Product(through, samples=index[0])], shapes)

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
    function: ClassVar[str] = r"\begin{cases} Z & Z > 0 \\ \alpha \, Z & Z \le 0 \end{cases}"
    derivative: ClassVar[str] = r"\begin{cases} 1 & Z > 0 \\ \alpha & Z \le 0 \end{cases}"

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """slope (1,), or (C,) with C the features or channels."""
        count = shape[0] if self.per_feature else 1
        return {"slope": Parameter((count,), Constant(value=self.start), count, count)}
