"""Softmax and LogSoftmax as layers, with the whole Jacobian in backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from engine.layers.base import Array, Layer, LayerSpec, Shape, ShapeError, shape_text
from engine.terms import GRAD_Y as G
from engine.terms import Product, Sum, Tensors, bracketed, cells, constant, number, slope


class OverClasses(LayerSpec, frozen=True, kw_only=True):
    """A layer that makes each row of scores z one distribution over its entries."""

    family: ClassVar[str] = "Activation"
    forward_parts: ClassVar[tuple[str, ...]] = ("exp", "sum", "y")
    reads: ClassVar[dict[str, tuple[str, ...]]] = {
        "sum": ("exp",),
        "y": ("exp", "sum"),
        "grad_x": ("grad_y", "y"),
    }
    layer: ClassVar[type[Layer]]

    def inner_shapes(self, shape: Shape, batch: int) -> dict[str, Shape]:
        """exp (B, K), sum (B,)."""
        return {"exp": (batch, *shape), "sum": (batch,)}

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
        self._work, self._e = np.zeros_like(self.y), np.zeros_like(self.y)
        self._sum = np.zeros((batch, 1), dtype)

    def inner(self, role: str) -> Array | None:
        """exp (B, K), sum (B,)."""
        return {"exp": self._e, "sum": self._sum[:, 0]}.get(role)


def exp_terms(at: Tensors, index: Shape, e: Array) -> Sum:
    """e^(z − max z) of one score."""
    z = at("x")
    largest = float(z[index[0]].max())
    value = np.exp(np.float64(z[index]) - largest)
    function = rf"e^{{{{}} - {bracketed(largest)}}}"
    factor = replace(cells("z", z, "x", index), applied=np.atleast_1d(value), function=function)
    numbers = rf"e^{{{number(float(z[index]))} - {bracketed(largest)}}} = {number(float(e[index]))}"
    formula = r"e_{n,j} = e^{z_{n,j} - \max_k z_{n,k}}"
    return Sum(formula, [Product((factor,), samples=index[0])], {"z": z.shape}, numbers)


class SoftmaxLayer(OverClassesLayer):
    """y_j = e^(z_j) / Σₖ e^(z_k), computed from z − max z, which cannot overflow."""

    def forward(self, x: Array) -> Array:
        """y = e^(z − max z) / Σ e^(z − max z)."""
        for _ in self.forward_steps(x):
            pass
        return self.y

    def forward_steps(self, x: Array) -> Iterator[str]:
        """e^(z − max z), its sum, and y."""
        self.x = x
        np.exp(np.subtract(x, x.max(axis=1, keepdims=True), out=self._e), out=self._e)
        yield "exp"
        np.dot(self._e, self._ones, out=self._sum)
        yield "sum"
        np.divide(self._e, self._sum, out=self.y)
        yield "y"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is a quotient; grad_x has what comes down itself, and what comes by the sum from every class."""
        n, j = index[0], index[-1]
        z, y, classes = at("x"), at("y"), np.arange(self.y.shape[1])
        shapes = {"z": z.shape}
        if role == "exp":
            return exp_terms(at, index, self._e)
        if role == "sum":
            found = Product((cells("e", self._e, "exp", (n, classes)),), samples=n)
            return Sum(r"s_n = \sum_k e_{n,k}", [found], shapes)
        if role == "y":
            one_over = replace(cells("s", self._sum[:, 0], "sum", (n,)), function=r"\frac{1}{{}}")
            one_over = replace(one_over, applied=1 / np.atleast_1d(np.asarray(one_over.values)))
            found = Product((cells("e", self._e, "exp", index), one_over), samples=n)
            return Sum(r"y_{n,j} = \frac{e_{n,j}}{s_n}", [found], shapes)
        down, own = cells(G, at("grad_y"), "grad_y", index), cells("y", y, "y", index)
        every = cells(G, at("grad_y"), "grad_y", (n, classes)), cells("y", y, "y", (n, classes))
        minus = constant(rf"-y_{{{n},{j}}}", -float(y[index]))
        formula = slope("z_{n,j}") + rf"y_{{n,j}} \left( {G}_{{n,j}} - \sum_k {G}_{{n,k}} \, y_{{n,k}} \right)"
        return Sum(formula, [Product((own, down), samples=n), Product((minus, *every), samples=n)], shapes)

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
        "exp": "eⱼ = e^(zⱼ − max z)",
        "sum": "s = Σₖ eₖ",
        "y": "yⱼ = eⱼ / s",
        "grad_x": "grad_x = Jᵀ·grad_y, Jⱼₖ = yⱼ([j = k] − yₖ): y ⊙ (grad_y − Σₖ grad_yₖ·yₖ)",
    }
    layer: ClassVar[type[Layer]] = SoftmaxLayer


class LogSoftmaxLayer(OverClassesLayer):
    """y_j = z_j − log Σₖ e^(z_k), computed from z − max z, which cannot overflow."""

    def forward(self, x: Array) -> Array:
        """y = z − max z − log Σ e^(z − max z)."""
        for _ in self.forward_steps(x):
            pass
        return self.y

    def forward_steps(self, x: Array) -> Iterator[str]:
        """e^(z − max z), its sum, and y."""
        self.x = x
        np.subtract(x, x.max(axis=1, keepdims=True), out=self.y)
        np.exp(self.y, out=self._e)
        yield "exp"
        np.dot(self._e, self._ones, out=self._sum)
        yield "sum"
        np.subtract(self.y, np.log(self._sum, out=self._row), out=self.y)
        yield "y"

    def terms(self, role: str, index: Shape, at: Tensors) -> Sum | None:
        """y is a score less a logarithm; grad_x has what comes down itself, and what comes by the sum."""
        n, j = index[0], index[-1]
        z, classes = at("x"), np.arange(self.y.shape[1])
        shapes = {"z": z.shape}
        if role == "exp":
            return exp_terms(at, index, self._e)
        if role == "sum":
            found = Product((cells("e", self._e, "exp", (n, classes)),), samples=n)
            return Sum(r"s_n = \sum_k e_{n,k}", [found], shapes)
        if role == "y":
            largest = constant(r"-\max z", -float(z[n].max()))
            total = cells("s", self._sum[:, 0], "sum", (n,))
            log = replace(total, applied=-np.log(np.atleast_1d(np.asarray(total.values))), function=r"-\log {}")
            products = [Product((cells("z", z, "x", index),)), Product((largest,)), Product((log,))]
            return Sum(r"y_{n,j} = z_{n,j} - \max z - \log s_n", products, shapes)
        down = cells(G, at("grad_y"), "grad_y", index)
        minus = constant(rf"-e^{{y_{{{n},{j}}}}}", -float(np.exp(np.float64(at("y")[index]))))
        formula = slope("z_{n,j}") + rf"{G}_{{n,j}} - e^{{y_{{n,j}}}} \sum_k {G}_{{n,k}}"
        every = Product((minus, cells(G, at("grad_y"), "grad_y", (n, classes))), samples=n)
        return Sum(formula, [Product((down,), samples=n), every], shapes)

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

    reads: ClassVar[dict[str, tuple[str, ...]]] = OverClasses.reads | {"y": ("x", "sum")}
    formulas: ClassVar[dict[str, str]] = {
        "forward": "yⱼ = zⱼ − log Σₖ e^(zₖ)",
        "exp": "eⱼ = e^(zⱼ − max z)",
        "sum": "s = Σₖ eₖ",
        "y": "yⱼ = zⱼ − max z − log s",
        "grad_x": "grad_x = Jᵀ·grad_y, Jⱼₖ = [j = k] − e^(yₖ): grad_y − e^y·Σₖ grad_yₖ",
    }
    layer: ClassVar[type[Layer]] = LogSoftmaxLayer
