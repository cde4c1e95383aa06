"""Dense: the fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.initializers import AnyInitializer, He, Zeros
from engine.layers.base import Array, Layer, LayerSpec, Parameter, Shape, ShapeError, shape_text
from engine.spec import L1, L2, Frozen
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, only, slope


class Dense(LayerSpec, frozen=True, kw_only=True):
    """Every output is a weighted sum of every input: y = x·W + b, x (B, in), W (in, out), b (out,)."""

    units: Annotated[int, Meta(ge=1, le=65536, title="units", description="Number of outputs")]
    bias: Annotated[bool, Meta(title="bias", description="Add a learned offset to each output")] = True
    weight_init: Annotated[AnyInitializer, Meta(title="weights start", description="How W is drawn")] = He()
    bias_init: Annotated[AnyInitializer, Meta(title="biases start", description="How b is drawn")] = Zeros()
    l1: L1 = 0.0
    l2: L2 = 0.0
    frozen: Frozen = "nothing"

    family: ClassVar[str] = "Linear"
    parts: ClassVar[tuple[str, ...]] = ("grad_W", "grad_b", "grad_x")
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_b": ("grad_y",), "grad_x": ("grad_y", "W")}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = x·W + b",
        "grad_W": "grad_W = xᵀ·grad_y",
        "grad_b": "grad_b = Σₙ grad_y[n]",
        "grad_x": "grad_x = grad_y·Wᵀ",
    }

    def output_shape(self, shape: Shape) -> Shape:
        """(in,) → (units,). Raises ShapeError for anything but a vector."""
        if len(shape) != 1:
            raise ShapeError(
                f"takes vectors (in,) → ({self.units},) but gets {shape_text(shape)} arrays",
                "insert a Flatten layer before it",
            )
        return (self.units,)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """W (in, units) and, with a bias, b (units,)."""
        fan_in = shape[0]
        found = {"W": Parameter((fan_in, self.units), self.weight_init, fan_in, self.units)}
        if self.bias:
            found["b"] = Parameter((self.units,), self.bias_init, fan_in, self.units)
        return found

    def multiply_adds(self, shape: Shape) -> int:
        """in·units."""
        return shape[0] * self.units

    def caption(self, shape: Shape) -> str:
        """Such as "Dense 64→32"."""
        return f"Dense {shape_text(shape)}→{self.units}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return DenseLayer(self, shape, batch, dtype)


class DenseLayer(Layer):
    """y = x·W + b."""

    rowwise: ClassVar[bool] = True
    W: Array
    b: Array | None
    grad_W: Array
    grad_b: Array

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self._ones = np.ones(batch, dtype)

    def attach(self, parameters: dict[str, Array], gradients: dict[str, Array]) -> None:
        """W (in, out), b (out,) or none, and their gradients."""
        super().attach(parameters, gradients)
        self.W, self.b = parameters["W"], parameters.get("b")
        self.grad_W = gradients["W"]
        if self.b is not None:
            self.grad_b = gradients["b"]

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = x·W + b."""
        y = np.dot(x, self.W, out=out)
        if self.b is not None:
            np.add(y, self.b, out=y)
        return y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_W = xᵀ·grad_y; grad_b = Σ_n grad_y[n]; grad_x = grad_y·Wᵀ."""
        self.grad_y = grad_y
        np.dot(self.x.T, grad_y, out=self.grad_W)
        yield "grad_W"
        if self.b is not None:
            np.dot(self._ones, grad_y, out=self.grad_b)  # a product is faster here than a sum over an axis
            yield "grad_b"
        if self.needs_grad_x:
            np.dot(grad_y, self.W.T, out=self.grad_x)
            yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """Each cell is a sum of products of two cells; y has the bias besides."""
        W = at("W")
        given, inputs, outputs = (np.arange(count) for count in (len(self.y), *W.shape))
        shapes = {"x": self._in_shape, "W": W.shape, "y": self.y.shape, G: self.y.shape}
        if role == "y":
            n, j = index
            products = [Product((cells("x", at("x"), "x", (n, inputs)), cells("W", W, "W", (inputs, j))), samples=n)]
            if self.b is None:
                return Sum(r"y_{n,j} = \sum_i x_{n,i} \, W_{i,j}", products, only(shapes, "x", "W", "y"))
            products.append(Product((cells("b", at("b"), "b", (j,)),)))
            shapes["b"] = self.b.shape
            return Sum(r"y_{n,j} = \sum_i x_{n,i} \, W_{i,j} + b_j", products, only(shapes, "x", "W", "b", "y"))
        if role == "grad_W":
            i, j = index
            factors = cells("x", at("x"), "x", (given, i)), cells(G, at("grad_y"), "grad_y", (given, j))
            formula = slope("W_{i,j}") + rf"\sum_n x_{{n,i}} \, {G}_{{n,j}}"
            return Sum(formula, [Product(factors, samples=given)], only(shapes, "x", G, "W"))
        if role == "grad_b":
            factor = cells(G, at("grad_y"), "grad_y", (given, *index))
            formula = slope("b_j") + rf"\sum_n {G}_{{n,j}}"
            return Sum(formula, [Product((factor,), samples=given)], only(shapes, G))
        n, i = index
        back = cells(G, at("grad_y"), "grad_y", (n, outputs)), cells("W", W, "W", (i, outputs))
        formula = slope("x_{n,i}") + rf"\sum_j {G}_{{n,j}} \, W_{{i,j}}"
        return Sum(formula, [Product(back, samples=n)], only(shapes, G, "W", "x"))

    def react(self, role: str, entries: Array, deltas: Array, x: Array) -> tuple[Array, Array]:
        """W[i, j] + δ moves column j of y by δ·x[:, i]; b[j] + δ moves it by δ."""
        if role == "b":
            return entries, np.repeat(deltas[:, None], len(x), axis=1)
        rows, columns = np.divmod(entries, self.W.shape[1])
        return columns, x.T.take(rows, axis=0) * deltas[:, None]

    def spread(self, columns: Array, moves: Array) -> Array:
        """x[r, j] + δ adds δ·W[j] to row r of y."""
        gain = self.W.take(columns, axis=0)
        return np.multiply(gain, moves[:, None], out=gain)
