"""Dropout: each entry is set to 0 with a given chance while training, the others grow so that the mean stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape
from engine.spec import LIVE
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, cells, constant, slope


class Dropout(LayerSpec, frozen=True, kw_only=True):
    """y = x ⊙ mask, each entry of the mask 0 with chance `rate`, else 1/(1 − rate); inference leaves x as it is.

    Inverted dropout, as PyTorch's (Srivastava et al. 2014). The mask hangs on the seed, the layer and the step alone:
    a step replayed drops the same entries.
    """

    rate: Annotated[
        float, Meta(ge=0.0, lt=1.0, title="rate", description="Chance of an entry to be set to 0", extra=LIVE)
    ] = 0.5

    family: ClassVar[str] = "Regularisation"
    reads: ClassVar[dict[str, tuple[str, ...]]] = {"grad_x": ("grad_y",)}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "y = x ⊙ mask, mask = [u ≥ rate]/(1 − rate), u uniform on [0, 1)",
        "grad_x": "grad_x = grad_y ⊙ mask",
    }

    def caption(self, shape: Shape) -> str:
        """Such as "Dropout 0.5"."""
        return f"Dropout {self.rate:g}"

    def build(self, shape: Shape, batch: int, dtype: DTypeLike) -> Layer:
        """The layer with buffers for `batch` samples."""
        return DropoutLayer(self, shape, batch, dtype)


class DropoutLayer(Layer):
    """y = x ⊙ mask; the mask (B, *in) is drawn by `prepare` and stays until the next one."""

    draws: ClassVar[bool] = True
    spec: Dropout

    def __init__(self, spec: LayerSpec, shape: Shape, batch: int, dtype: DTypeLike) -> None:
        super().__init__(spec, shape, batch, dtype)
        self.mask: Array = np.ones_like(self.y)
        # float32 whatever the network's dtype, so that its float64 copy drops the same entries
        self._uniform = self.mask if self.mask.dtype == np.float32 else np.zeros(self.y.shape, np.float32)
        self._bits = np.random.Philox(key=0)
        self._random = np.random.Generator(self._bits)
        self._fresh = self._bits.state

    def prepare(self, step: int) -> None:
        """Draw the mask: Philox keyed by (seed, layer), with the step as the highest word of its counter."""
        seed, *path = self.stream_key
        place = 0
        for index in path:  # inside a block a layer has one index more
            place = place << 8 | index + 1  # a recipe has at most 200 layers, four blocks deep
        fresh = self._fresh["state"]
        fresh["key"][:] = seed, place
        fresh["counter"][:] = 0, 0, 0, step
        self._bits.state = self._fresh
        self._random.random(out=self._uniform, dtype=np.float32)
        np.greater_equal(self._uniform, self.spec.rate, out=self.mask)
        np.multiply(self.mask, 1 / (1 - self.spec.rate), out=self.mask)

    def apply(self, x: Array, out: Array | None = None) -> Array:
        """y = x."""
        if out is None:
            return x
        np.copyto(out, x)
        return out

    def forward(self, x: Array) -> Array:
        """y = x ⊙ mask."""
        self.x = x
        return np.multiply(x, self.mask, out=self.y)

    def backward(self, grad_y: Array) -> Iterator[str]:
        """grad_x = grad_y ⊙ mask."""
        self.grad_y = grad_y
        np.multiply(grad_y, self.mask, out=self.grad_x)
        yield "grad_x"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """One cell times its mask."""
        source, symbol = ("x", "x") if role == "y" else ("grad_y", G)
        factors = cells(symbol, at(source), source, index), constant(r"\mathrm{mask}", float(self.mask[index]))
        left = "y = " if role == "y" else slope("x")
        mask = r"\mathrm{mask} \in \left\{0, \frac{1}{1 - \mathrm{rate}}\right\}"
        formula = left + rf"{symbol} \odot \mathrm{{mask}}, \quad {mask}"
        return Sum(formula, [Product(factors, samples=index[0])], {"x": self._in_shape})

    def replay(self, x: Array, copies: int) -> Array:
        """y = x ⊙ mask for each mini-batch, with the mask as it is."""
        values = x.reshape(copies, *self.mask.shape)
        return np.multiply(values, self.mask).reshape(x.shape)
