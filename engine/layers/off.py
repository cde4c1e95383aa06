"""Off: a layer that is kept in the recipe but left out of the computation for a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta
from numpy.typing import DTypeLike

from engine import layers as layer_kinds
from engine.layers.activations import ReLU
from engine.layers.base import Array, Layer, LayerSpec, Shape
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, slope


class Off(LayerSpec, frozen=True, kw_only=True):
    """A layer switched off: y = x, whatever the layer would do; it has no parameters until it is on again."""

    layer: Annotated[layer_kinds.AnyLayer, Meta(title="layer", description="What it is when it is on")] = ReLU()

    family: ClassVar[str] = "Switched off"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    formulas: ClassVar[dict[str, str]] = {"forward": "y = x, switched off", "grad_x": "grad_x = grad_y"}

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.layer, Off):
            raise ValueError("a layer that is off cannot be switched off again")

    def label(self) -> str:
        """Such as "Dense (off)"."""
        return f"{self.layer.label()} (off)"

    def caption(self, shape: Shape) -> str:
        """Such as "Dense (off)"."""
        return self.label()

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer; its y and grad_x are views, nothing is copied."""
        return OffLayer(self, shape, batch, dtype)


class OffLayer(Layer):
    """y = x."""

    elementwise: ClassVar[bool] = True
    rowwise: ClassVar[bool] = True

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """x itself, (N, *in)."""
        return x

    def forward(self, x: Array) -> Array:
        """A view of x, (B, *in)."""
        self.x = self.y = x
        return self.y

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = grad_y."""
        self.grad_y = self.grad_x = grad_y
        yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """The one cell at the same place."""
        name, symbol, left = ("x", "x", "y = ") if role == "y" else ("grad_y", G, slope("x"))
        factor = cells(symbol, at(name), name, index)
        return Sum(left + symbol, [Product((factor,), samples=index[0])], {"x": self.x.shape, "y": self.y.shape})
