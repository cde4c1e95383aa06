"""Flatten and Reshape: the same entries in the same order, laid out in another shape."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape, ShapeError, shape_text
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, slope


class Flatten(LayerSpec, frozen=True, kw_only=True):
    """Lays each sample out as one vector: y[n] = x[n] in a row; backward folds it again."""

    family: ClassVar[str] = "Shape"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    formulas: ClassVar[dict[str, str]] = {"forward": "y[n] = vec(x[n])", "grad_x": "grad_x[n] = fold(grad_y[n])"}

    def output_shape(self, shape: Shape) -> Shape:
        """(a, b, …) → (a·b·…,)."""
        return (prod(shape),)

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer; its y and grad_x are views, nothing is copied."""
        return ReshapeLayer(self, shape, batch, dtype)


class Reshape(LayerSpec, frozen=True, kw_only=True):
    """Lays each sample out in the given shape, such as 28×28 pixels as 1×28×28: one channel."""

    shape: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=65536)], ...],
        Meta(min_length=1, max_length=4, title="shape", description="Of one sample, such as 1, 28, 28"),
    ]

    family: ClassVar[str] = "Shape"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y[n] = x[n], laid out as shape",
        "grad_x": "grad_x[n] = grad_y[n], laid out as x[n]",
    }

    def output_shape(self, shape: Shape) -> Shape:
        """Any shape of as many entries → `shape`. Raises ShapeError for any other number of entries."""
        if prod(shape) != prod(self.shape):
            raise ShapeError(
                f"makes {shape_text(self.shape)}, {prod(self.shape)} entries, but gets {shape_text(shape)}, "
                f"{prod(shape)} entries",
                f"choose a shape of {prod(shape)} entries",
            )
        return self.shape

    def caption(self, shape: Shape) -> str:
        """Such as "Reshape 784→1×28×28"."""
        return f"Reshape {shape_text(shape)}→{shape_text(self.shape)}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer; its y and grad_x are views, nothing is copied."""
        return ReshapeLayer(self, shape, batch, dtype)


class ReshapeLayer(Layer):
    """y[n] = x[n], laid out in the shape that the spec gives."""

    rowwise: ClassVar[bool] = True

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """(N, *in) → (N, *out)."""
        return x.reshape(len(x), *self.y.shape[1:])

    def forward(self, x: Array) -> Array:
        """A view of x, (B, *out)."""
        self.x = x
        self.y = self.apply(x)
        return self.y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x[n] = grad_y[n], laid out as x was."""
        self.grad_y = grad_y
        self.grad_x = grad_y.reshape(self.x.shape)
        yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """The one cell that lies at the same place in a row."""
        n, *rest = index
        from_shape, to_shape = (self.y.shape[1:], self.x.shape[1:])[:: 1 if role == "y" else -1]
        there = np.unravel_index(np.ravel_multi_index(rest, from_shape), to_shape)
        place = (n, *(int(axis) for axis in there))
        if role == "y":
            factor, formula = cells("x", at("x"), "x", place), r"y_n = \mathrm{reshape}(x_n)"
        else:
            factor = cells(G, at("grad_y"), "grad_y", place)
            formula = slope("x_n") + rf"\mathrm{{reshape}}({G}_n)"
        return Sum(formula, [Product((factor,), samples=n)], {"x": self.x.shape, "y": self.y.shape})

    def pass_column(self, values: Array, columns: Array) -> Array:
        """The columns of x, counted in a row, are those of y."""
        return values
